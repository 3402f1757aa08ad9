package e2e

import (
	"context"
	"path/filepath"
	"testing"
	"time"
)

// TestTransportStreamHasEveryFrame records a stream as one transport stream from before its
// publisher to its end, and accounts for every frame.
func TestTransportStreamHasEveryFrame(t *testing.T) {
	s := startServer(t, "--stream.grace", shortGrace)
	for _, name := range []string{"high-bframes", "audio-only-44k", "video-only", "slow-10"} {
		f := fixtureNamed(t, name)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := f.make(t)
			ctx := limit(t, time.Duration(f.seconds)*time.Second+pushLimit)
			rec, wait := recordTS(ctx, t, s.origin, name)
			ffmpegPush(ctx, t, src.path, s.publishURL(name))
			wait()
			report(t, "TS", account(src.media, readTS(ctx, t, rec.body), tsTolerance))
			checkLiveTS(t, rec.body, f.hasVideo(), f.hasAudio())
		})
	}
}

// TestTransportStreamCarriesHEVC does so with HEVC.
func TestTransportStreamCarriesHEVC(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--stream.grace", shortGrace)
	const name = "hevc"
	ctx := limit(t, pushLimit+time.Minute)
	src := makeEnhanced(ctx, t, asHEVC, asAAC)
	rec, wait := recordTS(ctx, t, s.origin, name)
	publishEnhanced(ctx, t, s, name, src.tags)
	wait()
	accountEnhancedTS(ctx, t, src, rec.body, asHEVC, asAAC)
}

// recordTS begins to record and returns when the server has the viewer waiting; wait returns when
// the stream has ended.
func recordTS(ctx context.Context, t *testing.T, o origin, name string) (rec *flvRecording, wait func()) {
	t.Helper()
	rec = &flvRecording{}
	asked, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		*rec, err = record(ctx, o.tsURL(name), "video/mp2t", asked)
		ended <- err
	}()
	<-asked
	if err := o.awaited(ctx, name); err != nil {
		t.Fatal(err)
	}
	return rec, func() {
		t.Helper()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		report(t, "TS", rec.faults)
		if !rec.ended {
			t.Error("the response did not end as HTTP demands")
		}
	}
}

// readTS reads a recording's frames, and has each decoded.
func readTS(ctx context.Context, t *testing.T, body []byte) media {
	t.Helper()
	path := filepath.Join(t.TempDir(), "recording.ts")
	writeFile(t, path, body)
	if err := decodes(ctx, path); err != nil {
		t.Errorf("decode TS: %v", err)
	}
	m, err := readMedia(ctx, path)
	if err != nil {
		t.Fatalf("read TS: %v", err)
	}
	return m
}

// checkLiveTS checks a recording by the rules of its format.
func checkLiveTS(t *testing.T, body []byte, wantVideo, wantAudio bool) {
	t.Helper()
	c := tsChecker{wantVideo: wantVideo, wantAudio: wantAudio}
	c.restart()
	c.segment(segment{data: body})
	report(t, "TS", c.faults)
}
