//go:build unix

package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/headwater-live/headwater/cmd/headwater/config"
)

// onMessage is a log handler that does something when a message is logged.
type onMessage struct {
	slog.Handler
	text string
	do   func()
}

func (h onMessage) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == h.text {
		h.do()
	}
	return h.Handler.Handle(ctx, r)
}

func (h onMessage) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.Handler = h.Handler.WithAttrs(attrs)
	return h
}

// upgradable runs a server whose next process is a shell script that has the connection to it as descriptor 9. It is
// asked to end when it logs the message.
func upgradable(t *testing.T, script, message string) (said *bytes.Buffer, ended <-chan error) {
	t.Helper()
	_, upgrade, said, ended := upgradableLater(t, script, message)
	upgrade()
	return said, ended
}

// upgradableLater is upgradable, but the server is told to upgrade by the test.
func upgradableLater(t *testing.T, script, message string) (s *server, upgrade func(), said *bytes.Buffer, ended <-chan error) {
	t.Helper()
	cfg := config.Default()
	cfg.RTMP.Addr, cfg.HTTP.Addr, cfg.Admin.Addr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.Storage.Kind = config.StorageMemory
	said = &bytes.Buffer{}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	s, err := wire(cfg, slog.New(onMessage{slog.NewTextHandler(said, nil), message, cancel}))
	if err != nil {
		t.Fatal(err)
	}
	signals := make(chan os.Signal, 1)
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	s.upgrades = &upgrader{signals: signals, program: shell, args: []string{"sh", "-c", `exec 9<&"$LISTEN_HANDOVER"; ` + script}}
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	return s, func() { signals <- syscall.SIGUSR2 }, said, done
}

func TestWhoIsAskedToEndAsTheNextProcessIsPreparedEnds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "went")
	said, ended := upgradable(t, `echo prepared >&9; read word <&9 && echo "$word" > '`+file+`'; exec sleep 600`, "next process is prepared")
	awaitEnd(t, ended)
	if _, err := os.Stat(file); err == nil {
		t.Error("the next process was told to begin")
	}
	if strings.Contains(said.String(), "handed over") {
		t.Errorf("it handed over:\n%s", said)
	}
}

func TestTheNextProcessIsAskedToEndInPlaceOfOneThatHasHandedOver(t *testing.T) {
	file := filepath.Join(t.TempDir(), "asked")
	_, ended := upgradable(t, `trap "echo TERM > '`+file+`'; exit 0" TERM
		echo prepared >&9; read word <&9; echo ready >&9; n=0; while [ $n -lt 1200 ]; do n=$((n+1)); sleep 0.05; done`, "handed over")
	awaitEnd(t, ended)
	eventually(t, "it is asked to end", func() bool {
		text, _ := os.ReadFile(file)
		return string(text) == "TERM\n"
	})
}

func TestWhoCannotHandOverFails(t *testing.T) {
	said, ended := upgradable(t, `echo prepared >&9; read word <&9; exit 1`, "")
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "nobody serves any more") {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the server has not ended")
	}
	if strings.Contains(said.String(), `"handed over"`) {
		t.Errorf("it handed over:\n%s", said)
	}
}

// TestPublishersThatNobodyCanGoOnWithDoNotStopAnUpgrade has a next process that ends if it is sent a publisher.
func TestPublishersThatNobodyCanGoOnWithDoNotStopAnUpgrade(t *testing.T) {
	s, upgrade, said, ended := upgradableLater(t, `exec 8<&"${LISTEN_CONNECTIONS%:*}"; printf '\001' >&8; echo prepared >&9; read word <&9
		[ "$(head -c 4 <&8 | od -An -tx1 | tr -d ' ')" = 00000000 ] && echo ready >&9`, "")
	publisher, err := dialPublisher(t, s, "live/test")
	if err != nil {
		t.Fatal(err)
	}
	defer publisher.Close() //nolint:errcheck // it was cut off
	upgrade()
	awaitEnd(t, ended)
	if n := strings.Count(said.String(), "does not serve"); n != 2 || !strings.Contains(said.String(), `"handed over"`) {
		t.Errorf("it failed %d times:\n%s", n, said)
	}
	awaitCut(t, publisher)
}
