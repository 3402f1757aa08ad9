package remux

import "testing"

// recoveryPoint is an SEI NALU with the message of that name.
var recoveryPoint = []byte{6, 6, 1, 0x84, 0x80}

// A stream that never has a keyframe again (intra refresh) can be begun at a recovery point, once the keyframe is too
// far back.
func TestWhoAttachesToAnEndlessGOPBeginsAtARecoveryPoint(t *testing.T) {
	s := newSession(t)
	s.start()
	s.video(40, videoFrame(true, idr))
	at := uint32(80)
	refresh := func(n int) {
		for i := range n {
			if i%50 == 0 {
				s.video(at, videoFrame(false, recoveryPoint, inter))
			} else {
				s.video(at, videoFrame(false, inter))
			}
			at += 40
		}
	}
	first := func() (frames []*Packet) {
		var late recorder
		stream := s.hub.Stream("live/test")
		stream.Attach(&late)
		stream.Detach(&late)
		return late.frames(VideoFrame)
	}
	refresh(1_000)
	if got := first(); len(got) == 0 || !got[0].Keyframe || got[0].DTS != 40 {
		t.Fatalf("%d frames, not from the keyframe that is near enough", len(got))
	}
	refresh(MaxGOPPackets + 20)
	got := first()
	if len(got) == 0 || len(got) > 50 || !got[0].Recovery || got[0].Keyframe {
		t.Fatalf("%d frames, not from the newest recovery point", len(got))
	}
	refresh(10)
	if got := first(); len(got) != 10 {
		t.Errorf("%d frames from the newest recovery point, want 10", len(got))
	}
	s.video(at, videoFrame(true, idr))
	at += 40
	refresh(60)
	if got := first(); len(got) != 61 || !got[0].Keyframe {
		t.Errorf("%d frames after a keyframe, want 61", len(got))
	}
}

func TestWhatTheEncoderCallsAKeyframeIsARecoveryPoint(t *testing.T) {
	s := newSession(t)
	s.start()
	s.video(40, videoFrame(true, idr))
	s.video(80, videoFrame(true, inter))
	s.video(120, videoFrame(false, inter))
	s.video(160, videoFrame(false, recoveryPoint, inter))
	got := s.sink.frames(VideoFrame)
	got = got[len(got)-4:]
	for i, want := range []bool{false, true, false, true} {
		if got[i].Recovery != want || got[i].Keyframe != (i == 0) {
			t.Errorf("frame %d: keyframe %t, recovery point %t", i, got[i].Keyframe, got[i].Recovery)
		}
	}
}
