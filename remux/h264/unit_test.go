package h264_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"

	oracle "github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"github.com/headwater-live/headwater/remux/h264"
)

// The streams were made by ffmpeg 5.1 with x264 0.164:
//
//	high.h264           B-frames, an IDR every 6 pictures
//	intra-refresh.h264  AUDs, 3 slices, recovery points instead of IDRs
const (
	streamHigh    = "testdata/high.h264"
	streamRefresh = "testdata/intra-refresh.h264"
)

// unit is an access unit of a stream.
type unit struct {
	annexB []byte
	nalus  [][]byte
}

func (u unit) avcc(lengthSize int) []byte {
	var au []byte
	for _, n := range u.nalus {
		length := binary.BigEndian.AppendUint32(nil, uint32(len(n)))
		au = append(append(au, length[4-lengthSize:]...), n...)
	}
	return au
}

// readUnits splits a stream into access units: at each first slice of a picture, and
// what comes before it (7.4.1.2.3).
func readUnits(tb testing.TB, name string) []unit {
	tb.Helper()
	stream, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	var units []unit
	var u unit
	sliced := false
	for _, chunk := range bytes.Split(stream, []byte{0, 0, 1})[1:] {
		n := bytes.TrimRight(chunk, "\x00")
		kind := h264.TypeOf(n)
		isSlice := kind == h264.TypeSlice || kind == h264.TypeIDR
		// first_mb_in_slice is 0 if the first bit after the header is set.
		if sliced && (!isSlice || n[1]&0x80 != 0) {
			units, u, sliced = append(units, u), unit{}, false
		}
		sliced = sliced || isSlice
		u.nalus = append(u.nalus, n)
		u.annexB = append(append(u.annexB, 0, 0, 0, 1), n...)
	}
	units = append(units, u)
	if len(units) != 12 {
		tb.Fatalf("%s has %d access units", name, len(units))
	}
	return units
}

func TestInspectFindsWhatX264Wrote(t *testing.T) {
	for i, u := range readUnits(t, streamHigh) {
		first := i%6 == 0
		want := h264.Facts{NALUs: 1, Slices: 1, IDR: first, SPS: first, PPS: first}
		if first {
			want.NALUs = 3
		}
		if i == 0 { // x264 introduces itself in an SEI
			want.NALUs = 4
		}
		if got := h264.Inspect(u.avcc(4), 4); got != want {
			t.Errorf("unit %d: %+v, want %+v", i, got, want)
		}
	}
	for i, u := range readUnits(t, streamRefresh) {
		got := h264.Inspect(u.avcc(2), 2)
		start := i%8 == 0
		if got.Slices != 3 || !got.AUD || got.IDR != (i == 0) || got.RecoveryPoint != (start && i > 0) || got.SPS != start {
			t.Errorf("intra refresh, unit %d: %+v", i, got)
		}
	}
}

func TestNALUsAgreesWithMediacommon(t *testing.T) {
	for _, u := range readUnits(t, streamRefresh) {
		var want oracle.AVCC
		if err := want.Unmarshal(u.avcc(4)); err != nil {
			t.Fatal(err)
		}
		n := 0
		c := h264.NALUs(u.avcc(4), 4)
		for ; c.Next(); n++ {
			if !bytes.Equal(c.NALU(), want[n]) {
				t.Fatalf("NALU %d differs", n)
			}
		}
		if n != len(want) || c.Truncated() {
			t.Errorf("%d NALUs of %d, truncated %v", n, len(want), c.Truncated())
		}
	}
}

func TestNALUsEndsCleanlyAtLies(t *testing.T) {
	for _, test := range []struct {
		name       string
		au         []byte
		lengthSize int
		want       [][]byte
		truncated  bool
	}{
		{"nothing", nil, 4, nil, false},
		{"empty NALUs", []byte{0, 0, 0, 1, 9, 0}, 1, [][]byte{{9}}, false},
		{"only empty ones", []byte{0, 0, 0, 0, 0, 0, 0, 0}, 4, nil, false},
		{"cut length", []byte{0, 1, 9, 0}, 2, [][]byte{{9}}, true},
		{"cut NALU", []byte{0, 0, 0, 1, 9, 0, 0, 0, 3, 1, 2}, 4, [][]byte{{9}}, true},
		{"largest length", []byte{0xFF, 0xFF, 0xFF, 0xFF, 1}, 4, nil, true},
		{"no length size", []byte{0, 0, 0, 1, 9}, 0, [][]byte{{9}}, false},
		{"length size of 9", []byte{0, 0, 0, 1, 9}, 9, [][]byte{{9}}, false},
	} {
		var got [][]byte
		c := h264.NALUs(test.au, test.lengthSize)
		for c.Next() {
			got = append(got, c.NALU())
		}
		if len(got) != len(test.want) || c.Truncated() != test.truncated || c.Next() {
			t.Errorf("%s: %x, truncated %v", test.name, got, c.Truncated())
			continue
		}
		for i := range got {
			if !bytes.Equal(got[i], test.want[i]) {
				t.Errorf("%s: %x", test.name, got)
			}
		}
	}
}

func TestInspectReadsRecoveryPointsBehindOtherMessages(t *testing.T) {
	long := append([]byte{6, 5, 0xFF, 3}, bytes.Repeat([]byte{0x11}, 258)...)
	for _, test := range []struct {
		name string
		sei  []byte
		want bool
	}{
		{"alone", []byte{6, 6, 1, 0xC4, 0x80}, true},
		{"behind picture timing", []byte{6, 1, 2, 0x12, 0x34, 6, 1, 0xC4, 0x80}, true},
		{"behind 258 bytes of user data", append(bytes.Clone(long), 6, 1, 0xC4, 0x80), true},
		{"behind emulation prevention", []byte{6, 5, 3, 0, 0, 3, 1, 6, 1, 0xC4, 0x80}, true},
		{"user data that looks like one", []byte{6, 5, 4, 6, 1, 0xC4, 0x80, 0x80}, false},
		{"size that lies", []byte{6, 5, 200, 6, 1, 0xC4, 0x80}, false},
		{"endless type", append([]byte{6}, bytes.Repeat([]byte{0xFF}, 50)...), false},
		{"header alone", []byte{6}, false},
		{"stop bit alone", []byte{6, 0x80}, false},
	} {
		au := unit{nalus: [][]byte{test.sei}}.avcc(4)
		if got := h264.Inspect(au, 4); got.RecoveryPoint != test.want {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

func TestParameterSetsAreFoundInBand(t *testing.T) {
	first := readUnits(t, streamHigh)[0]
	sps, pps := h264.ParameterSets(first.avcc(4), 4)
	c, err := h264.ConfigFromParameterSets(sps, pps)
	if err != nil {
		t.Fatal(err)
	}
	if c.Width != 160 || c.Height != 90 || c.CodecString() != "avc1.64000b" || c.FPS < 29.96 || c.FPS > 29.98 {
		t.Errorf("got %+v", c)
	}
	flood := bytes.Repeat([]byte{1, 0x67, 1, 0x68}, 1_000)
	sps, pps = h264.ParameterSets(flood, 1)
	if len(sps) != 32 || len(pps) != 256 {
		t.Errorf("a flood gives %d SPS and %d PPS", len(sps), len(pps))
	}
}

func TestAnnexBIsToldFromAVCC(t *testing.T) {
	for _, name := range []string{streamHigh, streamRefresh} {
		for i, u := range readUnits(t, name) {
			if !h264.IsAnnexB(u.annexB) || !h264.IsAnnexB(u.annexB[1:]) {
				t.Errorf("%s unit %d in Annex B is taken for AVCC", name, i)
			}
			for _, size := range []int{2, 4} {
				if h264.IsAnnexB(u.avcc(size)) {
					t.Errorf("%s unit %d in AVCC (%d) is taken for Annex B", name, i, size)
				}
			}
		}
	}
}

func TestAVCCThatBeginsLikeAStartCodeIsAVCC(t *testing.T) {
	slice := append([]byte{0x41}, bytes.Repeat([]byte{0x9A}, 400)...)
	idr := append([]byte{0x65}, bytes.Repeat([]byte{0x88}, 0x165-1)...)
	for _, test := range []struct {
		name string
		au   []byte
		want bool
	}{
		{"NALU of one byte", unit{nalus: [][]byte{{0x0B}, slice}}.avcc(4), false},
		{"NALU of one byte, a slice type", unit{nalus: [][]byte{{0x41}, slice}}.avcc(4), false},
		{"NALU of 401 bytes", unit{nalus: [][]byte{slice}}.avcc(4), false},
		{"length that looks like an IDR header", unit{nalus: [][]byte{idr, slice}}.avcc(4), false},
		{"the same, truncated later", append(unit{nalus: [][]byte{idr, slice}}.avcc(4), 0, 0), false},
		{"short", []byte{0, 0, 1}, false},
		{"start code alone", []byte{0, 0, 0, 1}, false},
		{"start code and no NALU header", []byte{0, 0, 0, 1, 0xFF, 0xFF, 0xFF}, false},
		{"delimiter in Annex B", []byte{0, 0, 0, 1, 9, 0xF0, 0, 0, 0, 1, 0x41, 0x9A}, true},
		{"slice in Annex B, three bytes", []byte{0, 0, 1, 0x41, 0x9A, 2, 3}, true},
	} {
		if got := h264.IsAnnexB(test.au); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestAppendAVCCTakesAnnexBApart(t *testing.T) {
	for _, u := range readUnits(t, streamRefresh) {
		if got := h264.AppendAVCC([]byte{7}, u.annexB); !bytes.Equal(got[1:], u.avcc(4)) || got[0] != 7 {
			t.Fatal("a unit of x264 came out changed")
		}
	}
	for _, test := range []struct{ in, want string }{
		{"", ""},
		{"4142", ""},
		{"00000141", "0000000141"},
		{"ff0000014100", "0000000141"},
		{"0000010000010000014100000000014203", "0000000141000000024203"},
		{"000001410000030000014200", "0000000441000003" + "0000000142"},
	} {
		if got := h264.AppendAVCC(nil, unhex(t, test.in)); !bytes.Equal(got, unhex(t, test.want)) {
			t.Errorf("%s became %x, want %s", test.in, got, test.want)
		}
	}
}

func TestWalkingAllocatesNothing(t *testing.T) {
	au := readUnits(t, streamRefresh)[0].avcc(4)
	total := 0
	allocs := testing.AllocsPerRun(100, func() {
		for c := h264.NALUs(au, 4); c.Next(); {
			total += len(c.NALU())
		}
		total += h264.Inspect(au, 4).NALUs
		if h264.IsAnnexB(au) {
			total++
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
