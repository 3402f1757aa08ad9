package h264_test

import (
	"bytes"
	"testing"

	oracle "github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"github.com/headwater-live/headwater/remux/h264"
)

func FuzzParseConfig(f *testing.F) {
	for _, r := range records {
		f.Add(unhex(f, r.hex))
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		c, err := h264.ParseConfig(record)
		if err != nil {
			return
		}
		if c.Width < 0 || c.Width > 16_888 || c.Height < 0 || c.Height > 16_888 || !(c.FPS >= 0 && c.FPS <= 1_000) {
			t.Errorf("facts %dx%d at %v", c.Width, c.Height, c.FPS)
		}
		again, err := h264.ParseConfig(c.Append(nil))
		if err != nil || !again.Equal(c) || !again.Contains(c.SPS, c.PPS) {
			t.Errorf("written and read again it differs: %v", err)
		}
		if len(c.AppendAnnexB(nil)) > 2*len(record)+4 {
			t.Error("the parameter sets have grown")
		}
	})
}

func FuzzAccessUnit(f *testing.F) {
	for _, name := range []string{streamHigh, streamRefresh} {
		for _, u := range readUnits(f, name)[:3] {
			f.Add(u.avcc(4), 4)
			f.Add(u.avcc(2), 2)
			f.Add(u.annexB, 4)
		}
	}
	f.Fuzz(func(t *testing.T, au []byte, lengthSize int) {
		facts := h264.Inspect(au, lengthSize)
		walked, rebuilt := 0, unit{}
		c := h264.NALUs(au, lengthSize)
		for ; c.Next(); walked++ {
			rebuilt.nalus = append(rebuilt.nalus, c.NALU())
		}
		if facts.NALUs != walked || facts.Truncated != c.Truncated() {
			t.Fatalf("%+v, but %d NALUs", facts, walked)
		}
		if whole := rebuilt.avcc(4); walked > 0 && lengthSize == 4 {
			if again := h264.Inspect(whole, 4); again.NALUs != walked || again.Truncated {
				t.Fatalf("written again: %+v", again)
			}
			if !facts.Truncated && h264.IsAnnexB(au) {
				t.Fatal("clean AVCC is taken for Annex B")
			}
		}
		sps, pps := h264.ParameterSets(au, lengthSize)
		if facts.SPS != (len(sps) > 0) || facts.PPS != (len(pps) > 0) {
			t.Fatalf("%+v, but %d SPS and %d PPS", facts, len(sps), len(pps))
		}
		if config, err := h264.ConfigFromParameterSets(sps, pps); err == nil && !config.Contains(sps, pps) {
			t.Fatal("the configuration lacks a parameter set")
		}
	})
}

// FuzzAppendAVCC holds the conversion against mediacommon's, which keeps zeros at the
// end of NALUs and fails where this one finds nothing.
func FuzzAppendAVCC(f *testing.F) {
	for _, u := range readUnits(f, streamRefresh)[:3] {
		f.Add(u.annexB)
	}
	f.Add([]byte{0, 0, 1, 0, 0, 1, 0x41, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, annexB []byte) {
		var got [][]byte
		c := h264.NALUs(h264.AppendAVCC(nil, annexB), 4)
		for c.Next() {
			got = append(got, c.NALU())
		}
		if c.Truncated() {
			t.Fatal("what was written is truncated")
		}
		var want oracle.AnnexB
		if err := want.Unmarshal(annexB); err != nil {
			return
		}
		n := 0
		for _, nalu := range want {
			nalu = bytes.TrimRight(nalu, "\x00")
			if len(nalu) == 0 {
				continue
			}
			if n >= len(got) || !bytes.Equal(got[n], nalu) {
				t.Fatalf("NALU %d differs", n)
			}
			n++
		}
		if n != len(got) {
			t.Fatalf("%d NALUs, want %d", len(got), n)
		}
	})
}
