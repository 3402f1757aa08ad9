package remux

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/remux/flvtag"
)

// handOver begins in another hub what a session's publication is handed over with.
func (s *session) handOver(since time.Time) *session {
	s.t.Helper()
	preamble, properties, ok := s.pub.HandOver()
	if !ok {
		s.t.Fatal("the publication could not be handed over")
	}
	there := newSession(s.t)
	there.pub.End(EndUnpublished)
	pub, err := there.hub.Publish("live/there", Publisher{Since: since})
	if err != nil {
		s.t.Fatal(err)
	}
	there.pub = pub
	pub.SetMetadata(properties)
	for _, m := range preamble {
		there.write(m.Type, m.Timestamp, m.Payload)
	}
	return there
}

func TestAPublicationGoesOnWhereItWasHandedOver(t *testing.T) {
	s := newSession(t)
	s.pub.SetMetadata([]flvtag.Property{{Name: "title", Value: "test"}})
	s.start()
	s.video(40, videoFrame(false, inter))
	s.video(80, header256) // in force from the keyframe on, with which the other process begins
	since := time.Unix(1_600_000_000, 0)
	there := s.handOver(since)
	s.wantKinds(Metadata, VideoConfig, AudioConfig, VideoFrame, AudioFrame, VideoFrame)
	if s.sink.ends != 1 || s.pub.Reason() != EndUpgrade {
		t.Errorf("%d ends, reason %q", s.sink.ends, s.pub.Reason())
	}
	there.video(80, videoFrame(true, idr))
	there.audio(60, aacFrame)
	there.wantKinds(Metadata, VideoConfig, AudioConfig, VideoFrame, AudioFrame)
	if got := there.sink.frames(VideoConfig)[0].Payload; !slices.Equal(got, header256) {
		t.Errorf("it goes on with the configuration % x", got)
	}
	if got := string(there.sink.packets[0].Payload); !strings.Contains(got, "title") {
		t.Errorf("metadata %q", got)
	}
	if there.pub.Started() != since {
		t.Errorf("it began at %v, want %v", there.pub.Started(), since)
	}
	if _, _, ok := s.pub.HandOver(); ok {
		t.Error("it could be handed over twice")
	}
}

func TestStatesAreHandedOver(t *testing.T) {
	for _, decided := range []bool{true, false} {
		s := newSession(t)
		hdr := []byte{0x94, 'h', 'v', 'c', '1', 1, 2, 3}
		if decided {
			s.start()
		}
		s.video(40, hdr)
		there := s.handOver(time.Time{})
		there.start()
		if got := there.sink.frames(VideoState); len(got) != 1 || !slices.Equal(got[0].Payload, hdr) {
			t.Errorf("decided %t: states %+v", decided, got)
		}
	}
}

func TestAPublicationCanBeginAtKeyframesOrWithoutPicturesAtSound(t *testing.T) {
	sound := newSession(t)
	sound.audio(0, aacHeader)
	for ts := uint32(0); ts <= 1200; ts += 100 {
		sound.audio(ts, aacFrame)
	}
	pictures := newSession(t)
	pictures.start()
	annexB := append([]byte{0x17, 1, 0, 0, 0, 0, 0, 0, 1}, idr...)
	for name, test := range map[string]struct {
		s    *session
		kind flvtag.Type
		body []byte
		want bool
	}{
		"a keyframe":                    {pictures, flvtag.Video, videoFrame(true, idr), true},
		"a keyframe without its flag":   {pictures, flvtag.Video, videoFrame(false, idr), true},
		"a keyframe of Annex B":         {pictures, flvtag.Video, annexB, true},
		"one that only claims to be":    {pictures, flvtag.Video, videoFrame(true, inter), false},
		"another frame":                 {pictures, flvtag.Video, videoFrame(false, inter), false},
		"a configuration":               {pictures, flvtag.Video, header320, false},
		"nothing":                       {pictures, flvtag.Video, nil, false},
		"sound beside pictures":         {pictures, flvtag.Audio, aacFrame, false},
		"sound alone":                   {sound, flvtag.Audio, aacFrame, true},
		"its configuration":             {sound, flvtag.Audio, aacHeader, false},
		"a keyframe that is the first":  {sound, flvtag.Video, videoFrame(true, idr), true},
		"metadata":                      {sound, flvtag.Script, []byte("x"), false},
		"sound before it is known if":   {newSession(t), flvtag.Audio, aacFrame, false},
		"a keyframe of a foreign codec": {pictures, flvtag.Video, []byte{0x91, 'a', 'v', '0', '1', 1}, true},
	} {
		if got := test.s.pub.CanBegin(Message{Type: test.kind, Payload: test.body}); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestAStreamThatIsHandedOverDoesNotEndForThoseWhoHear(t *testing.T) {
	for _, handedOver := range []bool{true, false} {
		closed := 0
		h := NewHub(Config{Grace: time.Hour, Events: Events{Closed: func(StreamName) { closed++ }}})
		pub, err := h.Publish("live/test", Publisher{})
		if err != nil {
			t.Fatal(err)
		}
		if handedOver {
			pub.HandOver()
		}
		h.Close()
		if handedOver != (closed == 0) {
			t.Errorf("handed over %t, and %d streams have ended", handedOver, closed)
		}
	}
}

func TestAPublicationIsTakenBackWhileItIsHandedOver(t *testing.T) {
	s := newSession(t)
	s.start()
	stream, generation := s.pub.stream, s.pub.Generation()
	if _, _, ok := s.pub.HandOver(); !ok || s.pub.TakenBack() {
		t.Fatal("it could not be handed over, or is taken back")
	}
	if stream.EndGeneration(generation+1, EndKicked) || s.pub.TakenBack() {
		t.Error("another one was taken back")
	}
	if !stream.EndGeneration(generation, EndKicked) || !s.pub.TakenBack() {
		t.Error("it was not taken back")
	}
	if stream.EndPublication(EndKicked) || stream.EndGeneration(generation, EndKicked) {
		t.Error("it was taken back twice")
	}
	next, err := s.hub.Publish(stream.Name(), Publisher{})
	if err != nil {
		t.Fatal(err)
	}
	next.End(EndUnpublished)
	if stream.EndPublication(EndKicked) || next.TakenBack() {
		t.Error("one that has ended was taken back")
	}
}
