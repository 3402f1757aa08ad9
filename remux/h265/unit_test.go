package h265_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"

	oracle "github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"github.com/headwater-live/headwater/remux/h264"
	"github.com/headwater-live/headwater/remux/h265"
)

// The streams were made by ffmpeg 5.1 with x265 3.5, 192x108, 25 fps, B-frames:
//
//	closed.hevc  50 pictures, an IDR every 25
//	open.hevc    24 pictures, open GOPs: an IDR, then a CRA every 10
const (
	streamClosed = "testdata/closed.hevc"
	streamOpen   = "testdata/open.hevc"
)

// unit is an access unit of a stream.
type unit struct {
	annexB []byte
	nalus  [][]byte
}

func (u unit) lengthPrefixed(lengthSize int) []byte {
	var au []byte
	for _, n := range u.nalus {
		length := binary.BigEndian.AppendUint32(nil, uint32(len(n)))
		au = append(append(au, length[4-lengthSize:]...), n...)
	}
	return au
}

// readUnits splits a stream into access units: each has one slice, which is its last
// NALU.
func readUnits(tb testing.TB, name string, want int) []unit {
	tb.Helper()
	stream, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	var units []unit
	var u unit
	for _, chunk := range bytes.Split(stream, []byte{0, 0, 1})[1:] {
		n := bytes.TrimRight(chunk, "\x00")
		u.nalus = append(u.nalus, n)
		u.annexB = append(append(u.annexB, 0, 0, 0, 1), n...)
		if h265.TypeOf(n).IsSlice() {
			units, u = append(units, u), unit{}
		}
	}
	if len(units) != want {
		tb.Fatalf("%s has %d access units", name, len(units))
	}
	return units
}

func TestInspectFindsWhatX265Wrote(t *testing.T) {
	for name, interval := range map[string]int{streamClosed: 25, streamOpen: 10} {
		pictures, starts := 50, 0
		if name == streamOpen {
			pictures = 24
		}
		for i, u := range readUnits(t, name, pictures) {
			got := h265.Inspect(u.lengthPrefixed(2), 2)
			if got.Slices != 1 || got.Truncated || got.NALUs != len(u.nalus) {
				t.Errorf("%s, unit %d: %+v", name, i, got)
			}
			if got.IRAP != oracle.IsRandomAccess(u.nalus) {
				t.Errorf("%s, unit %d: IRAP is %v, mediacommon disagrees", name, i, got.IRAP)
			}
			if got.IRAP {
				starts++
			}
			if got.IRAP != (got.VPS && got.SPS && got.PPS) {
				t.Errorf("%s, unit %d: %+v", name, i, got)
			}
		}
		if want := (pictures + interval - 1) / interval; starts != want {
			t.Errorf("%s: decoding can start at %d pictures, want %d", name, starts, want)
		}
	}
}

func TestPicturesWhereDecodingCanStart(t *testing.T) {
	for nalType := range h265.Type(64) {
		want := nalType >= 16 && nalType <= 21
		au := []byte{0, 0, 0, 3, byte(nalType) << 1, 1, 0x80}
		if got := h265.Inspect(au, 4); got.IRAP != want || (got.Slices == 1) != (nalType < 32) {
			t.Errorf("type %d: %+v", nalType, got)
		}
	}
}

func TestParameterSetsOfAnAccessUnitMakeItsConfiguration(t *testing.T) {
	u := readUnits(t, streamClosed, 50)[0]
	vps, sps, pps := h265.ParameterSets(u.lengthPrefixed(4), 4)
	c, err := h265.ConfigFromParameterSets(vps, sps, pps)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Equal(mustParse(t, unhex(t, records[0].hex))) {
		t.Errorf("it differs from the hvcC of the same encoder: %+v", c)
	}
}

func TestAnnexBIsToldFromLengths(t *testing.T) {
	for _, name := range []string{streamClosed, streamOpen} {
		pictures := map[string]int{streamClosed: 50, streamOpen: 24}[name]
		for i, u := range readUnits(t, name, pictures) {
			if !h265.IsAnnexB(u.annexB) {
				t.Errorf("%s: Annex B of unit %d is not seen", name, i)
			}
			if h265.IsAnnexB(u.annexB[1:]) != true {
				t.Errorf("%s: Annex B of unit %d with a short start code is not seen", name, i)
			}
			lengths := u.lengthPrefixed(4)
			if h265.IsAnnexB(lengths) {
				t.Errorf("%s: unit %d with lengths is taken for Annex B", name, i)
			}
			if got := h264.AppendAVCC(nil, u.annexB); !bytes.Equal(got, lengths) {
				t.Errorf("%s: unit %d is converted wrongly", name, i)
			}
		}
	}
	// A slice of 256 to 511 bytes has a length that looks like a start code.
	slice := append([]byte{0, 0, 1, 0x02, 0x02, 0x01}, bytes.Repeat([]byte{7}, 0x102-2)...)
	if h265.IsAnnexB(slice) {
		t.Error("a length of 258 is taken for a start code")
	}
	for _, none := range [][]byte{nil, {0, 0, 0, 1}, {0, 0, 0, 1, 0x42}, {0, 0, 0, 1, 0x43, 1, 1}, {0, 0, 0, 1, 0x42, 0, 1}} {
		if h265.IsAnnexB(none) {
			t.Errorf("% x is taken for Annex B", none)
		}
	}
}
