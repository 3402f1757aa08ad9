//go:build unix

package systemd

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// handTo starts a shell script as the next process, with a listening socket.
func handTo(t *testing.T, script string) (*Next, net.Listener) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	p := &Passed{}
	t.Cleanup(p.Close)
	if err := p.Add("http", l, true); err != nil {
		t.Fatal(err)
	}
	// No descriptor of this process but those that are passed shall be there; the last one is the connection.
	next, err := p.Start("/bin/sh", []string{"sh", "-c", `exec 9<&"$LISTEN_HANDOVER"; ` + script})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(next.GiveUp)
	return next, l
}

const long = time.Minute

func TestTheNextProcessIsToldWhenToBegin(t *testing.T) {
	next, l := handTo(t, `[ "$LISTEN_PID" = "parent:$PPID" ] && [ "$LISTEN_FDS $LISTEN_FDNAMES $LISTEN_HANDOVER" = "1 http 4" ] && [ "$LISTEN_BOUND" = http ] || exit 1
		echo prepared >&9; read word <&9; [ "$word" = go ] || exit 1; echo ready >&9; read word <&9`)
	if err := next.AwaitPrepared(long); err != nil {
		t.Fatal(err)
	}
	// The socket is open in the other process: who connects now waits for it.
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatalf("a connection between two processes: %v", err)
	}
	_ = c.Close()
	if err := next.Go(); err != nil {
		t.Fatal(err)
	}
	if err := next.AwaitReady(long); err != nil {
		t.Fatal(err)
	}
}

func TestANextProcessThatIsNotPreparedIsGivenUp(t *testing.T) {
	for script, says := range map[string]string{
		"exit 1":                         `it ended before it said "prepared"`,
		"echo ready >&9; exec sleep 600": `it did not say "prepared"`,
		"echo " + strings.Repeat("x", 100) + " >&9; exec sleep 600": "buffer full",
	} {
		next, _ := handTo(t, script)
		if err := next.AwaitPrepared(long); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.20s: %v", script, err)
		}
		next.GiveUp()
		next.GiveUp()
	}
	next, _ := handTo(t, "exec sleep 600")
	if err := next.AwaitPrepared(10 * time.Millisecond); err == nil {
		t.Error("one that says nothing counts as prepared")
	}
	next.GiveUp()
}

func TestAProgramThatCannotStartIsAnError(t *testing.T) {
	if _, err := (&Passed{}).Start("/nonexistent/headwater", []string{"headwater"}); err == nil {
		t.Error("it was started")
	}
}

func TestSocketsAreForTheProcessThatTheyNameOrItsChild(t *testing.T) {
	for pid, want := range map[string]bool{
		strconv.Itoa(os.Getpid()):                 true,
		parentPrefix + strconv.Itoa(os.Getppid()): true,
		parentPrefix + strconv.Itoa(os.Getpid()):  false,
		strconv.Itoa(os.Getppid()):                false,
		"":                                        false,
	} {
		if isForMe(pid) != want {
			t.Errorf("%q: %t", pid, !want)
		}
	}
	if b, err := FromBefore(); b != nil || err != nil {
		t.Errorf("without a process before: %v, %v", b, err)
	}
	var none *Before
	if before := (&Before{bound: []string{"http"}}); !none.BoundByOthers("rtmp") || !before.BoundByOthers("http") || before.BoundByOthers("rtmp") {
		t.Error("who has bound a socket is not known")
	}
	if none.TakeOver() != nil || none.Ready() != nil {
		t.Error("no process before is an error")
	}
}
