package e2e

import (
	"context"
	"testing"
	"time"
)

// pushLimit bounds a push beyond the length of what is pushed.
const pushLimit = 45 * time.Second

// ffmpegPush pushes an FLV file in real time with ffmpeg and returns when ffmpeg
// has said goodbye. ffmpeg must not have complained.
func ffmpegPush(ctx context.Context, t testing.TB, path, url string) {
	t.Helper()
	o := run(command(ctx, t, "ffmpeg", "-v", "error", "-nostdin", "-re", "-i", path, "-c", "copy", "-f", "flv", url))
	if err := o.clean(); err != nil {
		t.Errorf("push with ffmpeg: %v", err)
	}
}

// pushInBackground pushes an FLV file in real time until the file or the test ends.
func pushInBackground(ctx context.Context, t *testing.T, path, url string) {
	t.Helper()
	ctx, end := context.WithCancel(ctx)
	cmd := command(ctx, t, "ffmpeg", "-v", "error", "-nostdin", "-re", "-i", path, "-c", "copy", "-f", "flv", url)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		end()
		_ = cmd.Wait() // it was killed, or its server went away
	})
}

// recordings is what two players saw of one stream, each from its first frame to its end.
type recordings struct {
	waitErr error    // the viewer was not seen to wait
	ignore  []string // rules of the referee that the encoder breaks on purpose
	hls     hlsRecording
	flv     flvRecording
	hlsErr  error
	flvErr  error
	done    chan struct{}
}

// watch starts an HLS and an FLV player before anything is published. It returns
// when both have asked for the stream; wait returns when both have seen its end.
func watch(ctx context.Context, o origin, name string) *recordings {
	refereed.Store(o.hlsURL(name), true)
	r := &recordings{done: make(chan struct{})}
	asked := make(chan struct{})
	flvEnded := make(chan struct{})
	go func() {
		defer close(flvEnded)
		r.flv, r.flvErr = recordFLV(ctx, o.flvURL(name), asked)
	}()
	go func() {
		defer close(r.done)
		r.hls, r.hlsErr = recordHLS(ctx, o.hlsURL(name))
		<-flvEnded
	}()
	select {
	case <-asked:
		r.waitErr = o.awaited(ctx, name)
	case <-flvEnded:
	}
	return r
}

// wait waits for the end of both players and fails the test if one met a fault.
func (r *recordings) wait(t *testing.T) {
	t.Helper()
	<-r.done
	if r.waitErr != nil {
		t.Errorf("FLV: wait for the viewer to be let in: %v", r.waitErr)
	}
	if r.hlsErr != nil {
		t.Errorf("HLS: %v", r.hlsErr)
		if r.hls.text != "" {
			t.Logf("HLS: last playlist:\n%s", r.hls.text)
		}
	}
	if r.flvErr != nil {
		t.Errorf("FLV: %v", r.flvErr)
	}
	report(t, "HLS", r.hls.faults)
	report(t, "HLS", r.hls.judge(r.ignore...))
	report(t, "FLV", r.flv.faults)
	if t.Failed() {
		t.FailNow()
	}
	if !r.flv.ended {
		t.Error("FLV: the response was still open when the test's time was up")
	}
}
