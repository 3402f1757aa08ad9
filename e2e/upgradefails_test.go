package e2e

import (
	"context"
	"io"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"

	"github.com/headwater-live/headwater/e2e/hlscheck"
)

// diesAfterGo is a next process that seems to be fine, takes the data folder, and then dies. It takes no connections, as
// old versions do not, so that publishers have to come back.
const diesAfterGo = `#!/bin/sh
exec 9<&"$LISTEN_HANDOVER"
echo prepared >&9
read word <&9
exit 1
`

// TestAVersionThatDiesAsItTakesOverIsNotSeen has a new version die when nothing is left to the old one. That starts
// itself again, from a file that lies nowhere any more; no connection is refused, and the playlist goes on.
func TestAVersionThatDiesAsItTakesOverIsNotSeen(t *testing.T) {
	t.Parallel()
	path, err := headwater()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "headwater")
	install(t, path, program)
	s := launch(t, t.TempDir(), []string{program}, "--hls.segment", "200ms", "--hls.window", "10")
	pid := s.cmd.Process.Pid
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGTERM) }) // the newest process; before the server's own check
	ctx := limit(t, 2*time.Minute)
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
	was, err := mediaPlaylist(ctx, s.hlsURL("test"))
	if err != nil {
		t.Fatal(err)
	}

	watching, leave := context.WithCancel(ctx)
	viewer := make(chan error, 1)
	answer := open(watching, t, "GET", s.flvURL("test"))
	go func() {
		_, err := io.Copy(io.Discard, answer.Body)
		viewer <- err
	}()

	old := []int{pid}
	writeProgram(t, program, diesAfterGo)
	signalUpgrade(t, pid)
	s.awaitLog(ctx, t, "next process is prepared", 1)
	r.Mark(hlscheck.PublisherLeft)
	s.awaitLog(ctx, t, "the next process does not serve, this version is started again", 1)
	pid = s.awaitLog(ctx, t, "handed over", 1)
	select {
	case <-accepted:
	case <-ctx.Done():
		t.Fatal("the publisher has not come back")
	}
	old = append(old, pid)
	// It is a server like any other, and can be upgraded in turn.
	install(t, path, program)
	signalUpgrade(t, pid)
	s.awaitLog(ctx, t, "next process is prepared", 2)
	r.Mark(hlscheck.PublisherLeft)
	pid = s.awaitLog(ctx, t, "handed over", 2)
	r.Mark(hlscheck.PublisherBack)
	waitForPlaylist(ctx, t, s.hlsURL("test"), func(m *playlist.Media) bool { return m.MediaSequence > was.MediaSequence+10 })
	select {
	case err := <-viewer:
		t.Errorf("the viewer was cut: %v", err)
	default:
	}
	leave()
	for _, pid := range old {
		eventually(ctx, t, "the end of the old processes", func() error { return notYet(hasEnded(pid), "one goes on") })
	}
	stopConnecting()
	stop()
	r.Mark(hlscheck.PublisherLeft)
	r.verdict(t)
	verifyJournals(t, s.storage)
}
