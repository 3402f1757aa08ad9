package hlscheck

import (
	"testing"
	"time"
)

// A segment from outside must never bring the checker down, whatever it holds.
func FuzzExamine(f *testing.F) {
	for _, w := range []*world{newWorld(true, true), newWorld(false, true)} {
		var mux testMux
		w.segments[0].pes = w.segments[0].pes[:min(len(w.segments[0].pes), 4)]
		f.Add(mux.segment(w.segments[0]))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s := examine("s.ts", time.Time{}, body)
		if len(s.found.list) == 0 && (len(body)%packetSize != 0 || len(s.units) == 0) {
			t.Error("nothing is found in a segment without media")
		}
	})
}

// What the playlist parser accepts without a finding, it must have read: the
// durations add up and the numbers count on.
func FuzzParseMedia(f *testing.F) {
	h := withRepublish().history()
	for _, v := range h.Media {
		f.Add(v.Body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v := Version{URL: worldMedia, Body: body}
		found := &findings{}
		p, ok := parseMedia(v, found)
		if !ok {
			return
		}
		for i, e := range p.entries {
			if len(found.list) == 0 && e.sequence != p.sequence+int64(i) {
				t.Errorf("segment %d has number %d", i, e.sequence)
			}
		}
		judge(History{Media: []Version{v, v}}, nil, nil, Options{}.withDefaults())
	})
}

func FuzzParseMultivariant(f *testing.F) {
	f.Add(newWorld(true, true).history().Multivariant[0].Body)
	f.Fuzz(func(t *testing.T, body []byte) {
		found := &findings{}
		m, ok := parseMultivariant(Version{URL: worldURL, Body: body}, found)
		if ok && len(found.list) == 0 && m.variants[0].bandwidth <= 0 {
			t.Error("a variant without bandwidth passes")
		}
	})
}

func FuzzParseSPS(f *testing.F) {
	f.Add(sps180)
	f.Add(sps144)
	f.Add(unhex("67640028acd940780227e5c044000003000400000300c83c60c658")) // High, 1920x1080, cropped
	f.Fuzz(func(t *testing.T, nalu []byte) {
		if v, err := parseSPS(nalu); err == nil && (v.width <= 0 || v.height <= 0) {
			t.Errorf("a picture of %dx%d passes", v.width, v.height)
		}
	})
}
