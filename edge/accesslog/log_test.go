package accesslog

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what a test waits for. It is much longer than anything takes.
const patience = 30 * time.Second

// start runs a log until the function that it returns is called.
func start(t *testing.T, l *Log) (stop func()) {
	t.Helper()
	go l.Run()
	return sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := l.Close(ctx); err != nil {
			t.Error(err)
		}
	})
}

func add(l *Log, paths ...string) {
	for _, path := range paths {
		l.Add(&Entry{Path: path})
	}
}

// line renders nothing but the path.
func line(dst []byte, e *Entry) []byte { return append(append(dst, e.Path...), '\n') }

func TestARotatedFileHasAllLinesBeforeAndTheNewOneAllAfter(t *testing.T) {
	name := filepath.Join(t.TempDir(), "access.log")
	if err := os.WriteFile(name, []byte("0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := Open(name, line, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	stop := start(t, l)
	defer stop()
	add(l, "1", "2")
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	l.Reopen()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(name); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the file was not opened again")
		}
	}
	add(l, "3")
	stop()
	for file, want := range map[string]string{name + ".1": "0\n1\n2\n", name: "3\n"} {
		if got, err := os.ReadFile(file); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", filepath.Base(file), got, err, want)
		}
	}
	if l.Lines() != 3 || l.Dropped() != 0 {
		t.Errorf("%d lines, %d dropped", l.Lines(), l.Dropped())
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("everybody may read it: %v, %v", info.Mode(), err)
	}
}

func TestAFileThatCannotBeOpenedAgainIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := Open(dir+"/access.log", line, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	l.open()
	stop := start(t, l)
	add(l, "after")
	stop()
	if got, err := os.ReadFile(dir + ".old/access.log"); err != nil || string(got) != "after\n" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := Open(dir+"/access.log", line, nil); err == nil {
		t.Error("a file in a folder that does not exist was opened")
	}
}

// destination is a disk or a pipe that a test has its hands on.
type destination struct {
	bytes.Buffer
	entered chan struct{} // gets a value when a write begins
	gate    chan struct{} // a write waits for a value; closed lets all pass
	room    int           // bytes that are left of the disk; -1 is without end
}

func (d *destination) Write(b []byte) (int, error) {
	if d.gate != nil {
		d.entered <- struct{}{}
		<-d.gate
	}
	if d.room >= 0 && len(b) > d.room {
		b = b[:d.room]
		d.room = 0
		n, _ := d.Buffer.Write(b)
		return n, syscall.ENOSPC
	}
	if d.room > 0 {
		d.room -= len(b)
	}
	return d.Buffer.Write(b)
}

func (d *destination) Close() error { return nil }

func TestNobodyWaitsForASlowDiskAndWhatDoesNotFitIsCounted(t *testing.T) {
	d := &destination{entered: make(chan struct{}, 1000), gate: make(chan struct{}), room: -1}
	l := newLog(d, "", line, slog.New(slog.DiscardHandler))
	stop := start(t, l)
	add(l, "first")
	<-d.entered // the disk has it, and does not answer
	const size = 1 << 10
	text := strings.Repeat("x", size-1)
	for range maxPending/size + 100 {
		add(l, text) // would hang here
	}
	if l.Dropped() != 100 {
		t.Errorf("%d of 100 lines too many were dropped", l.Dropped())
	}
	close(d.gate)
	stop()
	if lines := bytes.Count(d.Bytes(), []byte("\n")); lines != 1+maxPending/size || l.Lines() != uint64(lines) {
		t.Errorf("%d lines were written, %d counted", lines, l.Lines())
	}
}

func TestClosingDoesNotWaitForAPipeThatNobodyReads(t *testing.T) {
	d := &destination{entered: make(chan struct{}, 1), gate: make(chan struct{}), room: -1}
	l := newLog(d, "", line, slog.New(slog.DiscardHandler))
	go l.Run()
	add(l, "first")
	<-d.entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := l.Close(ctx); !errors.Is(err, errStuck) {
		t.Errorf("closed with %v", err)
	}
	close(d.gate)
	<-l.ended
}

func TestAFullDiskLosesWholeLinesAndSaysSo(t *testing.T) {
	d := &destination{room: 7}
	var said strings.Builder
	l := newLog(d, "", line, slog.New(slog.NewTextHandler(&said, nil)))
	l.write([]byte("one\ntwo\nthree\n"), 3)
	l.write([]byte("four\n"), 1)
	d.room = -1 // somebody made room
	l.write([]byte("five\n"), 1)
	if got := d.String(); got != "one\ntwo\nfive\n" {
		t.Errorf("on the disk is %q", got)
	}
	if l.Lines() != 2 || l.Dropped() != 3 {
		t.Errorf("%d lines, %d dropped", l.Lines(), l.Dropped())
	}
	if strings.Count(said.String(), "lines of the access log were lost") != 1 || !strings.Contains(said.String(), "no space left") {
		t.Errorf("said: %s", said.String())
	}
}

func BenchmarkAdd(b *testing.B) {
	l := newLog(&destination{room: 0}, "", JSON, slog.New(slog.DiscardHandler))
	go l.Run()
	e := sample()
	b.ReportAllocs()
	for b.Loop() {
		l.Add(&e)
	}
	_ = l.Close(context.Background())
}
