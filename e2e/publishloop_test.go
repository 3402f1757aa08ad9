package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/remux"
)

// TestPublishLoopOutlivesAKilledServer kills the server with SIGKILL while `headwater publish --loop`
// pushes to it, and starts it again on the same ports. Before that each file has begun anew, and the server
// has had no timestamp to repair.
func TestPublishLoopOutlivesAKilledServer(t *testing.T) {
	dir := t.TempDir()
	s := startServerIn(t, dir)
	s.excuse(loopGap, "extinf-implausible")
	ctx := limit(t, 3*time.Minute)
	names := []string{"baseline", "audio-only-44k", "video-only"}
	publishers := make([]*loopPublisher, len(names))
	for i, name := range names {
		publishers[i] = startPublishLoop(ctx, t, fixtureNamed(t, name).make(t).path, s.publishURL(name))
	}
	for _, name := range names {
		once := fixtureNamed(t, name).make(t).media
		info := s.waitForStream(ctx, t, name, func(i remux.Info) bool {
			c := i.Publication.Counters
			return c.VideoFrames+c.AudioFrames > uint64(len(once.video)+len(once.audio)+50)
		})
		if c := info.Publication.Counters; c.Clamped+c.Realigned+c.Jumped+c.Malformed > 0 {
			t.Errorf("%s: where the file begins anew: %+v", name, c)
		}
	}
	s.kill(t)
	again := startServerIn(t, dir,
		"--rtmp.addr", strings.TrimPrefix(s.rtmp, "rtmp://"), "--http.addr", strings.TrimPrefix(s.http, "http://"))
	for _, name := range names {
		again.waitForStream(ctx, t, name, func(i remux.Info) bool {
			return i.Publication.Counters.VideoFrames+i.Publication.Counters.AudioFrames > 50
		})
		waitForHLS(ctx, t, again.hlsURL(name), 2)
	}
	for i, p := range publishers {
		if err := p.interrupt(); err != nil {
			t.Errorf("%s: after SIGINT: %v", names[i], err)
		}
		if !strings.Contains(p.stderr.String(), "; trying again in ") {
			t.Errorf("%s: nothing was said of the loss: %q", names[i], p.stderr.String())
		}
	}
}

// loopPublisher is a running `headwater publish --loop`.
type loopPublisher struct {
	cmd    *exec.Cmd
	stderr strings.Builder // to be read when the process has ended
}

func startPublishLoop(ctx context.Context, t *testing.T, path, url string) *loopPublisher {
	t.Helper()
	binary, err := headwater()
	if err != nil {
		t.Fatal(err)
	}
	p := &loopPublisher{cmd: command(ctx, t, binary, "publish", "--loop", path, url)}
	p.cmd.Stderr = &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill() // the test has failed
			_ = p.cmd.Wait()
		}
	})
	return p
}

func (p *loopPublisher) interrupt() error {
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	return p.cmd.Wait()
}

// waitForStream waits until the API says of a stream what is wanted.
func (s *server) waitForStream(ctx context.Context, t *testing.T, name string, want func(remux.Info) bool) remux.Info {
	t.Helper()
	for {
		var info remux.Info
		res, err := fetch(ctx, s.admin+"/api/v1/streams/"+app+"/"+name)
		if err != nil {
			t.Fatalf("wait for %s: %v", name, err)
		}
		if json.Unmarshal(res.body, &info) == nil && info.Publication != nil && info.State == "live" && want(info) {
			return info
		}
		select {
		case <-ctx.Done():
			t.Fatalf("wait for %s: %v; the API says %s", name, ctx.Err(), res.body)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
