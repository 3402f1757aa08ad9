package flv

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/headwater-live/headwater/remux/flvtag"
)

func TestEveryProtocolCarriesTheSame(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, p.secure, Config{})
			src := s.publish(t)
			src.size = 50_000 // so that records, frames and slabs end in the middle of pictures
			src.picture(true)
			src.picture(false)
			body, header := p.watch(t, s, "")
			if header.Get("Sec-WebSocket-Accept") == "" {
				for key, want := range map[string]string{
					"Content-Type": "video/x-flv", "Cache-Control": "no-store", "X-Accel-Buffering": "no", "Access-Control-Allow-Origin": "*",
				} {
					if got := header.Get(key); got != want {
						t.Errorf("%s is %q, not %q", key, got, want)
					}
				}
			}
			if got := header.Get("Sec-WebSocket-Extensions"); got != "" {
				t.Errorf("extensions %q were agreed on", got)
			}
			r := newReader(t, body)
			if flags := r.flags(); flags != 5 {
				t.Errorf("flags %#x", flags)
			}
			for want := range 40 {
				if n, _ := r.picture(); n != want {
					t.Fatalf("picture %d came, not %d", n, want)
				}
				src.picture(want%10 == 9)
			}
			s.hub.Close()
			for want := 40; want < 42; want++ {
				if n, _ := r.picture(); n != want {
					t.Fatalf("picture %d came at the end, not %d", n, want)
				}
			}
			if n, _ := r.picture(); n != -1 {
				t.Errorf("picture %d came after the end", n)
			}
		})
	}
}

func TestAPingIsAnsweredWhileTheStreamRunsAndWhileItRests(t *testing.T) {
	for _, secure := range []bool{false, true} {
		s := newSite(t, secure, Config{})
		src := s.publish(t)
		src.picture(true)
		c, _, err := websocket.Dial(t.Context(), s.server.URL+path, &websocket.DialOptions{HTTPClient: s.server.Client()})
		if err != nil {
			t.Fatal(err)
		}
		c.SetReadLimit(-1)
		var reading sync.WaitGroup
		reading.Go(func() {
			for {
				if _, _, err := c.Read(t.Context()); err != nil {
					return
				}
			}
		})
		for range 20 {
			ping(t, c) // the stream rests
			src.picture(false)
			ping(t, c)
		}
		_ = c.CloseNow()
		reading.Wait()
	}
}

func ping(t *testing.T, c *websocket.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Ping(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestAnswersOtherThanTheStreamLetPagesReadThem(t *testing.T) {
	s := newSite(t, false, Config{Wait: time.Nanosecond})
	for _, test := range []struct {
		method, path string
		header       http.Header
		status       int
	}{
		{"GET", path, nil, http.StatusNotFound},
		{"GET", path, http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}, http.StatusNotFound},
		{"GET", path, http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"8"}}, http.StatusUpgradeRequired},
		{"GET", path, http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}}, http.StatusBadRequest},
		{"HEAD", path, nil, http.StatusNotFound},
		{"GET", path + "?audio=0&video=0", nil, http.StatusBadRequest},
		{"HEAD", path + "?video=0&audio=0", nil, http.StatusBadRequest},
		{"OPTIONS", path, nil, http.StatusNoContent},
		{"POST", path, nil, http.StatusMethodNotAllowed},
	} {
		req, err := http.NewRequest(test.method, s.server.URL+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for key, values := range test.header {
			req.Header[key] = values
		}
		res, err := s.server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != test.status || res.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s %v: status %d, CORS %q", test.method, test.header, res.StatusCode, res.Header.Get("Access-Control-Allow-Origin"))
		}
	}
}

func TestATrackThatIsNotWantedIsLeftOut(t *testing.T) {
	for _, p := range protocols {
		for query, want := range map[string]struct {
			flags byte
			kind  byte
		}{"?audio=0": {1, typeVideo}, "?video=0": {4, typeAudio}} {
			s := newSite(t, p.secure, Config{})
			src := s.publish(t)
			src.picture(true)
			body, _ := p.watch(t, s, query)
			r := newReader(t, body)
			if flags := r.flags(); flags != want.flags {
				t.Errorf("%s %s: flags %#x", p.name, query, flags)
			}
			for range 5 {
				src.picture(false)
			}
			src.pub.End("done")
			s.hub.Close()
			n := 0
			for {
				tag, err := r.next()
				if err != nil {
					break
				}
				if n++; tag.kind != want.kind && tag.kind != byte(flvtag.Script) {
					t.Errorf("%s %s: a tag of type %d", p.name, query, tag.kind)
				}
			}
			if n < 7 {
				t.Errorf("%s %s: %d tags", p.name, query, n)
			}
		}
	}
}

func TestAViewerMayComeBeforeThePublisher(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, p.secure, Config{})
			waiting := make(chan struct{})
			go func() { // publishes once the viewer waits
				defer close(waiting)
				for len(s.hub.Waiting()) == 0 {
					time.Sleep(time.Millisecond)
				}
				src := s.publish(t)
				for i := range 100 {
					src.picture(i == 0)
				}
			}()
			body, _ := p.watch(t, s, "")
			r := newReader(t, body)
			r.flags()
			for want := range 100 {
				if n, _ := r.picture(); n != want {
					t.Fatalf("picture %d came, not %d", n, want)
				}
			}
			<-waiting
		})
	}
}

func TestAViewerStaysWhileThePublisherIsAway(t *testing.T) {
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, p.secure, Config{})
			src := s.publish(t)
			src.picture(true)
			body, _ := p.watch(t, s, "")
			r := newReader(t, body)
			r.flags()
			if n, _ := r.picture(); n != 0 {
				t.Fatalf("picture %d came first", n)
			}
			src.pub.End("gone")
			again := s.publish(t) // counts from 0 again
			again.write(typeVideo, 0, append([]byte(strings.TrimSuffix(string(avcConfig), "\x80")), 0x81))
			again.picture(true)
			again.picture(false)
			var last uint32
			configs, pictures := 0, 0
			for pictures < 2 {
				tag, err := r.next()
				if err != nil {
					t.Fatal(err)
				}
				if tag.dts < last {
					t.Errorf("time goes from %d to %d", last, tag.dts)
				}
				last = tag.dts
				if tag.kind == typeVideo && tag.body[1] == 0 {
					configs++
				} else if tag.kind == typeVideo {
					pictures++
				}
			}
			if configs != 1 {
				t.Errorf("%d sequence headers came after the change", configs)
			}
			s.hub.Close()
			if n, _ := r.picture(); n != -1 {
				t.Errorf("picture %d came after the end", n)
			}
		})
	}
}
