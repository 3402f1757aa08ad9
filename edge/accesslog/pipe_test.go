//go:build unix

package accesslog

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pipe makes a named pipe.
func pipe(t *testing.T) (name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// reading opens a pipe's other end.
func reading(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// soon fails the test if something takes for ever, after which release is called.
func soon(t *testing.T, what string, do, release func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Errorf("%s takes for ever", what)
		release()
		<-done
	}
}

func TestAPipeThatNobodyReadsIsRefusedAtOnce(t *testing.T) {
	name := pipe(t)
	soon(t, "opening it", func() {
		l, err := Open(name, line, slog.New(slog.DiscardHandler))
		if err == nil {
			l.Discard()
		}
		if !errors.Is(err, syscall.ENXIO) {
			t.Errorf("opened with %v", err)
		}
	}, func() { reading(t, name) })
}

// TestAFileWhosePlaceAPipeTookIsKeptUntilSomebodyReadsThat: a signal to open it again does not stop the lines.
func TestAFileWhosePlaceAPipeTookIsKeptUntilSomebodyReadsThat(t *testing.T) {
	name := pipe(t)
	if err := os.Rename(name, name+".pipe"); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	l, err := Open(name, line, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(name, name+".1"), os.Rename(name+".pipe", name)); err != nil {
		t.Fatal(err)
	}
	soon(t, "opening it again", l.open, func() { reading(t, name) })
	l.write([]byte("old\n"), 1)
	if got, err := os.ReadFile(name + ".1"); err != nil || string(got) != "old\n" || !strings.Contains(said.String(), "the old file goes on") {
		t.Errorf("%q, %v, said %s", got, err, said.String())
	}
	reader := bufio.NewReader(reading(t, name))
	l.open()
	l.write([]byte("new\n"), 1)
	if got, err := reader.ReadString('\n'); err != nil || got != "new\n" {
		t.Errorf("%q, %v", got, err)
	}
	l.Discard()
}

// TestAPipeThatIsFullIsWaitedForAndGetsEveryLine: and closing does not wait for it.
func TestAPipeThatIsFullIsWaitedForAndGetsEveryLine(t *testing.T) {
	name := pipe(t)
	other := reading(t, name)
	l, err := Open(name, line, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	const lines = 4_000 // of 1 KiB, much more than a pipe holds
	for range lines {
		add(l, strings.Repeat("x", 1023))
	}
	go l.Run()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Close(ctx); !errors.Is(err, errStuck) {
		t.Errorf("closed with %v", err)
	}
	n := 0
	for in := bufio.NewScanner(other); in.Scan(); n++ {
		if len(in.Bytes()) != 1023 {
			t.Fatalf("line %d has %d bytes", n, len(in.Bytes()))
		}
	}
	<-l.ended
	if n != lines || l.Lines() != lines || l.Dropped() != 0 {
		t.Errorf("%d of %d lines came, %d were counted, %d dropped", n, lines, l.Lines(), l.Dropped())
	}
}
