package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func small(t *testing.T) Source {
	t.Helper()
	s, err := NewSynth(SynthConfig{Bitrate: 200_000, AudioBitrate: 32_000, Width: 160, Height: 120, FPS: 25, GOP: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// against is a load of one publisher and a few viewers of each protocol that streams.
func against(t *testing.T, o *origin, count int) Config {
	t.Helper()
	web := o.http + "/live/s%d.flv"
	return Config{
		Source: small(t), Publishers: 1, PublishURL: o.rtmp + "/live/s%d",
		Viewers: []Viewers{
			{HTTPFLV, web, count}, {WebSocketFLV, "ws" + strings.TrimPrefix(web, "http"), count}, {RTMPPlay, o.rtmp + "/live/s%d", count},
		},
		Duration: 1500 * time.Millisecond, Look: 1, baseline: time.Millisecond,
	}
}

func mustRun(t *testing.T, c Config) *Report {
	t.Helper()
	r, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAHealthyServerLosesNothing(t *testing.T) {
	t.Parallel()
	o := (&origin{}).start(t)
	c := against(t, o, 4)
	c.Look = 2
	r := mustRun(t, c)
	for _, v := range r.Viewers {
		if v.Joined != 4 || v.Connected != 4 || v.LookedInto != 2 || v.Lost != 0 || v.Repeated != 0 || len(v.Errors) != 0 || v.Reconnects != 0 {
			t.Errorf("%+v", v)
		}
		// About 75 frames come; on a machine that stands still for a while fewer.
		if v.Frames < 10 || v.Delay.Count != uint64(v.Frames) || v.Delay.P50 <= 0 || v.Delay.Max < v.Delay.P99 {
			t.Errorf("%s: %d frames with delay %+v", v.Protocol, v.Frames, v.Delay)
		}
		if v.LeastBytes < v.MostBytes/4 || v.MostBytes*4 < v.Bytes || v.LeastBytes < r.Publishers.Bytes/4 {
			t.Errorf("%s: %d to %d bytes for a viewer, %d for all, %d published", v.Protocol, v.LeastBytes, v.MostBytes, v.Bytes, r.Publishers.Bytes)
		}
	}
	if o.pongs.Load() < 100 {
		t.Errorf("%d pings were answered", o.pongs.Load())
	}
}

func TestDroppedFramesShow(t *testing.T) {
	t.Parallel()
	o := (&origin{drop: func(frame int) bool { return frame%5 == 4 }}).start(t)
	for _, v := range mustRun(t, against(t, o, 2)).Viewers {
		if share := float64(v.Lost) / float64(v.Lost+v.Frames); share < 0.1 || share > 0.3 {
			t.Errorf("%s: %d lost and %d received, want a fifth lost", v.Protocol, v.Lost, v.Frames)
		}
	}
}

func TestAddedDelayShows(t *testing.T) {
	t.Parallel()
	const added = 200
	o := (&origin{delay: added * time.Millisecond}).start(t)
	for _, v := range mustRun(t, against(t, o, 2)).Viewers {
		if v.Delay.Count == 0 || v.Delay.P50 < added || v.Lost != 0 {
			t.Errorf("%s: %d lost, delay %+v", v.Protocol, v.Lost, v.Delay)
		}
	}
}

// Of each protocol one viewer is looked into, and one only counted.
func TestStallsShow(t *testing.T) {
	t.Parallel()
	o := (&origin{pause: func(frame int) time.Duration {
		if frame%60 == 59 {
			return 1500 * time.Millisecond
		}
		return 0
	}}).start(t)
	c := against(t, o, 2)
	c.Look, c.Stall, c.Duration = 2, 700*time.Millisecond, 6*time.Second
	for _, v := range mustRun(t, c).Viewers {
		if v.Stalls < 2 || v.StallSeconds < 2 || v.Lost != 0 {
			t.Errorf("%s: %d stalls of %.1f s, %d lost", v.Protocol, v.Stalls, v.StallSeconds, v.Lost)
		}
	}
}

// A server that sends nothing any more has not lost a frame yet.
func TestAStallShowsWhileItLasts(t *testing.T) {
	t.Parallel()
	o := (&origin{silent: 50}).start(t)
	c := against(t, o, 1)
	c.Stall, c.Duration = 500*time.Millisecond, 4*time.Second
	for _, v := range mustRun(t, c).Viewers {
		if v.Stalls == 0 || v.StallSeconds < 1 {
			t.Errorf("%s: %d stalls of %.1f s", v.Protocol, v.Stalls, v.StallSeconds)
		}
	}
}

func TestBrokenConnectionsAreCountedAndMadeAnew(t *testing.T) {
	t.Parallel()
	o := (&origin{hangUp: 30}).start(t)
	c := against(t, o, 2)
	c.Look, c.Duration = 2, 3*time.Second
	for _, v := range mustRun(t, c).Viewers {
		if v.Reconnects < 2 || len(v.Errors) == 0 || v.Joined != 2 || v.Lost == 0 {
			t.Errorf("%+v", v)
		}
	}
}

func TestManyPublishersHaveAStreamEach(t *testing.T) {
	t.Parallel()
	o := (&origin{}).start(t)
	c := against(t, o, 6)
	c.Publishers = 3
	r := mustRun(t, c)
	o.mu.Lock()
	streams := len(o.streams)
	o.mu.Unlock()
	p := r.Publishers
	if streams != 3 || p.Accepted != 3 || p.Connected != 3 || r.Viewers[0].Lost != 0 || r.Viewers[0].Frames == 0 {
		t.Errorf("%d streams, publishers %+v, viewers %+v", streams, p, r.Viewers[0])
	}
	if p.Frames < 30 || p.Late.Count < uint64(p.Frames) {
		t.Errorf("%d frames were sent, late %+v", p.Frames, p.Late)
	}
}

func TestNobodyAtHomeIsAnError(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	_ = listener.Close()
	r, err := Run(t.Context(), Config{Source: small(t), Publishers: 1, PublishURL: "rtmp://" + addr + "/live/s", baseline: time.Millisecond})
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "could not connect") || r == nil {
		t.Errorf("%v", err)
	}
	o := (&origin{}).start(t)
	c := against(t, o, 1)
	c.Viewers = []Viewers{{HTTPFLV, o.http + "/live/s%d.ogg", 1}}
	r, err = Run(t.Context(), c)
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "status 404") || r.Viewers[0].Errors["status 404"] == 0 {
		t.Errorf("%v, %+v", err, r.Viewers)
	}
}

func TestAnInterruptedRunReportsWhatThereIs(t *testing.T) {
	t.Parallel()
	o := (&origin{}).start(t)
	c := against(t, o, 1)
	c.Duration = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.Observe = func(p Progress) {
		if p.Phase == "measuring" && p.Report.Viewers[0].Frames > 0 {
			cancel()
		}
	}
	r, err := Run(ctx, c)
	if err != nil || !r.Interrupted || r.Viewers[0].Frames == 0 || len(r.Viewers[0].Errors) != 0 {
		t.Errorf("%v, %+v", err, r)
	}
}

func TestViewersFollowRedirects(t *testing.T) {
	t.Parallel()
	o := (&origin{}).start(t)
	c := against(t, o, 1)
	elsewhere := httptest.NewServer(http.RedirectHandler(strings.ReplaceAll(c.Viewers[0].URL, "%d", "1"), http.StatusFound))
	defer elsewhere.Close()
	c.Viewers = []Viewers{{HTTPFLV, elsewhere.URL + "/s.flv", 1}}
	if v := mustRun(t, c).Viewers[0]; v.Frames == 0 {
		t.Errorf("%+v", v)
	}
	loop := httptest.NewServer(http.RedirectHandler("/again", http.StatusFound))
	defer loop.Close()
	c.Viewers[0].URL = loop.URL + "/s.flv"
	if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "too many redirects") {
		t.Errorf("%v", err)
	}
}

// The bytes that are only counted are the bytes that a server has sent, also over TLS, which has to be read.
func TestCountedBytesAreThoseSent(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		for _, looks := range []bool{false, true} {
			countBytes(t, secure, looks)
		}
	}
}

func countBytes(t *testing.T, secure, looks bool) {
	t.Helper()
	const size = 20_000_000
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		piece := make([]byte, 1<<20)
		for sent := 0; sent < size; sent += len(piece) {
			_, _ = w.Write(piece[:min(len(piece), size-sent)])
		}
		<-r.Context().Done() // one response for each viewer is enough
	}))
	start := web.Start
	if secure {
		start = web.StartTLS
	}
	start()
	defer web.Close()
	d, err := newDrains()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done, watched := make(chan struct{}), make(chan error, 1)
	go func() { d.run(ctx); close(done) }()
	n := &network{tls: &tls.Config{InsecureSkipVerify: true}}
	v := &viewer{group: &group{protocol: HTTPFLV, drains: d, network: n, joining: make(chan struct{}, 1)}, url: web.URL + "/x.flv"}
	v.group.meter.measuring, v.group.meter.stallAfter = new(atomic.Bool), time.Minute
	go func() {
		f, err := v.joinHTTP(ctx)
		if err == nil {
			if f.timed = looks; looks {
				f.parser = ignore{}
			}
			err = d.drain(ctx, f)
		}
		watched <- err
	}()
	for deadline := time.Now().Add(time.Minute); v.received.Load() < size && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if got := v.received.Load(); got != size {
		t.Errorf("TLS %v, looked into %v: %d bytes, want %d", secure, looks, got, size)
	}
	cancel()
	<-done
	if err := <-watched; err == nil {
		t.Error("it ended without saying why")
	}
	web.CloseClientConnections()
}

type ignore struct{}

func (ignore) parse([]byte, time.Time) error { return nil }

func TestConfigFaultsAreAllReported(t *testing.T) {
	err := Config{
		Publishers: 2, PublishURL: "http://h/live/s%d?token=hush", Ramp: -1, Look: -1,
		Viewers: []Viewers{{HTTPFLV, "http://h/live/s.flv", 1}, {RTMPPlay, "rtmp://h/live/s%d", 0}},
	}.Validate()
	for _, want := range []string{"nothing to publish", "at a rate", "n is at least 1", "rtmp:// or rtmps://HOST", "no %d", "0 RTMP viewers"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hush") {
		t.Errorf("a token is quoted: %v", err)
	}
}
