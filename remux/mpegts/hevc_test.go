package mpegts_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tsreader "github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"

	"github.com/headwater-live/headwater/remux/mpegts"
)

// Of ffmpeg 5.1 with x265 3.5: 192x108, 25 fps, B-frames; an IDR every second, or open GOPs
// with a CRA every 10 pictures.
const (
	sampleHEVC    = "../h265/testdata/closed.hevc"
	sampleHEVCCRA = "../h265/testdata/open.hevc"
)

var (
	hevcAUD  = []byte{0x46, 0x01, 0x50}
	hevcVPS  = []byte{0x40, 0x01, 0x0C}
	hevcSPS  = []byte{0x42, 0x01, 0x01}
	hevcPPS  = []byte{0x44, 0x01, 0xC1}
	hevcSets = annexB(hevcVPS, hevcSPS, hevcPPS)
)

func TestHEVCUnitBecomesAnnexBWithOneDelimiterAndParameterSets(t *testing.T) {
	slice, sei := []byte{0x02, 0x01, 0xD0}, []byte{0x4E, 0x01, 0x81, 0x80}
	irap := func(nalType byte) []byte { return []byte{nalType << 1, 0x01, 0xAF} }
	ownSPS := []byte{0x42, 0x01, 0x02}
	for _, test := range []struct {
		name   string
		nalus  [][]byte
		random bool // as the caller says
		want   [][]byte
		start  bool // as the packet must say
	}{
		{"plain slice", [][]byte{slice}, false, [][]byte{hevcAUD, slice}, false},
		{"IDR_W_RADL", [][]byte{irap(19)}, false, [][]byte{hevcAUD, hevcVPS, hevcSPS, hevcPPS, irap(19)}, true},
		{"IDR_N_LP", [][]byte{irap(20)}, false, [][]byte{hevcAUD, hevcVPS, hevcSPS, hevcPPS, irap(20)}, true},
		{"CRA", [][]byte{irap(21)}, false, [][]byte{hevcAUD, hevcVPS, hevcSPS, hevcPPS, irap(21)}, true},
		{"BLA", [][]byte{irap(16)}, false, [][]byte{hevcAUD, hevcVPS, hevcSPS, hevcPPS, irap(16)}, true},
		{"SEI before an IDR", [][]byte{sei, irap(19)}, false, [][]byte{hevcAUD, hevcVPS, hevcSPS, hevcPPS, sei, irap(19)}, true},
		{"keeps its own", [][]byte{hevcVPS, ownSPS, hevcPPS, irap(19)}, false,
			[][]byte{hevcAUD, hevcVPS, ownSPS, hevcPPS, irap(19)}, true},
		{"without a VPS it is not enough", [][]byte{ownSPS, hevcPPS, irap(19)}, false,
			[][]byte{hevcAUD, hevcVPS, hevcSPS, hevcPPS, ownSPS, hevcPPS, irap(19)}, true},
		{"sets behind the slice do not count", [][]byte{irap(19), hevcVPS, hevcSPS, hevcPPS}, false,
			[][]byte{hevcAUD, hevcVPS, hevcSPS, hevcPPS, irap(19), hevcVPS, hevcSPS, hevcPPS}, true},
		{"delimiters are replaced", [][]byte{{0x46, 0x01, 0x10}, slice, {0x46, 0x01, 0x30}}, false, [][]byte{hevcAUD, slice}, false},
		{"random access without IRAP", [][]byte{slice}, true, [][]byte{hevcAUD, hevcVPS, hevcSPS, hevcPPS, slice}, true},
		{"what H.264 calls an IDR", [][]byte{{0x65, 0x01, 0x80}}, false, [][]byte{hevcAUD, {0x65, 0x01, 0x80}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := mpegts.NewMuxer(mpegts.HEVC, mpegts.None)
			u := mpegts.VideoUnit{Data: avcc(4, test.nalus...), RandomAccess: test.random, ParameterSets: hevcSets}
			size := m.VideoSize(u)
			ts := m.AppendVideo(m.AppendTables(nil), u)
			mustCheck(t, ts)
			if len(ts) != size+2*mpegts.PacketSize {
				t.Errorf("%d bytes, VideoSize said %d", len(ts)-2*mpegts.PacketSize, size)
			}
			got, err := demux(ts)
			if err != nil || len(got) != 1 {
				t.Fatalf("got %d PES packets, error %v", len(got), err)
			}
			if want := annexB(test.want...); !bytes.Equal(got[0].data, want) || got[0].random != test.start {
				t.Errorf("random access %v, data\n% x, want\n% x", got[0].random, got[0].data, want)
			}
		})
	}
}

// readHEVC reads a stream of pictures of one slice each, without delimiters.
func readHEVC(tb testing.TB, name string) [][][]byte {
	tb.Helper()
	stream, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	var units [][][]byte
	var unit [][]byte
	for _, n := range bytes.Split(stream, []byte{0, 0, 1})[1:] {
		n = bytes.TrimRight(n, "\x00")
		unit = append(unit, n)
		if n[0]>>1 < 32 {
			units, unit = append(units, unit), nil
		}
	}
	return units
}

func TestReadersFindEveryPictureOfX265(t *testing.T) {
	for _, name := range []string{sampleHEVC, sampleHEVCCRA} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			units := readHEVC(t, name)
			m := mpegts.NewMuxer(mpegts.HEVC, mpegts.None)
			ts := m.AppendTables(nil)
			for i, u := range units {
				at := int64(i) * 3_600
				ts = m.AppendVideo(ts, mpegts.VideoUnit{DTS: at, PTS: at + 7_200, Data: avcc(4, u...), ParameterSets: hevcSets})
			}
			if err := mustCheck(t, ts).checkPCRs(); err != nil {
				t.Error(err)
			}
			compareHEVC(t, ts, units)
			file := filepath.Join(t.TempDir(), "out.ts")
			if err := os.WriteFile(file, ts, 0o600); err != nil {
				t.Fatal(err)
			}
			if got := frameHashes(t, file); !bytes.Equal(got, frameHashes(t, name)) || len(got) == 0 {
				t.Error("ffmpeg decodes other pictures than from the source")
			}
			shown := probe(t, ts, "ffprobe", "-v", "warning", "-show_entries", "stream=codec_name,codec_tag", "-of", "csv=p=0")
			if line := strings.TrimSpace(string(shown)); !strings.HasPrefix(line, "hevc,0x0024") {
				t.Errorf("ffprobe finds %q", line)
			}
		})
	}
}

// compareHEVC reads the stream with mediacommon's reader, which leaves out delimiters.
func compareHEVC(t *testing.T, ts []byte, want [][][]byte) {
	t.Helper()
	r := &tsreader.Reader{R: bytes.NewReader(ts)}
	if err := r.Initialize(); err != nil {
		t.Fatal(err)
	}
	r.OnDecodeError(func(err error) { t.Error(err) })
	n := 0
	r.OnDataH265(r.Tracks()[0], func(pts, dts int64, au [][]byte) error {
		at := int64(n) * 3_600
		if n >= len(want) || pts != wire(at+7_200) || dts != wire(at) {
			t.Fatalf("unit %d has times %d and %d", n, pts, dts)
		}
		if !bytes.Equal(annexB(au...), annexB(want[n]...)) {
			t.Fatalf("unit %d differs", n)
		}
		n++
		return nil
	})
	for {
		err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n != len(want) {
		t.Errorf("%d units of %d", n, len(want))
	}
}
