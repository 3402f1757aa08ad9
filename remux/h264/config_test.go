package h264_test

import (
	"bytes"
	"encoding/hex"
	"math"
	"testing"

	"github.com/headwater-live/headwater/remux/h264"
)

// records are what ffmpeg 5.1 with x264 0.164 writes as the sequence header.
var records = []struct {
	name, hex     string
	codec         string
	width, height int
	fps           float64
}{
	{"baseline", "0142c00cffe100196742c00cd901419f9f011000000300100000030320f142a48001000568cb83cb20",
		"avc1.42c00c", 320, 180, 25},
	{"high, cropped", "0164002affe1001b6764002aacd940780227e5c044000003000400000301e03c60c65801000668ebe3cb22c0fdf8f800",
		"avc1.64002a", 1920, 1080, 60},
	{"main with HRD", "014d401fffe10022674d401feca02802dd808800001f4800075303020007a12000f425261803c60c658001000568ebe3cb20",
		"avc1.4d401f", 1280, 720, 30000.0 / 1001},
	{"high 4:2:2, 10 bits", "017a001fffe1001b677a001fb6cd940a02ff89c044000003000400000301903c60c65801000668ebe3cb22c0fefafa00",
		"avc1.7a001f", 640, 360, 50},
	{"interlaced", "0164001effe100186764001eacd940b424d8088000000300800000190f8a14cb01000668fba3cb22c0fdf8f800",
		"avc1.64001e", 720, 576, 25},
	{"high 4:4:4, cropped by one", "01f4001effe1001a67f4001e919b281485fc7cf80880000003008000001e078b16cb01000668ebe3c44844fff8f800",
		"avc1.f4001e", 642, 362, 30},
	{"monochrome, cropped", "0164000dffe1001b6764000df365054678f8bc05b2000003000200000300641e28532c01000668ebe3cb22c0fcf8f800",
		"avc1.64000d", 322, 182, 25},
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func mustParse(tb testing.TB, record []byte) h264.Config {
	tb.Helper()
	c, err := h264.ParseConfig(record)
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
			if got := c.Append(nil); !bytes.Equal(got, record) {
				t.Errorf("written again: %x", got)
			}
			again, err := h264.ConfigFromParameterSets(c.SPS, c.PPS)
			if err != nil || !again.Equal(c) {
				t.Errorf("from its parameter sets: %+v, error %v", again, err)
			}
		})
	}
}

func TestConfigKeepsAllParameterSetsAndNothingOfTheCallers(t *testing.T) {
	record := unhex(t, "0164001ffde2"+"0004"+"6764001f"+"0005"+"6764001e01"+"03"+"0002"+"68ee"+"0000"+"0001"+"68"+"fdf8f800")
	c := mustParse(t, record)
	clear(record)
	if len(c.SPS) != 2 || len(c.PPS) != 2 || c.LengthSize != 2 {
		t.Fatalf("got %+v", c)
	}
	want := unhex(t, "000000016764001f000000016764001e010000000168ee0000000168")
	if got := c.AppendAnnexB(nil); !bytes.Equal(got, want) {
		t.Errorf("Annex B is %x", got)
	}
	if !c.Contains([][]byte{{0x67, 0x64, 0, 0x1E, 1}}, nil) || !c.Contains(nil, [][]byte{{0x68}}) ||
		c.Contains([][]byte{{0x67}}, nil) || c.Contains(c.SPS, [][]byte{{0x68, 0xEF}}) {
		t.Error("Contains is wrong")
	}
}

func TestConfigWithUnreadableFactsStillHasItsParameterSets(t *testing.T) {
	c := mustParse(t, unhex(t, "014d401fffe1"+"0005"+"674d401fff"+"01"+"0002"+"68ee"))
	if c.Width != 0 || c.Height != 0 || c.FPS != 0 || c.CodecString() != "avc1.4d401f" {
		t.Errorf("got %+v", c)
	}
	// The VUI of the first record, cut off within its timing.
	c = mustParse(t, unhex(t, "0142c00cffe1000f6742c00cd901419f9f01100000030001000568cb83cb20"))
	if c.Width != 320 || c.Height != 180 || c.FPS != 0 {
		t.Errorf("without its VUI: %+v", c)
	}
}

func TestConfigRefusesWhatIsNoRecord(t *testing.T) {
	for _, test := range []struct{ name, hex string }{
		{"empty", ""},
		{"short", "0164001fff"},
		{"version", "0264001fffe1000467640" + "01f01000268ee"},
		{"length of 3 bytes", "0164001ffee100046764001f01000268ee"},
		{"no SPS", "0164001fffe001000268ee"},
		{"no PPS", "0164001fffe100046764001f00"},
		{"PPS count is missing", "0164001fffe100046764001f"},
		{"SPS count lies", "0164001fffe200046764001f01000268ee"},
		{"SPS length lies", "0164001fffe1ffff6764001f01000268ee"},
		{"PPS count lies", "0164001fffe100046764001fff000268ee"},
		{"PPS length lies", "0164001fffe100046764001f01000368ee"},
		{"PPS length is cut", "0164001fffe100046764001f0100"},
		{"SPS is none", "0164001fffe100046864001f01000268ee"},
		{"PPS is none", "0164001fffe100046764001f01000267ee"},
		{"SPS is too short", "0164001fffe1000367640001000268ee"},
	} {
		if c, err := h264.ParseConfig(unhex(t, test.hex)); err == nil {
			t.Errorf("%s: no error, but %+v", test.name, c)
		}
	}
}

func TestConfigBoundsParameterSets(t *testing.T) {
	sps, pps := []byte{0x67, 0x64, 0, 0x1F}, []byte{0x68, 0xEE}
	many := func(prefix []byte, n int) (sets [][]byte) {
		for i := range n {
			sets = append(sets, append(bytes.Clone(prefix), byte(i), byte(i>>8)))
		}
		return sets
	}
	large := append([]byte{0x68}, make([]byte, 16<<10)...)
	for _, test := range []struct {
		name     string
		sps, pps [][]byte
		ok       bool
	}{
		{"one each", [][]byte{sps}, [][]byte{pps}, true},
		{"repeated ones count once", [][]byte{sps, nil, sps, sps}, [][]byte{pps, pps}, true},
		{"as many as fit", many(sps, 31), many(pps, 255), true},
		{"too many SPS", many(sps, 32), [][]byte{pps}, false},
		{"too many PPS", [][]byte{sps}, many(pps, 256), false},
		{"too large", [][]byte{sps}, [][]byte{large}, false},
		{"no SPS", nil, [][]byte{pps}, false},
		{"empty PPS", [][]byte{sps}, [][]byte{{}}, false},
	} {
		c, err := h264.ConfigFromParameterSets(test.sps, test.pps)
		if (err == nil) != test.ok {
			t.Errorf("%s: error %v", test.name, err)
		}
		if test.name == "repeated ones count once" && (len(c.SPS) != 1 || len(c.PPS) != 1) {
			t.Errorf("%s: %+v", test.name, c)
		}
		if err == nil && !mustParse(t, c.Append(nil)).Equal(c) {
			t.Errorf("%s: written and read again it differs", test.name)
		}
	}
}

func TestConfigsDifferByTheirParameterSetsAndLengths(t *testing.T) {
	a := mustParse(t, unhex(t, records[0].hex))
	b := mustParse(t, unhex(t, records[1].hex))
	short := a
	short.LengthSize = 2
	if !a.Equal(a) || a.Equal(b) || a.Equal(short) || a.Equal(h264.Config{}) {
		t.Error("Equal is wrong")
	}
	otherPPS := a
	otherPPS.PPS = b.PPS
	if a.Equal(otherPPS) {
		t.Error("another PPS makes no difference")
	}
}
