package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeServer takes connections as told by its script, which has an entry for each: how many messages it
// takes before it goes away, or why it does not take the connection at all.
type fakeServer struct {
	t      *testing.T
	script []any // int or error; the last one is for all further connections

	began    time.Time
	dialled  []time.Duration // when, since began
	messages []string        // what came, at which time
	open     int
}

func (s *fakeServer) connect(context.Context) (mediaConn, error) {
	entry := s.script[min(len(s.dialled), len(s.script)-1)]
	s.dialled = append(s.dialled, time.Since(s.began))
	if err, ok := entry.(error); ok {
		return nil, err
	}
	s.open++
	return &fakeConn{server: s, left: entry.(int)}, nil
}

type fakeConn struct {
	server *fakeServer
	left   int
	close  sync.Once
}

var errGone = errors.New("connection reset")

func (c *fakeConn) WriteMedia(kind uint8, timestamp uint32, payload []byte) error {
	if c.left--; c.left < 0 {
		return errGone
	}
	c.server.messages = append(c.server.messages,
		fmt.Sprintf("%d@%d+%d %v", kind, timestamp, len(payload), time.Since(c.server.began)))
	return nil
}

func (c *fakeConn) Close() error {
	c.close.Do(func() { c.server.open-- })
	return nil
}

// publish runs a publisher against a fake server in its own time.
func publish(t *testing.T, file []byte, loop bool, enough time.Duration, script ...any) (s *fakeServer, notes []string, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.flv")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), enough)
		defer cancel()
		s = &fakeServer{t: t, script: script, began: time.Now()}
		p := publisher{
			path: path, loop: loop, connect: s.connect, clock: newFileClock(), sent: newProgress(nil),
			note: func(text string) { notes = append(notes, text) },
		}
		err = p.run(ctx)
	})
	if s.open != 0 {
		t.Errorf("%d connections were left open", s.open)
	}
	return s, notes, err
}

const everything = 1 << 30

func TestAFileIsPublishedOnceInRealTime(t *testing.T) {
	file := testFile(metadata(0), videoConfig(0), video(3000), audio(3010), video(3040), endOfSequence(3040))
	s, _, err := publish(t, file, false, time.Hour, everything)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"18@0+14 0s", "9@0+6 0s", "9@0+6 0s", "8@10+3 10ms", "9@40+6 40ms", "9@40+5 40ms",
	}
	if !slices.Equal(s.messages, want) {
		t.Errorf("messages:\n%s\nwant:\n%s", strings.Join(s.messages, "\n"), strings.Join(want, "\n"))
	}
}

func TestALoopGoesOnUntilItIsEnded(t *testing.T) {
	file := testFile(videoConfig(0), video(0), video(40), endOfSequence(40))
	s, _, err := publish(t, file, true, 170*time.Millisecond, everything)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"9@0+6 0s", "9@0+6 0s", "9@40+6 40ms",
		"9@40+6 40ms", "9@80+6 80ms", "9@120+6 120ms",
		"9@120+6 120ms", "9@160+6 160ms",
	}
	if !slices.Equal(s.messages, want) {
		t.Errorf("messages:\n%s\nwant:\n%s", strings.Join(s.messages, "\n"), strings.Join(want, "\n"))
	}
}

func TestALoopOutlivesTheServer(t *testing.T) {
	refused := refusedError{errors.New("the name is taken")}
	down := errors.New("connection refused")
	file := testFile(videoConfig(0), video(0), video(40))
	s, notes, err := publish(t, file, true, time.Minute, down, 3, refused, down, down, 2, everything)
	if err != nil {
		t.Fatal(err)
	}
	for i, low := range []time.Duration{250, 500, 1000, 2000, 4000, 8000} {
		pause := s.dialled[i+1] - s.dialled[i]
		low *= time.Millisecond
		if pause < low || pause > 2*low+100*time.Millisecond {
			t.Errorf("pause %d is %v, want %v to %v", i, pause, low, 2*low)
		}
	}
	if len(s.dialled) != 7 || len(notes) != 6 {
		t.Errorf("%d connections, %d notes: %q", len(s.dialled), len(notes), notes)
	}
	if !strings.HasPrefix(notes[1], "connection reset; trying again in ") {
		t.Errorf("note: %q", notes[1])
	}
	// The configuration is sent again on each connection, and the time goes on.
	for i, want := range []string{"9@0+6 ", "9@0+6 ", "9@40+6 ", "9@40+6 ", "9@80+6 ", "9@120+6 ", "9@160+6 "} {
		if !strings.HasPrefix(s.messages[i], want) {
			t.Errorf("message %d is %q, want %q", i, s.messages[i], want)
		}
	}
}

func TestASteadyConnectionStartsThePausesAnew(t *testing.T) {
	down := errors.New("connection refused")
	file := testFile(video(0), video(4000))
	s, _, err := publish(t, file, true, 10*time.Minute, down, down, down, down, down, 10, everything)
	if err != nil {
		t.Fatal(err)
	}
	// Ten messages, four seconds apart, and then the eleventh that fails.
	if pause := s.dialled[6] - s.dialled[5] - 40*time.Second; pause < 250*time.Millisecond || pause > 600*time.Millisecond {
		t.Errorf("after a steady connection the pause is %v", pause)
	}
}

func TestWhatTryingAgainCannotMendEndsIt(t *testing.T) {
	refused := refusedError{errors.New("publishing is not allowed")}
	good := testFile(videoConfig(0), video(0))
	for _, test := range []struct {
		name   string
		file   []byte
		loop   bool
		script any
		want   string
	}{
		{"a refusal", good, true, refused, "not allowed"},
		{"a server that is down", good, false, errors.New("connection refused"), "connection refused"},
		{"a server that goes away", good, false, 1, "connection reset"},
		{"another kind of file", []byte("RIFF....AVI "), true, everything, "does not begin with FLV"},
		{"a broken file", append(good, 1, 2, 3), true, everything, fmt.Sprintf("at byte %d:", len(good))},
		{"a file without media", testFile(videoConfig(0)), true, everything, "neither audio nor video"},
	} {
		s, _, err := publish(t, test.file, test.loop, time.Hour, test.script)
		if err == nil || !strings.Contains(err.Error(), test.want) || len(s.dialled) > 1 {
			t.Errorf("%s: %v after %d connections, want %q", test.name, err, len(s.dialled), test.want)
		}
	}
}
