package h265_test

import (
	"testing"

	"github.com/headwater-live/headwater/remux/h264"
	"github.com/headwater-live/headwater/remux/h265"
)

func FuzzParseConfig(f *testing.F) {
	for _, r := range records {
		f.Add(unhex(f, r.hex))
	}
	f.Add(unhex(f, recordHDR))
	f.Fuzz(func(t *testing.T, record []byte) {
		c, err := h265.ParseConfig(record)
		if err != nil {
			return
		}
		if c.Width < 0 || c.Width > 33_776 || c.Height < 0 || c.Height > 33_776 || !(c.FPS >= 0 && c.FPS <= 1_000) {
			t.Errorf("facts %dx%d at %v", c.Width, c.Height, c.FPS)
		}
		again, err := h265.ParseConfig(c.Append(nil))
		if err != nil || !again.Equal(c) || !again.Contains(c.VPS, c.SPS, c.PPS) || again.CodecString() != c.CodecString() {
			t.Errorf("written and read again it differs: %v", err)
		}
		if len(c.AppendAnnexB(nil)) > 2*len(record) {
			t.Error("the parameter sets have grown")
		}
	})
}

func FuzzAccessUnit(f *testing.F) {
	for _, u := range readUnits(f, streamOpen, 24)[:3] {
		f.Add(u.lengthPrefixed(4), 4)
		f.Add(u.lengthPrefixed(2), 2)
		f.Add(u.annexB, 4)
	}
	f.Fuzz(func(t *testing.T, au []byte, lengthSize int) {
		facts := h265.Inspect(au, lengthSize)
		c := h264.NALUs(au, lengthSize)
		n := 0
		for c.Next() {
			n++
		}
		if facts.NALUs != n || facts.Truncated != c.Truncated() || facts.Slices > n || (facts.IRAP && facts.Slices == 0) {
			t.Fatalf("%+v, but %d NALUs", facts, n)
		}
		if n > 0 && lengthSize == 4 && !facts.Truncated && h265.IsAnnexB(au) {
			t.Fatal("a clean unit with lengths is taken for Annex B")
		}
		vps, sps, pps := h265.ParameterSets(au, lengthSize)
		if facts.VPS != (len(vps) > 0) || facts.SPS != (len(sps) > 0) || facts.PPS != (len(pps) > 0) {
			t.Fatalf("%+v, but %d VPS, %d SPS, %d PPS", facts, len(vps), len(sps), len(pps))
		}
		if config, err := h265.ConfigFromParameterSets(vps, sps, pps); err == nil && !config.Contains(vps, sps, pps) {
			t.Fatal("the configuration lacks a parameter set")
		}
	})
}
