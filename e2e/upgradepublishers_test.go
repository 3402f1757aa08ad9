package e2e

import (
	"context"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/headwater-live/headwater/e2e/hlscheck"
)

// upgradeSources are encoders that an upgrade finds in different states: keyframes at different times, pictures that are
// reordered, sound alone, a bitrate that fills buffers while they wait, and a connection whose keys nobody can hand over.
var upgradeSources = []struct {
	fixture
	late   time.Duration // after the others
	secure bool
}{
	{fixture: fixture{name: "upgrade-bframes", seconds: 30, size: "320x180", rate: "25", profile: "high", bframes: 2, audioRate: 48000, channels: 2}},
	{late: 700 * time.Millisecond,
		fixture: fixture{name: "upgrade-phase", seconds: 30, size: "320x180", rate: "30", profile: "main", gop: 1500 * time.Millisecond, audioRate: 44100, channels: 2}},
	{fixture: fixture{name: "upgrade-sound", seconds: 30, audioRate: 44100, channels: 2}},
	{late: 300 * time.Millisecond,
		fixture: fixture{name: "upgrade-bitrate", seconds: 30, size: "640x360", rate: "25", profile: "main", bitrate: "6000k", audioRate: 48000, channels: 2}},
	{secure: true, late: 1100 * time.Millisecond,
		fixture: fixture{name: "upgrade-tls", seconds: 30, size: "320x180", rate: "25", profile: "main", audioRate: 48000, channels: 2}},
}

// diesWithPublishers is a next process that says that it takes connections, and dies when they come.
const diesWithPublishers = `#!/bin/sh
exec 9<&"$LISTEN_HANDOVER" 8<&"${LISTEN_CONNECTIONS%:*}"
printf '\001' >&8
echo prepared >&9
read word <&9
exit 1
`

// TestNoPublisherIsCutByUpgrades has processes hand over to others while ffmpeg pushes, which ends when its connection
// does. Each frame comes out in HLS once, and the times go on.
func TestNoPublisherIsCutByUpgrades(t *testing.T) {
	t.Parallel()
	path, err := headwater()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "headwater")
	install(t, path, program)
	cert, key := selfSigned(t)
	s := launch(t, t.TempDir(), []string{program}, "--hls.segment", "1s", "--stream.grace", shortGrace, "--drain.timeout", "1m",
		"--rtmps.addr", "127.0.0.1:0", "--rtmps.cert", cert, "--rtmps.key", key)
	pid := s.cmd.Process.Pid
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGTERM) }) // the newest process; before the server's own check
	ctx := limit(t, 3*time.Minute)

	// Times go on where another process does, so that a discontinuity is not needed there; and segments of a second have
	// little sound for their tables.
	grace, err := time.ParseDuration(shortGrace)
	if err != nil {
		t.Fatal(err)
	}
	ignore := []string{"discontinuity-needless", "audio-overhead"}
	s.excuse("times go on where another process does", ignore[0])
	s.excuse("segments of a second have little sound for their tables", ignore[1])
	first := upgradeSources[0].name
	r := callReferee(ctx, t, hlscheck.Options{URL: s.hlsURL(first), Grace: grace, Slack: busySlack, Ignore: ignore})

	type push struct {
		hls  hlsRecording
		err  error
		done chan struct{}
	}
	for _, u := range upgradeSources {
		u.make(t) // so that all begin together
	}
	var pushes []*push
	for _, u := range upgradeSources {
		src := u.make(t)
		p := &push{done: make(chan struct{})}
		pushes = append(pushes, p)
		url := s.publishURL(u.name)
		if u.secure {
			url = s.rtmps + "/" + app + "/" + u.name
		}
		recorded := make(chan struct{})
		go func() {
			defer close(recorded)
			p.hls, p.err = recordHLS(ctx, s.hlsURL(u.name))
		}()
		go func() {
			defer close(p.done)
			time.Sleep(u.late)
			ffmpegPush(ctx, t, src.path, url)
			if u.name == first {
				r.Mark(hlscheck.PublisherLeft)
			}
			<-recorded
		}()
	}
	for _, u := range upgradeSources {
		waitForHLS(ctx, t, s.hlsURL(u.name), 1)
	}
	wentOn := 0
	for n := range upgrades {
		if n == 1 { // one that fails when there is no way back: the version before is started once more
			writeProgram(t, program, diesWithPublishers)
		} else {
			install(t, path, program)
		}
		r.Mark(hlscheck.PublisherLeft)
		signalUpgrade(t, pid)
		pid = s.awaitLog(ctx, t, "handed over", n+1)
		r.Mark(hlscheck.PublisherBack)
		if n := strings.Count(s.output(), `"msg":"publication goes on"`); n <= wentOn {
			t.Error("nobody was published any more")
		} else {
			wentOn = n
		}
		waitForSequence(ctx, t, s.hlsURL(first))
	}
	for i, u := range upgradeSources {
		select {
		case <-pushes[i].done:
		case <-ctx.Done():
			t.Fatalf("%s has not ended", u.name)
		}
		if pushes[i].err != nil {
			t.Errorf("%s: HLS: %v", u.name, pushes[i].err)
			continue
		}
		report(t, u.name, pushes[i].hls.faults)
		report(t, u.name, pushes[i].hls.judge(ignore...))
		loose := tsTolerance
		loose.clock = 0 // each publication counts its samples from its own first millisecond
		report(t, u.name, account(u.make(t).media, pushes[i].hls.read(ctx, t), loose))
	}
	r.verdict(t)
	verifyJournals(t, s.storage)
	if !strings.Contains(s.output(), "this version is started again") {
		t.Error("the program that fails has not failed")
	}
	if n := strings.Count(s.output(), `"msg":"publication began"`); n != len(upgradeSources) {
		t.Errorf("%d publications have begun, want one by each encoder", n)
	}
}

// waitForSequence waits until another segment is listed.
func waitForSequence(ctx context.Context, t *testing.T, url string) {
	t.Helper()
	end := func() int {
		m, err := mediaPlaylist(ctx, url)
		if err != nil || m == nil {
			return 0
		}
		return m.MediaSequence + len(m.Segments)
	}
	was := end()
	eventually(ctx, t, "another segment", func() error { return notYet(end() > was, "it is not listed") })
}
