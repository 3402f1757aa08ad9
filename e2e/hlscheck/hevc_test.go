package hlscheck

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Parameter sets of x265: 320x180 at 25 fps.
var (
	vps265 = unhex("40010c01ffff01600000030090000003000003003c959009")
	sps265 = unhex("42010101600000030090000003000003003ca00a080c1f3e595912930bc05a020000030002000003003210")
	pps265 = unhex("4401c073c189")
	aud265 = unhex("460150") // I, P and B
)

func idr265(random *rand.Rand) []byte {
	return append([]byte{0x28, 1, 0xac}, noise(3000, random)...)
}

func inter265(random *rand.Rand) []byte { return append([]byte{2, 1, 0xd0}, noise(300, random)...) }

// hevcWorld is both with H.265 in place of H.264.
func hevcWorld() *world {
	w, random := both(), newNoise()
	w.multivariant = `,CODECS="hvc1.1.6.L60.90,mp4a.40.2",RESOLUTION=320x180,FRAME-RATE=25.000`
	w.eachSegment(func(s *testSegment) {
		s.tracks = []track{{testVideo, streamTypeHEVC}, {testAudio, streamTypeADTS}}
		for i := range s.pes {
			switch p := &s.pes[i]; {
			case p.pid != testVideo:
			case p.random:
				p.payload = testAnnexB(aud265, vps265, sps265, pps265, idr265(random))
			default:
				p.payload = testAnnexB(aud265, inter265(random))
			}
		}
	})
	return w
}

// unit replaces an access unit of segment 5: the first, a random access point, or another.
func (w *world) unit(n int, nalus ...[]byte) {
	i := w.find(5, testVideo)
	for ; n > 0; n-- {
		for i++; w.segments[5].pes[i].pid != testVideo; i++ {
		}
	}
	w.segments[5].pes[i].payload = testAnnexB(nalus...)
}

func TestHEVCIsReadAndNothingFoundInWhatIsRight(t *testing.T) {
	report := CheckSegments(hevcWorld().history(), Options{})
	if len(report.Findings) > 0 {
		t.Errorf("\n%s", report)
	}
	video, random := 0, 0
	for _, u := range report.AccessUnits {
		if u.Kind == Video {
			video++
			if u.Random {
				random++
			}
		}
	}
	if video != 50*worldCount || random != worldCount {
		t.Errorf("%d access units, %d of them random access points", video, random)
	}
}

func TestWhatIsWrongWithHEVCIsFound(t *testing.T) {
	r := newNoise()
	cases := []spoiled{
		{rule: "aud-missing", spoil: func(w *world) { w.unit(3, inter265(r)) }},
		{rule: "aud-missing", name: "twice", spoil: func(w *world) { w.unit(3, aud265, aud265, inter265(r)) }},
		{rule: "aud-malformed", spoil: func(w *world) { w.unit(3, unhex("4601f0"), inter265(r)) }},
		{rule: "aud-malformed", name: "P as I", spoil: func(w *world) { w.unit(3, unhex("460110"), inter265(r)) }},
		{rule: "idr-without-parameters", name: "no VPS", also: "first-unit-order",
			spoil: func(w *world) { w.unit(0, aud265, sps265, pps265, idr265(r)) }},
		{rule: "idr-without-parameters", name: "no PPS", also: "first-unit-order",
			spoil: func(w *world) { w.unit(0, aud265, vps265, sps265, idr265(r)) }},
		{rule: "first-unit-order", spoil: func(w *world) { w.unit(0, aud265, sps265, vps265, pps265, idr265(r)) }},
		{rule: "nalu-order", name: "PPS after the slice", spoil: func(w *world) { w.unit(3, aud265, inter265(r), pps265) }},
		{rule: "nalu-order", name: "two kinds of slices", spoil: func(w *world) { w.unit(3, aud265, inter265(r), append([]byte{0, 1, 0x60}, 7, 7, 7)) }},
		{rule: "access-unit-without-picture", spoil: func(w *world) { w.unit(3, aud265, pps265) }},
		{rule: "independent-segments-false", name: "no keyframe first", also: "random-access-false",
			spoil: func(w *world) { w.unit(0, aud265, inter265(r)) }},
		{rule: "random-access-missing", spoil: func(w *world) { w.segments[5].pes[w.find(5, testVideo)].random = false }},
		{rule: "annexb-illegal", name: "another layer", spoil: func(w *world) { w.unit(3, aud265, append([]byte{2, 9, 0xd0}, 7, 7, 7)) }},
		{rule: "configuration-changed", spoil: func(w *world) {
			other := bytes.Clone(sps265)
			other[len(other)-1] ^= 0x20
			w.unit(0, aud265, vps265, other, pps265, idr265(r))
		}},
		{rule: "codecs-false", spoil: func(w *world) {
			w.multivariant = `,CODECS="hvc1.2.4.L60.90,mp4a.40.2",RESOLUTION=320x180,FRAME-RATE=25.000`
		}},
		{rule: "codecs-false", name: "said to be H.264", spoil: func(w *world) {
			w.multivariant = `,CODECS="avc1.4d400c,mp4a.40.2",RESOLUTION=320x180,FRAME-RATE=25.000`
		}},
		{rule: "resolution-false", spoil: func(w *world) {
			w.multivariant = `,CODECS="hvc1.1.6.L60.90,mp4a.40.2",RESOLUTION=640x360,FRAME-RATE=25.000`
		}},
	}
	for i := range cases {
		cases[i].world = hevcWorld
	}
	runSpoiled(t, cases)
}
