package remux

import (
	"errors"
	"testing"
	"time"
)

func TestAHubThatRetiresGoesOnForThoseWhoWatch(t *testing.T) {
	s := newSession(t)
	s.start()
	viewer := &recorder{}
	s.hub.Stream("live/test").Attach(viewer)
	if _, err := s.hub.Publish("live/unwatched", Publisher{}); err != nil {
		t.Fatal(err)
	}
	waiting := &recorder{}
	_, cancel := s.hub.Expect("live/later", func(made *Stream) { made.Attach(waiting) })
	defer cancel()
	before := len(s.sink.packets)
	s.hub.Retire()

	if s.sink.closes != 2 || viewer.closes != 0 || viewer.ends != 1 {
		t.Errorf("the factory's sinks were closed %d times, the viewer's %d times and ended %d times", s.sink.closes, viewer.closes, viewer.ends)
	}
	if err := s.pub.Write(Message{}); !errors.Is(err, ErrFenced) {
		t.Errorf("the publisher goes on: %v", err)
	}
	if _, err := s.hub.Publish("live/test", Publisher{Credential: "a"}); !errors.Is(err, ErrClosed) {
		t.Errorf("somebody can publish: %v", err)
	}
	if got := s.hub.Watched(); len(got) != 2 {
		t.Errorf("watched are %v", got)
	}

	last := viewer.frames(VideoFrame)[0].DTS
	for _, name := range []StreamName{"live/test", "live/later"} {
		pub, err := s.hub.Relay(name, Publisher{})
		if err != nil {
			t.Fatal(err)
		}
		s.pub = pub
		s.start()
		if !s.hub.Stream(name).Live() {
			t.Errorf("%s is not live", name)
		}
	}
	if frames := viewer.frames(VideoFrame); len(frames) != 2 || frames[1].DTS <= last {
		t.Errorf("the viewer has %d pictures", len(frames))
	}
	if len(waiting.frames(VideoFrame)) != 1 {
		t.Error("who waited for a stream has not got it")
	}
	if len(s.sink.packets) != before {
		t.Error("the factory's sinks are written to")
	}
	s.hub.EndStream("live/test")
	s.hub.EndStream("live/test")
	if viewer.closes != 1 || s.hub.Stream("live/test") != nil {
		t.Error("the stream has not ended")
	}
	s.hub.Close()
	if waiting.closes != 1 {
		t.Error("the other stream has not ended with the hub")
	}
	if _, err := s.hub.Relay("live/test", Publisher{}); !errors.Is(err, ErrClosed) {
		t.Errorf("a hub that is closed takes a relay: %v", err)
	}
}

func TestAStreamOfAHubThatRetiresDoesNotEndByItself(t *testing.T) {
	hub := NewHub(Config{Grace: 20 * time.Millisecond})
	defer hub.Close()
	pub, err := hub.Publish("live/test", Publisher{})
	if err != nil {
		t.Fatal(err)
	}
	stream := hub.Stream("live/test")
	pub.End(EndUnpublished) // its grace period has begun
	hub.Retire()
	select {
	case <-stream.Closed():
		t.Error("it has ended")
	case <-time.After(200 * time.Millisecond):
	}
}
