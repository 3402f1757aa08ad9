package e2e

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"

	"github.com/headwater-live/headwater/e2e/hlscheck"
)

// upgrades is how often a process hands over to the next.
const upgrades = 3

// TestUpgradesAreNotSeen has processes hand over to others again and again while an encoder publishes. Nobody's
// connection is refused, the playlist goes on, and a program that cannot serve changes nothing.
func TestUpgradesAreNotSeen(t *testing.T) {
	path, err := headwater()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "headwater")
	install(t, path, program)
	s := launch(t, t.TempDir(), []string{program}, "--hls.segment", "200ms", "--hls.window", "10")
	pid := s.cmd.Process.Pid
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGTERM) }) // the newest process; before the server's own check
	ctx := limit(t, 3*time.Minute)
	stopConnecting := connectAllTheTime(ctx, t, s.http, s.rtmp, s.admin)

	src := keepFixture.make(t)
	r := callReferee(ctx, t, hlscheck.Options{URL: s.hlsURL("test"), Slack: busySlack})
	accepted := make(chan struct{}, 1)
	publisher := &reconnector{tags: readOddTags(t, src.path), url: s.publishURL("test"), accepted: func() {
		r.Mark(hlscheck.PublisherBack)
		select {
		case accepted <- struct{}{}:
		default:
		}
	}}
	stop := publisher.start(ctx, t)
	<-accepted
	waitForHLS(ctx, t, s.hlsURL("test"), 3)

	// A program that ends at once, and one that is none.
	for n, bad := range []string{"#!/bin/sh\nexit 1\n", "this is no program"} {
		writeProgram(t, program, bad)
		signalUpgrade(t, pid)
		s.awaitLog(ctx, t, "upgrade failed, this process goes on", n+1)
	}
	select {
	case <-accepted:
		t.Error("a program that does not start has cost the publisher its connection")
	default:
	}
	install(t, path, program)
	for n := range upgrades {
		was, err := mediaPlaylist(ctx, s.hlsURL("test"))
		if err != nil {
			t.Fatal(err)
		}
		r.Mark(hlscheck.PublisherLeft)
		began := time.Now()
		signalUpgrade(t, pid)
		pid = s.awaitLog(ctx, t, "handed over", n+1)
		r.Mark(hlscheck.PublisherBack)
		t.Logf("the next process served after %v", time.Since(began))
		is, err := mediaPlaylist(ctx, s.hlsURL("test"))
		if err != nil || is == nil {
			t.Fatalf("the playlist is gone: %v", err)
		}
		if is.MediaSequence < was.MediaSequence {
			t.Errorf("the media sequence went back from %d to %d", was.MediaSequence, is.MediaSequence)
		}
		waitForPlaylist(ctx, t, s.hlsURL("test"), func(m *playlist.Media) bool { return m.MediaSequence > is.MediaSequence+5 })
	}
	stopConnecting()
	select {
	case <-accepted:
		t.Error("the publisher had to connect again")
	default:
	}
	stop()
	r.Mark(hlscheck.PublisherLeft)
	r.verdict(t)
	verifyJournals(t, s.storage)
}

// install puts a program in place of another, as packages do.
func install(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	writeProgram(t, to, string(data))
}

// writeProgram does so while no other goroutine forks: a child that had the file open for writing, until it has become
// another program, would keep this one from being started.
func writeProgram(t *testing.T, path, text string) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path+".new", []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func signalUpgrade(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
}

// awaitLog waits until a message has been logged so often, and returns the process ID in the newest record.
func (s *server) awaitLog(ctx context.Context, t *testing.T, msg string, times int) (pid int) {
	t.Helper()
	eventually(ctx, t, msg, func() error {
		n := 0
		for line := range strings.Lines(s.output()) {
			var record struct {
				Msg string
				PID int
			}
			if json.Unmarshal([]byte(line), &record) == nil && record.Msg == msg {
				n++
				pid = record.PID
			}
		}
		return notYet(n >= times, "it was not logged")
	})
	return pid
}

// connectAllTheTime connects to addresses until it is stopped. Each connection must be taken.
func connectAllTheTime(ctx context.Context, t *testing.T, urls ...string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan int)
	go func() {
		connections := 0
		defer func() { done <- connections }()
		for ctx.Err() == nil {
			for _, url := range urls {
				_, addr, _ := strings.Cut(url, "://")
				conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
				switch {
				case ctx.Err() != nil:
				case err != nil:
					t.Errorf("connect: %v", err)
				default:
					connections++
				}
				if err == nil {
					_ = conn.Close()
				}
			}
			time.Sleep(time.Millisecond) // or this test would be all that the machine does
		}
	}()
	return func() {
		t.Helper()
		cancel()
		t.Logf("%d connections", <-done)
	}
}
