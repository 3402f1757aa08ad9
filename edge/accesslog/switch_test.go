package accesslog

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func openIn(t *testing.T, folder, name string, format Format) *Log {
	t.Helper()
	l, err := Open(filepath.Join(folder, name), format, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func closeSwitch(t *testing.T, s *Switch) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// marked renders a path with a mark in front.
func marked(mark string) Format {
	return func(dst []byte, e *Entry) []byte { return line(append(dst, mark...), e) }
}

// TestNoLineIsLostOrTornWhileTheDestinationChanges has many add entries while file and format change again and again.
func TestNoLineIsLostOrTornWhileTheDestinationChanges(t *testing.T) {
	const writers, each, changes = 8, 4_000, 60
	folder := t.TempDir()
	var s Switch
	s.Use(openIn(t, folder, "a", line))
	var adding sync.WaitGroup
	var added atomic.Int64
	for w := range writers {
		adding.Go(func() {
			for n := range each {
				s.Add(&Entry{Path: strconv.Itoa(w) + " " + strconv.Itoa(n) + strings.Repeat(" ", n%200)})
				added.Add(1)
			}
		})
	}
	for n := range changes { // spread over all that is added
		for added.Load() < int64(n*writers*each/changes) {
			runtime.Gosched()
		}
		s.Use(openIn(t, folder, []string{"a", "a", "b"}[n%3], marked([]string{"", "x"}[n%2])))
	}
	adding.Wait()
	closeSwitch(t, &s)
	next := map[string]int{} // of each writer
	seen := map[string]bool{}
	for line := range strings.Lines(read(t, folder+"/a") + read(t, folder+"/b")) {
		line = strings.TrimPrefix(strings.TrimRight(line, " \n"), "x")
		if writer, n, ok := strings.Cut(line, " "); !ok || len(writer) != 1 || n == "" || seen[line] {
			t.Fatalf("a line is torn or there twice: %q", line)
		}
		seen[line] = true
	}
	if len(seen) != writers*each || s.Lines() != writers*each || s.Dropped() != 0 {
		t.Errorf("%d of %d lines are there, %d counted, %d dropped", len(seen), writers*each, s.Lines(), s.Dropped())
	}
	// In a file a writer's lines stand in the order in which they were added, whichever logs wrote them.
	for line := range strings.Lines(read(t, folder+"/a")) {
		writer, text, _ := strings.Cut(strings.TrimPrefix(strings.TrimRight(line, " \n"), "x"), " ")
		n, err := strconv.Atoi(text)
		if err != nil || n < next[writer] {
			t.Fatalf("line %q comes after %d", line, next[writer])
		}
		next[writer] = n
	}
}

func TestAnAccessLogIsSwitchedOffAndOn(t *testing.T) {
	folder := t.TempDir()
	var s Switch
	if s.On() || (*Switch)(nil).On() {
		t.Error("it is on from the beginning")
	}
	s.Add(&Entry{Path: "nobody wants it"})
	s.Reopen()
	s.Use(openIn(t, folder, "a", line))
	s.Add(&Entry{Path: "1"})
	s.Use(nil)
	s.Add(&Entry{Path: "off"})
	if s.On() {
		t.Error("it is on")
	}
	s.Use(openIn(t, folder, "b", line))
	s.Add(&Entry{Path: "2"})
	closeSwitch(t, &s)
	s.Add(&Entry{Path: "too late"})
	if a, b := read(t, folder+"/a"), read(t, folder+"/b"); a != "1\n" || b != "2\n" {
		t.Errorf("%q, %q", a, b)
	}
	if s.Lines() != 2 || s.Dropped() != 1 {
		t.Errorf("%d lines, %d dropped", s.Lines(), s.Dropped())
	}
}

// TestADestinationThatTakesNothingDoesNotKeepTheNextOneFromWriting: a pipe that nobody reads is left for a file.
func TestADestinationThatTakesNothingDoesNotKeepTheNextOneFromWriting(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := &destination{entered: make(chan struct{}, 1), gate: make(chan struct{}), room: -1}
		var s Switch
		s.Use(newLog(d, "", line, slog.New(slog.DiscardHandler)))
		s.Add(&Entry{Path: "stuck"})
		<-d.entered
		s.Use(openIn(t, folder, "a", line))
		s.Add(&Entry{Path: "1"})
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Close(ctx); !errors.Is(err, errStuck) {
			t.Errorf("closed with %v", err)
		}
		if got := read(t, folder+"/a"); got != "1\n" {
			t.Errorf("%q", got)
		}
		close(d.gate)
		synctest.Wait()
		if d.String() != "stuck\n" {
			t.Errorf("%q", d.String())
		}
	})
}

// TestALineThatACrashToreIsEndedFirst: so that the next one stays whole.
func TestALineThatACrashToreIsEndedFirst(t *testing.T) {
	for before, want := range map[string]string{"": "1\n", "0\n": "0\n1\n", "0\nto": "0\nto\n1\n"} {
		folder := t.TempDir()
		if err := os.WriteFile(folder+"/a", []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		var s Switch
		s.Use(openIn(t, folder, "a", line))
		s.Add(&Entry{Path: "1"})
		closeSwitch(t, &s)
		if got := read(t, folder+"/a"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
