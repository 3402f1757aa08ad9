package hlscheck

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// spoiledLive is a way to break a rule that only a watch can see.
type spoiledLive struct {
	rule  string
	name  string
	spoil func(since time.Duration, r *http.Request, a *answer)
}

const (
	firstSegment = "/live/test/a1-00000.ts" // listed from 2 s to 10 s, to be kept until 20 s
	fifthSegment = "/live/test/a1-00004.ts"
)

var liveCases = []spoiledLive{
	{rule: "segment-unavailable", name: "when listed", spoil: func(_ time.Duration, r *http.Request, a *answer) {
		if r.URL.Path == fifthSegment {
			a.status = http.StatusNotFound
		}
	}},
	{rule: "segment-unavailable", name: "when removed", spoil: func(since time.Duration, r *http.Request, a *answer) {
		if r.URL.Path == firstSegment && since >= 10*time.Second {
			a.status = http.StatusNotFound
		}
	}},
	{rule: "segment-unavailable", name: "before its retention ends", spoil: func(since time.Duration, r *http.Request, a *answer) {
		if r.URL.Path == firstSegment && since >= 15*time.Second {
			a.status = http.StatusNotFound
		}
	}},
	{rule: "segment-bytes-changed", spoil: func(since time.Duration, r *http.Request, a *answer) {
		if r.URL.Path == firstSegment && since >= 10*time.Second {
			a.body[700] ^= 1
		}
	}},
	{rule: "etag-unstable", spoil: func(since time.Duration, r *http.Request, a *answer) {
		if r.URL.Path == firstSegment && since >= 10*time.Second {
			a.header.Set("Etag", `"other"`)
		}
	}},
	{rule: "segment-encoded", spoil: func(_ time.Duration, r *http.Request, a *answer) {
		if onSegment(r) {
			a.header.Set("Content-Encoding", "identity")
		}
	}},
	{rule: "segment-not-immutable", spoil: func(_ time.Duration, r *http.Request, a *answer) {
		if onSegment(r) {
			a.header.Set("Cache-Control", "public, max-age=3600")
		}
	}},
	{rule: "content-type", spoil: func(_ time.Duration, r *http.Request, a *answer) {
		if onSegment(r) {
			a.header.Set("Content-Type", "application/octet-stream")
		}
	}},
	{rule: "playlist-unavailable", spoil: func(since time.Duration, r *http.Request, a *answer) {
		if onPlaylist(r) && since > 7*time.Second && since < 7300*time.Millisecond {
			a.status = http.StatusServiceUnavailable
		}
	}},
	{rule: "playlist-unavailable", name: "refused", spoil: func(since time.Duration, r *http.Request, a *answer) {
		if onPlaylist(r) && since > 7*time.Second && since < 7300*time.Millisecond {
			a.status = 0
		}
	}},
}

// broadcast is an invented broadcast to watch.
type broadcast struct {
	world  *world
	length time.Duration // default 20.9 s
	spoil  func(since time.Duration, r *http.Request, a *answer)
	stuck  func(since time.Duration, r *http.Request) bool
	during func(t *testing.T, c *Checker)
}

// watch lets a checker watch the broadcast and report.
func (b broadcast) watch(t *testing.T) Report {
	var report Report
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		w := b.world
		if w == nil {
			w = newWorld(true, true)
		}
		w.date(0, start.Sub(worldStart))
		o := &testOrigin{history: w.history()}
		o.now = func() int { return min(int(time.Since(start)/worldTarget)-1, worldCount-1) }
		if b.spoil != nil {
			o.spoil = func(r *http.Request, a *answer) { b.spoil(time.Since(start), r, a) }
		}
		if b.stuck != nil {
			o.stuck = func(r *http.Request) bool { return b.stuck(time.Since(start), r) }
		}
		if b.length == 0 {
			b.length = 20900 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), b.length)
		defer cancel()
		c := New(Options{URL: worldURL, HTTPClient: o.client()})
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.Run(ctx)
		}()
		if b.during != nil {
			b.during(t, c)
		}
		<-done
		report = c.Report()
	})
	return report
}

func TestWatchingAnOriginWithoutFaultFindsNothing(t *testing.T) {
	kinds := map[string]int{}
	report := broadcast{spoil: func(_ time.Duration, r *http.Request, _ *answer) {
		if r.URL.Path == firstSegment {
			kinds[r.Method]++
		}
	}, during: func(t *testing.T, c *Checker) {
		if err := c.WaitSegments(t.Context(), 3); err != nil {
			t.Error(err)
		}
		if n := len(c.Report().Segments); n != 3 {
			t.Errorf("%d segments are listed when three were waited for", n)
		}
	}}.watch(t)
	if len(report.Findings) > 0 || len(report.Segments) != worldCount {
		t.Errorf("%d segments, want %d; findings:\n%s", len(report.Segments), worldCount, report)
	}
	if kinds[http.MethodGet] != 3 {
		t.Errorf("the first segment was fetched %d times, not when listed, when removed and before its retention ended", kinds[http.MethodGet])
	}
}

func TestLiveRulesAreReported(t *testing.T) {
	for _, c := range liveCases {
		t.Run(strings.TrimSpace(c.rule+" "+c.name), func(t *testing.T) {
			report := broadcast{spoil: c.spoil}.watch(t)
			if got := report.Rules(); !slices.Equal(got, []string{c.rule}) {
				t.Errorf("reported %v, want %s\n%s", got, c.rule, report)
			}
		})
	}
}

func TestAnOutageThatIsMarkedIsNoFinding(t *testing.T) {
	report := broadcast{spoil: func(since time.Duration, r *http.Request, a *answer) {
		if since > 6900*time.Millisecond && since < 7900*time.Millisecond {
			a.status = 0
		}
	}, during: func(t *testing.T, c *Checker) {
		if err := c.WaitSegments(t.Context(), 3); err != nil { // at six seconds
			t.Error(err)
		}
		c.Mark(ServerDown)
		if err := c.WaitSegments(t.Context(), 4); err != nil {
			t.Error(err)
		}
		c.Mark(ServerUp)
	}}.watch(t)
	if len(report.Findings) > 0 {
		t.Errorf("findings:\n%s", report)
	}
}

// An origin that takes requests and never answers must not silence the checker.
func TestAnOriginThatNeverAnswersIsReported(t *testing.T) {
	for rule, on := range map[string]func(r *http.Request) bool{
		"playlist-unavailable": onPlaylist,
		"segment-unavailable":  onSegment,
	} {
		report := broadcast{stuck: func(since time.Duration, r *http.Request) bool {
			return since > 7*time.Second && on(r)
		}}.watch(t)
		if !slices.Contains(report.Rules(), rule) {
			t.Errorf("%s is not reported\n%s", rule, report)
		}
	}
}

// After ENDLIST a stream may go, but not before its viewers have seen the end, nor
// before the segment that left last, at 18 s, has had its ten seconds.
func TestAnEndedStreamStaysForItsLengthAndMayThenGo(t *testing.T) {
	for gone, want := range map[time.Duration][]string{
		28500 * time.Millisecond: nil,
		22 * time.Second:         {"playlist-unavailable", "segment-unavailable"},
	} {
		w := newWorld(true, true)
		w.versions[8].tail = "#EXT-X-ENDLIST\n"
		report := broadcast{world: w, length: 32 * time.Second, spoil: func(since time.Duration, _ *http.Request, a *answer) {
			if since > gone {
				a.status = http.StatusNotFound
			}
		}, during: func(t *testing.T, c *Checker) {
			if err := c.WaitSegments(t.Context(), 8); err != nil {
				t.Error(err)
			}
			c.Mark(StreamEnded)
		}}.watch(t)
		if got := report.Rules(); !slices.Equal(got, want) {
			t.Errorf("gone at %v: reported %v, want %v\n%s", gone, got, want, report)
		}
	}
}

func TestIgnoredRulesAreLeftOut(t *testing.T) {
	w := newWorld(true, true)
	w.entries[3].duration += 2 * time.Millisecond
	h := w.history()
	if report := CheckSegments(h, Options{Ignore: []string{"extinf-not-dts-distance"}}); len(report.Findings) > 0 {
		t.Errorf("findings:\n%s", report)
	}
	if report := CheckSegments(h, Options{}); len(report.Must()) != 1 {
		t.Errorf("findings:\n%s", report)
	}
}
