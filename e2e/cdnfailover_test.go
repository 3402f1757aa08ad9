package e2e

import (
	"context"
	"os/exec"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/e2e/hlscheck"
)

// failoverRules are the ones that two origins break by their nature: when the first is gone, so are its
// playlist and the segments that no cache has. That of the second begins in the middle.
var failoverRules = []string{"playlist-unavailable", "segment-unavailable", "endlist-missing"}

// TestTwoOriginsFailOver has one encoder feed two servers behind nginx as docs/cdn.md describes it, and
// kills the first. No viewer gets an error other than 404, one who then loads the multivariant
// playlist again plays on, and nobody is sent back when the first server is there again.
func TestTwoOriginsFailOver(t *testing.T) {
	t.Parallel()
	ctx := limit(t, 3*time.Minute)
	src := keepFixture.make(t)
	const name = "both"
	dir := t.TempDir()
	flags := []string{"--hls.segment", "1s", "--hls.window", "10"}
	first, second := startServerIn(t, dir, flags...), startServer(t, flags...)
	feedBoth(ctx, t, src.path, first.publishURL(name), second.publishURL(name))
	waitForHLS(ctx, t, first.hlsURL(name), 3)
	waitForHLS(ctx, t, second.hlsURL(name), 3)

	web := openDoor(t) // the first origin's address, which is the same when it comes back
	web.lead(first.http)
	f := &front{client: clientOf(startNginxWith(t, "http://127.0.0.1:8080", func(conf string) string {
		return twoOrigins(t, conf, web.addr(), strings.TrimPrefix(second.http, "http://"))
	})), index: "/" + app + "/" + name + "/index.m3u8"}
	r := callReferee(ctx, t, hlscheck.Options{URL: throughCache + f.index, HTTPClient: f.client, Slack: busySlack, Ignore: failoverRules})
	v := &switcher{front: f, ctx: ctx}
	v.follow(t, 4)
	if v.reloads != 1 || !strings.Contains(first.listing(ctx, t, name), v.newest()) {
		t.Errorf("the viewer plays %s after loading the multivariant playlist %d times, not the first origin's", v.newest(), v.reloads)
	}

	began := time.Now()
	web.lead("")
	first.kill(t)
	for before := len(v.segments); len(v.segments) < before+4; {
		v.follow(t, 1)
		if last := v.newest(); v.reloads > 1 && !strings.Contains(second.listing(ctx, t, name), last) && !v.listed(t, last) {
			t.Errorf("after the failure the viewer got %s, which the second origin does not list", last)
		}
	}
	if v.reloads < 2 {
		t.Error("the viewer did not have to load the multivariant playlist again: the first origin still answers")
	}
	t.Logf("a new segment of the second origin %v after the first was gone; %d reloads", v.switched.Sub(began).Round(10*time.Millisecond), v.reloads-1)

	again := startServerIn(t, dir, flags...)
	web.lead(again.http)
	waitForHLS(ctx, t, again.hlsURL(name), 1) // it serves its last playlist again
	reloads := v.reloads
	v.follow(t, 4)
	if v.reloads != reloads {
		t.Error("viewers were sent back when the first origin was there again")
	}
	r.verdict(t)
}

// feedBoth publishes a file to two servers from one ffmpeg, again and again until the test ends.
func feedBoth(ctx context.Context, t *testing.T, file, one, other string) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	needTool(t, "ffmpeg")
	cmd := isolate(exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", file,
		"-c", "copy", "-map", "0", "-f", "tee", "[f=flv:onfail=ignore]"+one+"|[f=flv:onfail=ignore]"+other))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
}

// twoOrigins puts the documentation's example of two origins in the place of the one.
func twoOrigins(t *testing.T, conf, first, second string) string {
	t.Helper()
	from := strings.Index(conf, "upstream headwater {")
	to := from + strings.Index(conf[max(from, 0):], "}\n") + 2
	if from < 0 || to < from {
		t.Fatal("the example has no upstream headwater")
	}
	return conf[:from] + example(t, "nginx/two-origins.conf", map[string]string{"192.0.2.1:8080": first, "192.0.2.2:8080": second}) + conf[to:]
}

// listing returns the media playlist of a server itself.
func (s *server) listing(ctx context.Context, t *testing.T, name string) string {
	t.Helper()
	index := s.hlsURL(name)
	return string(mustFetch(ctx, t, resolve(t, index, lastLine(mustFetch(ctx, t, index).body))).body)
}

// switcher is a viewer who loads the multivariant playlist again when the media playlist is not found.
type switcher struct {
	*front
	ctx      context.Context
	segments []string // that were received, in their order
	reloads  int
	switched time.Time // when the first segment after the newest reload came
}

func (v *switcher) newest() string { return path.Base(v.segments[len(v.segments)-1]) }

// listed reports whether the playlist that the viewer follows lists a segment.
func (v *switcher) listed(t *testing.T, uri string) bool {
	got := v.get(v.ctx, t, v.media)
	return got.status == 200 && strings.Contains(string(got.body), uri)
}

// follow plays some segments more.
func (v *switcher) follow(t *testing.T, more int) {
	t.Helper()
	for want := len(v.segments) + more; len(v.segments) < want; {
		if v.ctx.Err() != nil {
			t.Fatalf("the viewer got %v, and then no more", v.segments)
		}
		if v.media == "" {
			got := v.get(v.ctx, t, v.index)
			if got.status != 200 {
				t.Fatalf("the multivariant playlist: %d", got.status)
			}
			v.media = path.Join(path.Dir(v.index), lastLine(got.body))
			v.reloads++
		}
		v.step(t)
		time.Sleep(pollInterval)
	}
}

func (v *switcher) step(t *testing.T) {
	t.Helper()
	got := v.get(v.ctx, t, v.media)
	if got.status == 404 {
		v.media = ""
		return
	}
	if got.status != 200 {
		t.Errorf("%s: %d, which is neither there nor missing", v.media, got.status)
		return
	}
	segment := path.Join(path.Dir(v.media), lastLine(got.body))
	if len(v.segments) > 0 && v.segments[len(v.segments)-1] == segment {
		return
	}
	switch s := v.get(v.ctx, t, segment); s.status {
	case 200:
		if len(v.segments) == 0 || path.Dir(v.segments[len(v.segments)-1]) != path.Dir(segment) {
			v.switched = time.Now()
		}
		v.segments = append(v.segments, segment)
	case 404: // the first origin listed it, and is gone
	default:
		t.Errorf("%s: %d", segment, s.status)
	}
}
