package load

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const mediaSample = "#EXTM3U\r\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:41\n" +
	"#EXT-X-MAP:BYTES=\"a,b\",URI=\"init.mp4\"\n#EXTINF:2.002,title\n a.ts\n# comment\n#EXTINF:1.5\nb.ts?x=1\n#EXT-X-ENDLIST\n"

const multivariantSample = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"a,b\"\nlow/media.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\nhigh.m3u8\n"

func TestPlaylistsAreRead(t *testing.T) {
	got, err := parsePlaylist([]byte(mediaSample))
	want := &playlist{target: 2, sequence: 41, ended: true, segments: []playlistSegment{
		{"a.ts", 2.002, "init.mp4"}, {"b.ts?x=1", 1.5, "init.mp4"},
	}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = parsePlaylist([]byte(multivariantSample))
	if err != nil || got.variant != "low/media.m3u8" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "404 not found", "#EXTM3U\n", "#EXTM3U\n#EXT-X-TARGETDURATION:NaN\n", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-BYTERANGE:1@0\n"} {
		if p, err := parsePlaylist([]byte(bad)); err == nil {
			t.Errorf("%q is %+v", bad, p)
		}
	}
}

func FuzzPlaylist(f *testing.F) {
	f.Add([]byte(mediaSample))
	f.Add([]byte(multivariantSample))
	f.Add([]byte("#EXTM3U\n#EXT-X-TARGETDURATION:1e-300\n#EXT-X-MEDIA-SEQUENCE:-5\n#EXTINF:inf\n:\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parsePlaylist(b)
		if err != nil {
			return
		}
		if p.sequence < 0 || p.target < 0 || p.target > maxTarget || len(p.segments) > len(b) {
			t.Fatalf("%+v", p)
		}
		for _, s := range p.segments {
			if s.duration < 0 || s.duration > maxTarget {
				t.Fatalf("%+v", s)
			}
		}
	})
}

func TestPlaybackStallsWhenItsBufferIsEmpty(t *testing.T) {
	m := newTracker().meter
	p := playback{meter: m}
	start := time.Unix(1000, 0)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	p.add(2*time.Second, at(0))
	p.add(2*time.Second, at(5)) // it does not play yet
	p.begin(at(5))
	p.add(2*time.Second, at(8.5)) // half a second before the end
	p.advance(at(11))             // the end
	if m.stalls.Load() != 0 {
		t.Fatalf("%d stalls with something in the buffer", m.stalls.Load())
	}
	p.advance(at(12))              // empty for a second,
	p.add(2*time.Second, at(12.5)) // and a half
	p.advance(at(14))
	if got := time.Duration(m.stalled.Load()); m.stalls.Load() != 1 || got != 1500*time.Millisecond {
		t.Errorf("%d stalls of %v", m.stalls.Load(), got)
	}
	p.advance(at(15))
	if m.stalls.Load() != 2 {
		t.Errorf("%d stalls, want another one", m.stalls.Load())
	}
}

// hlsOrigin has a live playlist of segments of 200 ms. Its clock can be stopped, and jump.
type hlsOrigin struct {
	began    time.Time
	stopped  atomic.Int64 // number of the newest segment, once it is stopped
	jump     atomic.Int64 // added to all numbers
	segments atomic.Int64 // that were fetched
}

const (
	hlsTestSegment = 200 * time.Millisecond
	// hlsTestWindow is long enough for a machine that stands still for some seconds.
	hlsTestWindow = 25
)

func (o *hlsOrigin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/live/s/index.m3u8":
		fmt.Fprint(w, strings.ReplaceAll(multivariantSample, "low/media.m3u8", "x/media.m3u8"))
	case r.URL.Path == "/live/s/x/media.m3u8":
		newest := o.newest()
		if s := o.stopped.Load(); s > 0 {
			newest = min(newest, s)
		}
		newest += o.jump.Load()
		fmt.Fprintf(w, "#EXTM3U\n#EXT-X-TARGETDURATION:0.2\n#EXT-X-MEDIA-SEQUENCE:%d\n", newest)
		for n := range int64(hlsTestWindow) {
			fmt.Fprintf(w, "#EXTINF:0.2,\n%d.ts\n", newest+n)
		}
	case strings.HasSuffix(r.URL.Path, ".ts"):
		o.segments.Add(1)
		packet := make([]byte, tsPacket)
		packet[0], packet[1], packet[2] = tsSync, 0x1f, 0xff
		body := []byte(strings.Repeat(string(packet), 2000)) // enough to be dropped by the kernel
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body)
	default:
		http.NotFound(w, r)
	}
}

// newest is the media sequence number of the playlist.
func (o *hlsOrigin) newest() int64 { return int64(time.Since(o.began) / hlsTestSegment) }

func hlsConfig(t *testing.T) (*hlsOrigin, Config) {
	o := &hlsOrigin{began: time.Now()}
	web := httptest.NewServer(o)
	t.Cleanup(web.Close)
	return o, Config{
		Viewers:  []Viewers{{HLS, web.URL + "/live/s/index.m3u8", 2}},
		Duration: 3 * time.Second, Look: 2, baseline: time.Millisecond,
	}
}

func TestAPlayerReadsEachSegmentOnce(t *testing.T) {
	t.Parallel()
	o, c := hlsConfig(t)
	r := mustRun(t, c)
	v := r.Viewers[0]
	if v.Joined != 2 || v.Segments < 4 || v.Skipped != 0 || len(v.Errors) != 0 {
		t.Errorf("%+v", v)
	}
	read, most := o.segments.Load(), 2*(o.newest()+hlsTestWindow)
	if read < v.Segments || read > most || v.Received < v.Segments*2000*tsPacket {
		t.Errorf("%d of at most %d segments were fetched, %d counted, with %d bytes", read, most, v.Segments, v.Received)
	}
}

func TestAPlaylistThatStandsStillStallsPlayers(t *testing.T) {
	t.Parallel()
	o, c := hlsConfig(t)
	c.Observe = func(p Progress) {
		if p.Phase == "measuring" {
			o.stopped.CompareAndSwap(0, o.newest())
		}
	}
	if v := mustRun(t, c).Viewers[0]; v.Stalls < 2 || v.StallSeconds < 1 {
		t.Errorf("%d stalls of %.1f s", v.Stalls, v.StallSeconds)
	}
}

func TestASequenceThatGoesBackIsAnError(t *testing.T) {
	t.Parallel()
	o, c := hlsConfig(t)
	o.jump.Store(1000)
	c.Observe = func(p Progress) {
		if p.Phase == "measuring" {
			o.jump.Store(0)
		}
	}
	if v := mustRun(t, c).Viewers[0]; v.Errors["the media sequence number went back"] != 2 || v.Reconnects != 2 {
		t.Errorf("%+v", v)
	}
}

func TestSegmentsThatAreGoneAreSkipped(t *testing.T) {
	t.Parallel()
	o, c := hlsConfig(t)
	var once atomic.Bool
	c.Observe = func(p Progress) {
		if p.Phase == "measuring" && p.Since > 500*time.Millisecond && !once.Swap(true) {
			o.jump.Store(100)
		}
	}
	if v := mustRun(t, c).Viewers[0]; v.Skipped < 2*50 || v.Skipped > 2*100 {
		t.Errorf("%d segments were skipped, want twice 50 to 100", v.Skipped)
	}
}
