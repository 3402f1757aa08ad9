package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// browserFixture lasts long enough for a browser to start and to play 10 s.
var browserFixture = fixture{name: "browser", seconds: 45, size: "640x360", rate: "25", profile: "high", bframes: 2, audioRate: 48000, channels: 2}

// Playing in a browser succeeds when playWindow seconds were played at realtime
// speed or more.
const (
	playWindow = 10.0
	realtime   = 0.95
)

// TestBrowserPlays plays from a page of another origin for at least 10 s. One
// browser runs at a time: decoding in software is what costs most in this package.
func TestBrowserPlays(t *testing.T) {
	s := startServer(t)
	for _, kind := range []string{"hls", "flv", "flvjs", "ws", "ts"} {
		t.Run(kind, func(t *testing.T) { testBrowserPlays(t, s.origin, kind) })
	}
}

func testBrowserPlays(t *testing.T, o origin, kind string) {
	f := browserFixture
	src := f.make(t)
	ctx := limit(t, 90*time.Second)
	name := "browser-" + kind
	pushUnderReferee(ctx, t, src.path, o, name)

	url := map[string]string{"hls": o.hlsURL(name), "flv": o.flvURL(name), "flvjs": o.flvURL(name), "ws": o.wsURL(name), "ts": o.tsURL(name)}[kind]
	waitForHLS(ctx, t, o.hlsURL(name), 3) // a player starts three segments behind the live edge
	p := playInBrowser(ctx, t, kind, url, time.Minute)
	p.started(ctx, t)
	from, to := p.untilSteady(ctx, t)

	if got := fmt.Sprintf("%dx%d", to.Width, to.Height); got != f.size {
		t.Errorf("the picture is %s, not %s", got, f.size)
	}
	if frames, want := to.DecodedFrames-from.DecodedFrames, int(playWindow*22); frames < want {
		t.Errorf("%d frames were decoded in %.1f s, want at least %d", frames, to.Clock-from.Clock, want)
	}
	if to.AudioBytes == from.AudioBytes {
		t.Error("no audio was decoded")
	}
	t.Logf("%s: %.3f of real time, %d frames, %d dropped, waited %d times, errors %q, console %q", kind, speed(from, to),
		to.DecodedFrames-from.DecodedFrames, to.DroppedFrames-from.DroppedFrames, to.Waiting-from.Waiting, slices.Compact(to.Errors), p.console)
}

// TestBrowserNoticesMissingCORS proves that the page's origin is another one:
// what works above must fail where the origin does not allow it.
func TestBrowserNoticesMissingCORS(t *testing.T) {
	src := fixtureNamed(t, "high-bframes").make(t)
	o := standIn(t, "closed", src.path, withoutCORS)
	for kind, url := range map[string]string{"hls": o.hlsURL("closed"), "flv": o.flvURL("closed")} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ctx := limit(t, time.Minute)
			p := playInBrowser(ctx, t, kind, url, time.Minute)
			for s := p.next(ctx, t); len(s.Fatal) == 0; s = p.next(ctx, t) {
				if s.CurrentTime > 0 {
					t.Fatal("plays without CORS")
				}
			}
		})
	}
}
