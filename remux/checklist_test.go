package remux

import (
	"bytes"
	"testing"

	"github.com/headwater-live/headwater/remux/flvtag"
)

func TestMetadataIsNotTrustedForSizeAndIsSentAgainWhenItChanges(t *testing.T) {
	s := newSession(t)
	s.start()
	s.pub.SetMetadata([]flvtag.Property{{Name: "width", Value: 9999.0}, {Name: "title", Value: "one"}})
	s.pub.SetMetadata([]flvtag.Property{{Name: "width", Value: 9999.0}, {Name: "title", Value: "one"}})
	s.pub.SetMetadata([]flvtag.Property{{Name: "title", Value: "two"}})
	got := s.sink.frames(Metadata)
	if len(got) != 3 {
		t.Fatalf("metadata came %d times, want 3: at first and at each change", len(got))
	}
	lie := flvtag.AppendMetadata(nil, []flvtag.Property{{Name: "width", Value: 9999.0}})
	lie = lie[len(lie)-11 : len(lie)-3] // the number alone
	for _, pkt := range got {
		if bytes.Contains(pkt.Payload, lie) {
			t.Error("the encoder's word for the width was passed on")
		}
	}
	if !bytes.Contains(got[1].Payload, []byte("one")) || !bytes.Contains(got[2].Payload, []byte("two")) {
		t.Error("what else the encoder said was not passed on")
	}
}

func TestFramesThatWaitForTheirConfigurationAreBounded(t *testing.T) {
	s := newSession(t)
	for i := range uint32(maxEarly + 100) {
		s.video(i, videoFrame(i == 0, idr))
	}
	if n := len(s.pub.video.early); n > maxEarly {
		t.Errorf("%d frames wait, want at most %d", n, maxEarly)
	}
	if s.pub.counters.Unconfigured != maxEarly+1 {
		t.Errorf("%d were counted, want %d", s.pub.counters.Unconfigured, maxEarly+1)
	}
}

func TestLateAudioIsAdded(t *testing.T) {
	s := newSession(t)
	s.video(0, header320)
	for ts := uint32(0); ts < 2000; ts += 40 {
		s.video(ts, videoFrame(ts == 0, idr))
	}
	s.audio(2000, aacHeader)
	s.audio(2000, aacFrame)
	if n := len(s.sink.frames(AudioConfig)); n != 1 {
		t.Errorf("%d audio configurations, want 1", n)
	}
	if n := len(s.sink.frames(AudioFrame)); n != 1 {
		t.Errorf("%d audio frames, want 1", n)
	}
}
