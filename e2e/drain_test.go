package e2e

import (
	"testing"
	"time"
)

// TestWhoPublishesMayFinish sends SIGTERM in the middle of a publication. The encoder pushes to its end, nobody who
// watches misses anything, the server ends by itself, and the next one goes on with the playlist.
func TestWhoPublishesMayFinish(t *testing.T) {
	dir := t.TempDir()
	s := startServerIn(t, dir, "--drain.timeout", "1m")
	f := fixtureNamed(t, "high-bframes")
	src := f.make(t)
	ctx := limit(t, 2*time.Minute)
	rec := watch(ctx, s.origin, f.name)
	pushed := make(chan struct{})
	go func() {
		defer close(pushed)
		ffmpegPush(ctx, t, src.path, s.publishURL(f.name))
	}()
	waitForHLS(ctx, t, s.hlsURL(f.name), 2)
	was, err := mediaPlaylist(ctx, s.hlsURL(f.name))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- s.stop() }()
	if err := <-ended; err != nil {
		t.Fatalf("SIGTERM: %v", err)
	}
	select {
	case <-pushed:
	case <-ctx.Done():
		t.Fatal("the encoder has not finished")
	}
	t.Logf("drained in %v", time.Since(began))
	<-rec.done
	report(t, "HLS", rec.hls.judge())
	report(t, "FLV", rec.flv.faults)
	report(t, "FLV", account(src.media, rec.flv.read(ctx, t), flvTolerance))

	next := startServerIn(t, dir)
	is, err := mediaPlaylist(ctx, next.hlsURL(f.name))
	if err != nil || is == nil {
		t.Fatalf("the next server has no playlist: %v", err)
	}
	if err := continues(was, is); err != nil {
		t.Error(err)
	}
	var length float64
	for _, s := range is.Segments {
		length += s.Duration.Seconds()
	}
	if end := float64(is.MediaSequence) + float64(len(is.Segments)); end < float64(was.MediaSequence+len(was.Segments)) || length == 0 {
		t.Errorf("the playlist ends with segment %v", end)
	}
}
