package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

const (
	// halfClock is half of what FLV and RTMP can say with a sign, in ms: whose stream begins before it sees
	// the stream's own time, up to 23.8 days.
	halfClock = 1 << 30
	// wholeClock is where such a viewer's time ends, at the latest: a day, and the longest composition time,
	// before there is none.
	wholeClock = 1<<31 - 1 - 24*60*60*1_000 - 1<<23
	// leap is the longest step between frames that is believed, in ms: with it weeks take seconds.
	leap = 9_990
	// clockGOP is the distance of keyframes, in pictures.
	clockGOP = 10
)

// fastForward publishes small pictures that carry their number.
type fastForward struct {
	t      *testing.T
	client *rtmp.Client
	number int
	at     uint32
}

func (f *fastForward) picture(step uint32) {
	f.t.Helper()
	head, nalu := "\x27\x01\x00\x00\x00", "\x41"
	if f.number%clockGOP == 0 {
		head, nalu = "\x17\x01\x00\x00\x00", "\x65"
	}
	number := fmt.Sprintf("%012d", f.number)
	f.at += step
	if err := f.client.WriteMedia(rtmp.TypeVideo, f.at, append([]byte(head), withLength([]byte(nalu+number))...)); err != nil {
		f.t.Fatal(err)
	}
	f.number++
}

// clockViewer is what somebody has got of it.
type clockViewer struct {
	first, next  int           // numbers
	began, ended uint32        // times
	key          bool          // the first picture
	pictures     chan struct{} // closed at the first
	end          chan error
}

// take notes a picture.
func (v *clockViewer) take(number int, at uint32, key bool) error {
	if v.next == 0 {
		v.first, v.began, v.key = number, at, key
		close(v.pictures)
	} else if number != v.next || at <= v.ended {
		return fmt.Errorf("picture %d at %d after picture %d at %d", number, at, v.next-1, v.ended)
	}
	v.next, v.ended = number+1, at
	return nil
}

// clockWatchers read pictures over a protocol until the stream's end, which is nil.
var clockWatchers = map[string]func(*testing.T, *server, string, *clockViewer) error{
	"HTTP-FLV": func(t *testing.T, s *server, name string, v *clockViewer) error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.flvURL(name), nil)
		if err != nil {
			return err
		}
		res, err := viewerClient.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		return eachTag(res.Body, func(tag flvTag) error {
			if id, ok := liveFrame(tag.kind, tag.body); ok {
				return v.take(id.number, tag.time, tag.body[0] == 0x17)
			}
			return nil
		})
	},
	"RTMP": func(t *testing.T, s *server, name string, v *clockViewer) error {
		c, err := rtmp.Dial(t.Context(), s.publishURL(name), rtmp.ClientConfig{})
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		if err := c.Play(t.Context()); err != nil {
			return err
		}
		for {
			m, err := c.ReadMedia()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if id, ok := liveFrame(int(m.Type), m.Payload); ok {
				if err := v.take(id.number, m.Timestamp, m.Payload[0] == 0x17); err != nil {
					return err
				}
			}
		}
	},
}

// watchClock begins to watch, and returns when the first picture has come.
func watchClock(t *testing.T, s *server, name, protocol string) *clockViewer {
	t.Helper()
	v := &clockViewer{pictures: make(chan struct{}), end: make(chan error, 1)}
	go func() { v.end <- clockWatchers[protocol](t, s, name, v) }()
	select {
	case <-v.pictures:
	case err := <-v.end:
		t.Fatalf("%s: ended before the first picture: %v", protocol, err)
	case <-time.After(startLimit):
		t.Fatalf("%s: no picture has come", protocol)
	}
	return v
}

// await returns when the viewer's stream has ended.
func (v *clockViewer) await(t *testing.T, protocol string) {
	t.Helper()
	select {
	case err := <-v.end:
		if err != nil {
			t.Errorf("%s: %v", protocol, err)
		}
	case <-time.After(startLimit):
		t.Fatalf("%s: the stream does not end", protocol)
	}
}

// TestWhoWatchesForWeeksIsGivenANewClock has viewers see 11.4 days pass in seconds, which brings their time to
// its end at 23.8 days: their answer ends in order before a keyframe, and who asks again goes on with it, by a
// clock that begins anew.
func TestWhoWatchesForWeeksIsGivenANewClock(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--hls.enabled=false", "--stream.grace=1s")
	const name = "weeks"
	client, err := rtmp.Dial(limit(t, startLimit), s.publishURL(name), rtmp.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	if err := client.Publish(limit(t, startLimit)); err != nil {
		t.Fatal(err)
	}
	const first = halfClock - 60_000
	if err := client.WriteMedia(rtmp.TypeVideo, first, liveVideoConfig); err != nil {
		t.Fatal(err)
	}
	src := &fastForward{t: t, client: client, at: first}
	for range 3 * clockGOP { // more than a second: there is no sound to wait for
		src.picture(40)
	}
	viewers := map[string]*clockViewer{}
	for protocol := range clockWatchers {
		viewers[protocol] = watchClock(t, s, name, protocol)
	}
	for src.at+leap <= wholeClock || src.number%clockGOP != 0 {
		src.picture(leap)
	}
	for protocol, v := range viewers {
		select {
		case err := <-v.end:
			t.Fatalf("%s: ended before its time is over: %v", protocol, err)
		default:
		}
	}
	cut := src.number // a keyframe
	for range 3 {
		src.picture(leap)
	}
	for protocol, v := range viewers {
		v.await(t, protocol)
		if v.began < first || v.began >= halfClock || v.next != cut || v.ended >= 1<<31 {
			t.Errorf("%s: from %d ms to picture %d at %d ms, want from %d to picture %d", protocol, v.began, v.next-1, v.ended, first, cut-1)
		}
		viewers[protocol] = watchClock(t, s, name, protocol)
	}
	for range 2 * clockGOP {
		src.picture(40)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	// The new clock begins behind what the configuration has said, which is as old as the publication.
	for protocol, v := range viewers {
		if !v.key || v.first != cut || v.began > halfClock {
			t.Errorf("%s: who asks again begins with picture %d at %d ms, a keyframe: %t; want picture %d", protocol, v.first, v.began, v.key, cut)
		}
		v.await(t, protocol)
		if v.next != src.number {
			t.Errorf("%s: the last picture is %d, want %d", protocol, v.next-1, src.number-1)
		}
	}
}
