package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/headwater-live/headwater/e2e/hlscheck"
)

// smallKeepFixture is keepFixture from another camera: the picture has another size.
var smallKeepFixture = fixture{name: "keep-small", seconds: 30, size: "480x270", rate: "25", profile: "main", gop: time.Second, audioRate: 44100, channels: 2}

// bigKeepFixture is what the browser plays before.
var bigKeepFixture = fixture{name: "keep-big", seconds: 30, size: "320x180", rate: "25", profile: "main", gop: time.Second, audioRate: 44100, channels: 2}

// recovery is how soon a player has to play on, counted from when there is something to play
// again. It takes one or two seconds.
const recovery = 10 * time.Second

// TestABrowserPlaysOnThroughEverything lets hls.js play a stream whose publisher leaves for 5 s,
// whose server is killed, and whose picture changes its size. The page is never loaded again.
func TestABrowserPlaysOnThroughEverything(t *testing.T) {
	before, after := bigKeepFixture.make(t), smallKeepFixture.make(t)
	ctx := limit(t, 5*time.Minute)
	dir, web, push := t.TempDir(), openDoor(t), openDoor(t)
	at := origin{http: "http://" + web.addr(), rtmp: "rtmp://" + push.addr()}
	var s *server
	start := func() {
		s = startServerIn(t, dir, "--hls.segment", "1s")
		web.lead(s.http)
		push.lead(s.rtmp)
	}
	start()
	playlistURL := at.hlsURL("browser")
	r := callReferee(ctx, t, hlscheck.Options{URL: playlistURL, Slack: busySlack})
	back := func() { r.Mark(hlscheck.PublisherBack) }
	publisher := &reconnector{tags: readOddTags(t, before.path), url: at.publishURL("browser"), accepted: back}
	stop := publisher.start(ctx, t)
	waitForHLS(ctx, t, playlistURL, 4)
	p := playInBrowser(ctx, t, "hls", playlistURL, 5*time.Minute)
	p.started(ctx, t)
	p.untilSteady(ctx, t)

	t.Log("the publisher leaves for 5 s")
	stop()
	r.Mark(hlscheck.PublisherLeft)
	p.pass(ctx, t, 5*time.Second)
	since := p.next(ctx, t)
	stop = publisher.start(ctx, t)
	p.recovers(ctx, t, since, "320x180")

	t.Log("the server is killed")
	r.Mark(hlscheck.ServerDown)
	r.Mark(hlscheck.PublisherLeft)
	push.lead("")
	since = p.next(ctx, t)
	s.kill(t)
	start()
	r.Mark(hlscheck.ServerUp)
	p.recovers(ctx, t, since, "320x180")

	t.Log("the picture changes its size")
	stop()
	r.Mark(hlscheck.PublisherLeft)
	publisher = &reconnector{tags: readOddTags(t, after.path), url: at.publishURL("browser"), accepted: back}
	since = p.next(ctx, t)
	stop = publisher.start(ctx, t)
	p.recovers(ctx, t, since, "480x270")
	stop()
	r.Mark(hlscheck.PublisherLeft)
	r.verdict(t)
	t.Logf("errors that were not fatal: %q", p.last().Errors)
}

// recovers waits until the browser plays, with a picture of that size, what came after a moment,
// and checks by the page's own clock how long that took it.
func (p *playback) recovers(ctx context.Context, t *testing.T, since sample, size string) {
	t.Helper()
	fresh := func(s sample) bool {
		return s.Playing && s.CurrentTime > since.BufferedEnd+2 && fmt.Sprintf("%dx%d", s.Width, s.Height) == size
	}
	first := p.until(ctx, t, fresh)
	on := p.until(ctx, t, func(s sample) bool { return fresh(s) && s.CurrentTime > first.CurrentTime+1 })
	if on.DecodedFrames < first.DecodedFrames+10 || on.AudioBytes <= first.AudioBytes {
		t.Errorf("between %+v and %+v there was no picture or no sound", first, on)
	}
	took := time.Duration((first.Clock - since.Clock) * float64(time.Second))
	t.Logf("played on after %v", took.Round(10*time.Millisecond))
	if took > recovery {
		t.Errorf("played on only after %v", took)
	}
}

// pass lets time pass by the page's clock.
func (p *playback) pass(ctx context.Context, t *testing.T, d time.Duration) {
	t.Helper()
	from := p.next(ctx, t)
	p.until(ctx, t, func(s sample) bool { return s.Clock-from.Clock >= d.Seconds() })
}
