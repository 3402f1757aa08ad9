package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/headwater-live/headwater/e2e/hlscheck"
)

// TestRefereeFindsNothing has the HLS referee watch whole publications, from
// before the first frame until after EXT-X-ENDLIST, and ask what caches and
// browsers ask in between.
func TestRefereeFindsNothing(t *testing.T) {
	const grace = 3 * time.Second
	s := startServer(t, "--stream.grace", grace.String())
	for _, name := range []string{"high-bframes", "audio-only-44k", "slow-10-video-only", "ntsc-30"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := fixtureNamed(t, name)
			src := f.make(t)
			ctx := limit(t, time.Duration(f.seconds)*time.Second+grace+pushLimit)
			refereed.Store(s.hlsURL(name), true)
			checker := hlscheck.New(hlscheck.Options{
				URL: s.hlsURL(name), AliasURL: s.http + "/" + app + "/" + name + ".m3u8", HTTPClient: viewerClient, Grace: grace,
			})
			watchCtx, stop := context.WithCancel(ctx)
			watched := make(chan struct{})
			go func() {
				defer close(watched)
				checker.Run(watchCtx)
			}()
			asked := make(chan error, 1)
			go func() {
				if err := checker.WaitSegments(ctx, 2); err != nil {
					asked <- err
					return
				}
				asked <- checker.CheckHTTP(ctx)
			}()
			ffmpegPush(ctx, t, src.path, s.publishURL(name))
			checker.Mark(hlscheck.PublisherLeft)
			if err := <-asked; err != nil {
				t.Errorf("ask over HTTP: %v", err)
			}
			waitForEnd(ctx, t, s.hlsURL(name))
			stop()
			<-watched
			r := checker.Report()
			for _, finding := range r.Must() {
				t.Error(finding)
			}
			t.Logf("%s", r)
		})
	}
}
