package remux

import (
	"bytes"
	"testing"

	"github.com/headwater-live/headwater/remux/flvtag"
)

// checkWaiting fails the test if more waits than may after a Write.
func checkWaiting(t *testing.T, p *Publication) {
	t.Helper()
	held, probe := 0, 0
	for _, m := range p.held {
		held += len(m.Payload)
	}
	for _, pkt := range p.probe {
		probe += len(pkt.Payload)
	}
	if len(p.held) >= maxHeld || held >= maxHeldBytes || len(p.probe) >= maxProbePackets || probe >= maxProbeBytes {
		t.Fatalf("%d messages of %d bytes are held, %d packets of %d bytes wait for tracks", len(p.held), held, len(p.probe), probe)
	}
	for _, pkt := range p.early.All() {
		if len(p.early.All()) > maxStates || len(pkt.Payload) > maxStateSize {
			t.Fatalf("%d states wait, one of %d bytes", len(p.early.All()), len(pkt.Payload))
		}
	}
}

func TestStatesWithoutAFrameTakeLittleMemory(t *testing.T) {
	s := newSession(t)
	state := exVideo(1, 4, "hvc1", make([]byte, 1000)...)
	for i := range uint32(2 * maxProbePackets) {
		state = append(bytes.Clone(state[:len(state)-1]), byte(i))
		s.video(i*20, state)
		checkWaiting(t, s.pub)
	}
	if n := len(s.pub.early.All()); n != 1 {
		t.Errorf("%d states of one slot wait, want the newest", n)
	}
	s.startHEVCAt(100_000)
	s.pub.End(EndUnpublished)
	if got := s.sink.frames(VideoState); len(got) != 1 || !bytes.Equal(got[0].Payload, state) {
		t.Errorf("%d states are passed on with the first frame, want the newest", len(got))
	}
}

func TestLongMessagesAreNotHeldWithoutBound(t *testing.T) {
	s := newSession(t)
	s.start()
	for range maxHeld / 2 {
		s.video(100_000_000, append(videoFrame(false, inter), make([]byte, 1<<20)...))
		checkWaiting(t, s.pub)
	}
}

func TestEmptyMessagesAreNotMalformed(t *testing.T) {
	s := newSession(t)
	s.start()
	s.audio(40, nil)
	s.video(40, nil)
	if c := s.pub.counters; c.Malformed != 0 || c.Ignored != 2 {
		t.Errorf("%d malformed, %d ignored, want 0 and 2", c.Malformed, c.Ignored)
	}
}

// TestStatesDoNotPinWhatWasReadWithThem: a payload is part of an array that many messages lie in.
func TestStatesDoNotPinWhatWasReadWithThem(t *testing.T) {
	s := newSession(t)
	s.startHEVC()
	state := exVideo(1, 4, "hvc1", 1, 2, 3)
	if err := s.pub.Write(Message{Type: flvtag.Video, Payload: state}); err != nil {
		t.Fatal(err)
	}
	all := s.pub.stream.states.All()
	if len(all) != 1 || &all[0].Payload[0] == &state[0] || !bytes.Equal(all[0].Payload, state) {
		t.Errorf("%d states are kept, or one is no copy", len(all))
	}
}
