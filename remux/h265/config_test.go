package h265_test

import (
	"bytes"
	"encoding/hex"
	"math"
	"slices"
	"testing"

	"github.com/bluenviron/gohlslib/v2/pkg/codecparams"
	"github.com/bluenviron/gohlslib/v2/pkg/codecs"

	"github.com/headwater-live/headwater/remux/h265"
)

// records are what ffmpeg 5.1 with x265 3.5 writes as the hvcC of an MP4 file.
var records = []struct {
	name, hex     string
	codec         string
	width, height int
	fps           float64
}{
	{"main", "0101600000009000000000001ef000fcfdf8f800000f03a00001001840010c01ffff01600000030090000003000003001e959009" +
		"a10001002942010101600000030090000003000003001ea0182071f796564924caf0168080000003008000000c84a2000100074401c172b46240",
		"hvc1.1.6.L30.90", 192, 108, 25},
	{"main 10, cropped", "01022000000090000000000078f000fcfdfafa00000f03a00001001840010c01ffff022000000300900000030000030078" +
		"959809a1000100" + "2a420101022000000300900000030000030078a003c08010e4d96566924caf01680800001f480003a98040a2000100074401c172b46240",
		"hvc1.2.4.L120.90", 1920, 1080, 30000.0 / 1001},
	{"4:2:2, HRD", "0104080000009d08000000005af000fcfefafa00000f04a00001001740010c01ffff0408000003009d0800000300005a959809" +
		"a1000100354201010408000003009d0800000300005ab005120171c93b65959a4932bc05a02000000300200000064c13930dc001e848003d0910" +
		"a2000100074401c172b4624027000100064e0181010f80",
		"hvc1.4.10.L90.9D.8", 642, 362, 50},
	{"high tier, two temporal layers", "01216000000090000000000099f000fcfdf8f800001303a00001001c40010c02ffff2160000003009000000" +
		"3000003009900009598acc048a10001002d4201022160000003009000000300000300990000a00a080b9f7965662b349265780b4040000003004000000f02" +
		"a2000100074401c172b46240",
		"hvc1.1.6.H153.90", 320, 180, 60},
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func mustParse(tb testing.TB, record []byte) h265.Config {
	tb.Helper()
	c, err := h265.ParseConfig(record)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestConfigSaysWhatTheEncoderMeant(t *testing.T) {
	for _, test := range records {
		t.Run(test.name, func(t *testing.T) {
			record := unhex(t, test.hex)
			c := mustParse(t, record)
			if c.CodecString() != test.codec || c.Width != test.width || c.Height != test.height || c.LengthSize != 4 {
				t.Errorf("%s %dx%d, length of %d bytes", c.CodecString(), c.Width, c.Height, c.LengthSize)
			}
			if math.Abs(c.FPS-test.fps) > 1e-9 {
				t.Errorf("%v fps", c.FPS)
			}
			written := c.Append(nil)
			// x265's record differs in nothing but the SEI at its end, if it has one.
			if n := min(len(written), len(record)); !bytes.Equal(written[23:n], record[23:n]) ||
				!bytes.Equal(written[:22], record[:22]) {
				t.Errorf("written again: %x", written)
			}
			again, err := h265.ConfigFromParameterSets(c.VPS, c.SPS, c.PPS)
			if err != nil || !again.Equal(c) {
				t.Errorf("from its parameter sets: %+v, error %v", again, err)
			}
		})
	}
}

// recordHDR is of x265 for HDR10; at its end stood 2.3 KB about the encoder, here 16 bytes.
const recordHDR = "0102200000009000000000001ef000fcfdfafa00000f04a00001001840010c01ffff02200000030090000003000003001e959809" +
	"a10001002e42010102200000030090000003000003001ea0182071f6d96566924caf016a12201208000003000800000300c840" +
	"a2000100074401c172b46240" + "a7000300094e01900403e8019080001e4e01891833c286c41d4c0bb884d03e803d1340420098968000000300018000144e010510" +
	"2ca2de09b51747dbbb55a4fe7fc2fc4e80"

func TestLightAndColoursOfHDRPrecedeEveryStart(t *testing.T) {
	c := mustParse(t, unhex(t, recordHDR))
	light, display := unhex(t, "4e01900403e8019080"), unhex(t, "4e01891833c286c41d4c0bb884d03e803d13404200989680000003000180")
	if len(c.SEI) != 2 || !bytes.Equal(c.SEI[0], light) || !bytes.Equal(c.SEI[1], display) {
		t.Fatalf("SEI are %x", c.SEI)
	}
	if !bytes.HasSuffix(c.AppendAnnexB(nil), slices.Concat([]byte{0, 0, 0, 1}, light, []byte{0, 0, 0, 1}, display)) {
		t.Errorf("Annex B is %x", c.AppendAnnexB(nil))
	}
	if again := mustParse(t, c.Append(nil)); !again.Equal(c) {
		t.Error("written and read again it differs")
	}
	plain, err := h265.ConfigFromParameterSets(c.VPS, c.SPS, c.PPS)
	if err != nil || plain.Equal(c) {
		t.Errorf("without them it is equal, error %v", err)
	}
}

func TestCodecStringAgreesWithGohlslib(t *testing.T) {
	for _, test := range records {
		c := mustParse(t, unhex(t, test.hex))
		want := codecparams.Marshal(&codecs.H265{VPS: c.VPS[0], SPS: c.SPS[0], PPS: c.PPS[0]})
		// It knows constraint bytes up to the first alone.
		if got := c.CodecString(); got != want && test.name != "4:2:2, HRD" {
			t.Errorf("%s: %s, but gohlslib says %s", test.name, got, want)
		}
	}
}

func TestCodecStringSpellsEveryField(t *testing.T) {
	for _, test := range []struct {
		want   string
		config h265.Config
	}{
		// The two examples of ISO/IEC 14496-15, annex E.3.
		{"hvc1.1.6.L93.B0", h265.Config{Profile: 1, Compatibility: 0x60000000, Level: 93, Constraints: [6]byte{0xB0}}},
		{"hvc1.A4.41.H120.B0.23", h265.Config{ProfileSpace: 1, Profile: 4, Compatibility: 0x82000000, Tier: 1, Level: 120,
			Constraints: [6]byte{0xB0, 0x23}}},
		{"hvc1.2.4.L150", h265.Config{Profile: 2, Compatibility: 0x20000000, Level: 150}},
		{"hvc1.C31.0.L0.0.0.0.0.0.1", h265.Config{ProfileSpace: 3, Profile: 31, Constraints: [6]byte{5: 1}}},
	} {
		if got := test.config.CodecString(); got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}

// An SPS of three sub-layers, each with a profile and a level of its own, which some
// hardware writes for temporal scalability.
func TestSizeIsReadBehindSubLayers(t *testing.T) {
	sps := []byte{0x42, 0x01, 0x04, 0x01, 0x60, 0, 0, 0xFF, 0x90, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 93}
	sps = append(sps, 0xF0, 0) // both sub-layers have both; the rest of 8 is reserved
	for range 2 {
		sps = append(sps, bytes.Repeat([]byte{0xFF}, 11)...)
		sps = append(sps, 90)
	}
	// id 0: 1, chroma 1: 010, 1280: 0…0 10100000001, 720: 0…0 1011010001, no window,
	// depths of 8: 1 1, and the end.
	sps = append(sps, packBits("1"+"010"+"0000000000"+"10100000001"+"000000000"+"1011010001"+"0"+"1"+"1"+"1")...)
	c, err := h265.ConfigFromParameterSets([][]byte{{0x40, 1}}, [][]byte{sps}, [][]byte{{0x44, 1}})
	if err != nil || c.Width != 1280 || c.Height != 720 || c.Level != 93 {
		t.Errorf("%dx%d level %d, error %v", c.Width, c.Height, c.Level, err)
	}
}

func packBits(s string) []byte {
	b := make([]byte, (len(s)+7)/8)
	for i := range s {
		b[i/8] |= (s[i] - '0') << (7 - i%8)
	}
	return b
}

func TestConfigKeepsNothingOfTheCallers(t *testing.T) {
	record := unhex(t, records[0].hex)
	c := mustParse(t, record)
	before := c.AppendAnnexB(nil)
	clear(record)
	if !bytes.Equal(c.AppendAnnexB(nil), before) {
		t.Error("the configuration changed with the record it was read from")
	}
	order := []h265.Type{}
	for _, part := range bytes.Split(before, []byte{0, 0, 0, 1})[1:] {
		order = append(order, h265.TypeOf(part))
	}
	if len(order) != 3 || order[0] != h265.TypeVPS || order[1] != h265.TypeSPS || order[2] != h265.TypePPS {
		t.Errorf("Annex B has NALUs of types %v", order)
	}
}

func TestEveryTruncationOfARecordIsAnError(t *testing.T) {
	for _, test := range records {
		record := unhex(t, test.hex)
		for n := range record {
			if _, err := h265.ParseConfig(record[:n]); err == nil {
				t.Errorf("%s: the first %d of %d bytes are no error", test.name, n, len(record))
			}
		}
	}
}

func TestConfigRefusesWhatIsNoRecord(t *testing.T) {
	change := func(at int, b byte) []byte {
		r := unhex(t, records[0].hex)
		r[at] = b
		return r
	}
	for name, record := range map[string][]byte{
		"version":                    change(0, 2),
		"length of 3 bytes":          change(21, 0x0E),
		"no arrays":                  change(22, 0),
		"no PPS":                     change(22, 2),
		"too many arrays":            change(22, 65),
		"more arrays than are there": change(22, 4),
		"array lies about its type":  change(23, 0xA2),
		"count lies":                 change(24, 1),
		"length lies":                change(26, 0xFF),
	} {
		if c, err := h265.ParseConfig(record); err == nil {
			t.Errorf("%s: no error, but %+v", name, c)
		}
	}
	if c, err := h265.ParseConfig(change(0, 0)); err != nil || c.Width != 192 {
		t.Errorf("version 0: %+v, error %v", c, err)
	}
}

func TestConfigBoundsParameterSets(t *testing.T) {
	c := mustParse(t, unhex(t, records[0].hex))
	many := func(set []byte, n int) (list [][]byte) {
		for i := range n {
			list = append(list, append(bytes.Clone(set), byte(i)))
		}
		return list
	}
	large := [][]byte{append([]byte{0x44, 1}, make([]byte, 16<<10)...)}
	for _, test := range []struct {
		name          string
		vps, sps, pps [][]byte
		ok            bool
	}{
		{"one each", c.VPS, c.SPS, c.PPS, true},
		{"repeated ones count once", append(c.VPS, c.VPS...), append(c.SPS, nil, c.SPS[0]), c.PPS, true},
		{"as many as fit", many(c.VPS[0], 16), many(c.SPS[0], 16), many(c.PPS[0], 64), true},
		{"too many VPS", many(c.VPS[0], 17), c.SPS, c.PPS, false},
		{"too many SPS", c.VPS, many(c.SPS[0], 17), c.PPS, false},
		{"too many PPS", c.VPS, c.SPS, many(c.PPS[0], 65), false},
		{"too large", c.VPS, c.SPS, large, false},
		{"no VPS", nil, c.SPS, c.PPS, false},
		{"no SPS", c.VPS, nil, c.PPS, false},
		{"empty PPS", c.VPS, c.SPS, [][]byte{{}}, false},
		{"SPS without a level", c.VPS, [][]byte{c.SPS[0][:14]}, c.PPS, false},
	} {
		got, err := h265.ConfigFromParameterSets(test.vps, test.sps, test.pps)
		if (err == nil) != test.ok {
			t.Errorf("%s: error %v", test.name, err)
		}
		if err == nil && !mustParse(t, got.Append(nil)).Equal(got) {
			t.Errorf("%s: written and read again it differs", test.name)
		}
	}
}

func TestConfigsDifferByTheirParameterSetsAndLengths(t *testing.T) {
	a, b := mustParse(t, unhex(t, records[0].hex)), mustParse(t, unhex(t, records[1].hex))
	short, vps, sps, pps := a, a, a, a
	short.LengthSize = 2
	vps.VPS, sps.SPS, pps.PPS = b.VPS, b.SPS, append(a.PPS, []byte{0x44, 1})
	for _, other := range []h265.Config{b, short, vps, sps, pps, {}} {
		if a.Equal(other) {
			t.Errorf("Equal to %+v", other)
		}
	}
	if !a.Equal(mustParse(t, unhex(t, records[0].hex))) {
		t.Error("not equal to itself")
	}
	if !pps.Contains(a.VPS, a.SPS, a.PPS) || a.Contains(nil, nil, pps.PPS) || a.Contains(nil, b.SPS, nil) {
		t.Error("Contains is wrong")
	}
}
