package aac_test

import (
	"bytes"
	"encoding/hex"
	"os/exec"
	"strings"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"github.com/headwater-live/headwater/remux/aac"
)

// configs are AudioSpecificConfigs, real ones and those made by the tables of the
// specification, with what they say.
var configs = []struct {
	name, hex                       string
	kind, extension                 aac.ObjectType
	rate, output, channels, samples int
	codec                           string
	// adts is the header for a payload of 100 bytes; empty if there can be none.
	adts string
}{
	{"LC 44.1 kHz stereo, ffmpeg", "121056e500", 2, 0, 44100, 44100, 2, 1024, "mp4a.40.2", "fff150800d7ffc"},
	{"LC 48 kHz stereo, OBS", "1190", 2, 0, 48000, 48000, 2, 1024, "mp4a.40.2", "fff14c800d7ffc"},
	{"LC 8 kHz mono", "1588", 2, 0, 8000, 8000, 1, 1024, "mp4a.40.2", "fff16c400d7ffc"},
	{"LC 48 kHz 5.1", "11b0", 2, 0, 48000, 48000, 6, 1024, "mp4a.40.2", "fff14d800d7ffc"},
	{"LC 48 kHz 7.1", "11b8", 2, 0, 48000, 48000, 8, 1024, "mp4a.40.2", "fff14dc00d7ffc"},
	{"Main 44.1 kHz stereo", "0a10", 1, 0, 44100, 44100, 2, 1024, "mp4a.40.1", "fff110800d7ffc"},
	{"LTP 44.1 kHz stereo", "2210", 4, 0, 44100, 44100, 2, 1024, "mp4a.40.4", "fff1d0800d7ffc"},
	{"HE-AAC signalled in front", "2b118800", 2, 5, 24000, 48000, 2, 1024, "mp4a.40.5", "fff158800d7ffc"},
	{"HE-AAC v2 signalled in front", "eb098800", 2, 29, 24000, 48000, 1, 1024, "mp4a.40.29", "fff158400d7ffc"},
	{"HE-AAC signalled at the end", "131056e598", 2, 5, 24000, 48000, 2, 1024, "mp4a.40.5", "fff158800d7ffc"},
	{"HE-AAC v2 signalled at the end", "130856e59d4880", 2, 29, 24000, 48000, 1, 1024, "mp4a.40.29", "fff158400d7ffc"},
	{"trailing bytes that say nothing", "1190ffffffff", 2, 0, 48000, 48000, 2, 1024, "mp4a.40.2", "fff14c800d7ffc"},
	{"signalling that is cut off", "119056e5", 2, 0, 48000, 48000, 2, 1024, "mp4a.40.2", "fff14c800d7ffc"},
	{"extension flag that means nothing", "1191", 2, 0, 48000, 48000, 2, 1024, "mp4a.40.2", "fff14c800d7ffc"},
	{"written-out rate of the table", "1780562210", 2, 0, 44100, 44100, 2, 1024, "mp4a.40.2", "fff150800d7ffc"},
	{"written-out rate of no table", "1780550010", 2, 0, 43520, 43520, 2, 1024, "mp4a.40.2", ""},
	{"frames of 960 samples", "1194", 2, 0, 48000, 48000, 2, 960, "mp4a.40.2", ""},
	{"core coder", "11920002", 2, 0, 48000, 48000, 2, 1024, "mp4a.40.2", "fff14c800d7ffc"},
	{"low delay", "b990", 23, 0, 48000, 48000, 2, 512, "mp4a.40.23", ""},
	{"low delay, 480 samples", "b994", 23, 0, 48000, 48000, 2, 480, "mp4a.40.23", ""},
	{"enhanced low delay", "f8e64000", 39, 0, 48000, 48000, 2, 512, "mp4a.40.39", ""},
	{"USAC", "f9464000", 42, 0, 48000, 48000, 2, 1024, "mp4a.40.42", ""},
	{"7.1 for the back", "11e0", 2, 0, 48000, 48000, 8, 1024, "mp4a.40.2", ""},
	{"channels said by the frames", "1180", 2, 0, 48000, 48000, 0, 1024, "mp4a.40.2", "fff14c000d7ffc"},
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestConfigSaysWhatTheEncoderMeant(t *testing.T) {
	for _, test := range configs {
		t.Run(test.name, func(t *testing.T) {
			c, err := aac.ParseConfig(unhex(t, test.hex))
			if err != nil {
				t.Fatal(err)
			}
			if c.Type != test.kind || c.Extension != test.extension || c.SampleRate != test.rate ||
				c.OutputSampleRate != test.output || c.Channels != test.channels || c.SamplesPerFrame != test.samples {
				t.Errorf("got %+v", c)
			}
			if c.CodecString() != test.codec {
				t.Errorf("codec string is %s", c.CodecString())
			}
			got, err := c.AppendADTSHeader([]byte{9}, 100)
			if (err == nil) != (test.adts != "") || hex.EncodeToString(got) != "09"+test.adts {
				t.Errorf("ADTS header is %x, error %v", got, err)
			}
		})
	}
}

func TestConfigRefusesNonsense(t *testing.T) {
	for _, test := range []struct{ name, hex string }{
		{"empty", ""},
		{"one byte", "12"},
		{"object type 0", "0210"},
		{"reserved rate", "1690"},
		{"written-out rate of 0", "1780000010"},
		{"written-out rate of 16 MHz", "17ffffff90"},
		{"written-out rate, cut off", "178056"},
		{"reserved channels", "11d0"},
		{"HE-AAC without its core", "2b11"},
	} {
		if c, err := aac.ParseConfig(unhex(t, test.hex)); err == nil {
			t.Errorf("%s: no error, but %+v", test.name, c)
		}
	}
}

func TestMediacommonReadsTheHeader(t *testing.T) {
	for _, test := range configs {
		c, err := aac.ParseConfig(unhex(t, test.hex))
		if err != nil || c.Type != aac.TypeLC || test.adts == "" || c.Channels == 0 {
			continue
		}
		for _, size := range []int{1, 2, 255, 2_047, 5_120} {
			frame := bytes.Repeat([]byte{0x21}, size)
			stream, err := c.AppendADTSHeader(nil, size)
			if err != nil {
				t.Fatal(err)
			}
			stream = append(stream, frame...)
			var packets mpeg4audio.ADTSPackets
			if err := packets.Unmarshal(append(stream, stream...)); err != nil {
				t.Fatalf("%s, %d bytes: %v", test.name, size, err)
			}
			if len(packets) != 2 || !bytes.Equal(packets[1].AU, frame) ||
				packets[0].SampleRate != c.SampleRate || channelsOf(packets[0].ChannelConfig) != c.Channels {
				t.Errorf("%s, %d bytes: read as %+v", test.name, size, packets)
			}
		}
	}
}

// channelsOf is the number of channels of configurations 1 to 7.
func channelsOf(configuration uint8) int {
	if configuration == 7 {
		return 8
	}
	return int(configuration)
}

func TestFrameThatIsTooLargeHasNoHeader(t *testing.T) {
	c, err := aac.ParseConfig([]byte{0x11, 0x90})
	if err != nil {
		t.Fatal(err)
	}
	largest, err := c.AppendADTSHeader(nil, 8_184)
	if err != nil || !bytes.Equal(largest, unhex(t, "fff14c83fffffc")) {
		t.Errorf("8184 bytes: header %x, error %v", largest, err)
	}
	for _, size := range []int{8_185, 1 << 20, -1} {
		if got, err := c.AppendADTSHeader(nil, size); err == nil || len(got) != 0 {
			t.Errorf("%d bytes: header %x", size, got)
		}
	}
}

func TestConfigsAreEqualByWhatTheySay(t *testing.T) {
	parse := func(s string) aac.Config {
		c, err := aac.ParseConfig(unhex(t, s))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if !parse("1210").Equal(parse("121056e500")) || parse("1210").Equal(parse("1190")) ||
		parse("1310").Equal(parse("131056e598")) {
		t.Error("Equal is wrong")
	}
}

// A layout that no channel configuration names: ffmpeg describes it by a program, and
// decodes frames to which our header gives that program back.
func TestFFmpegDecodesALayoutThatNeedsAProgram(t *testing.T) {
	for _, layout := range []struct {
		name     string
		channels int
	}{{"2.1", 3}, {"hexagonal", 6}, {"octagonal", 8}} {
		flv, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i",
			"anoisesrc=sample_rate=44100:duration=1,aformat=channel_layouts="+layout.name,
			"-filter:a", "pan="+layout.name+pan(layout.channels), "-c:a", "aac", "-f", "flv", "-").Output()
		if err != nil {
			t.Fatal(err)
		}
		var c aac.Config
		var adts []byte
		for b := flv[13:]; len(b) >= 15; {
			body := b[11 : 11+int(b[1])<<16+int(b[2])<<8+int(b[3])]
			kind := b[0]
			b = b[11+len(body)+4:]
			switch {
			case kind != 8:
			case body[1] == 0:
				if c, err = aac.ParseConfig(body[2:]); err != nil {
					t.Fatal(err)
				}
			default:
				if adts, err = c.AppendADTSHeader(adts, len(body)-2); err != nil {
					t.Fatal(err)
				}
				adts = append(adts, body[2:]...)
			}
		}
		if c.Channels != layout.channels {
			t.Errorf("%s: %d channels", layout.name, c.Channels)
		}
		probe := exec.Command("ffprobe", "-v", "warning", "-f", "aac", "-show_entries", "frame=channels", "-of", "csv=p=0", "-i", "-")
		probe.Stdin = bytes.NewReader(adts)
		out, err := probe.CombinedOutput()
		lines := strings.Fields(string(out))
		if err != nil || len(lines) < 40 {
			t.Fatalf("%s: %v\n%s", layout.name, err, out)
		}
		for _, line := range lines {
			if strings.Trim(line, ",") != string(rune('0'+layout.channels)) {
				t.Fatalf("%s: ffprobe says %q", layout.name, line)
			}
		}
	}
}

// pan gives each channel of a layout the first channel of the source.
func pan(channels int) string {
	s := ""
	for i := range channels {
		s += "|c" + string(rune('0'+i)) + "=c0"
	}
	return s
}

// FuzzParseConfig holds the parser against mediacommon's, which knows fewer object
// types, and the header against mediacommon's reader.
func FuzzParseConfig(f *testing.F) {
	for _, c := range configs {
		f.Add(unhex(f, c.hex), 100)
	}
	f.Add(unhex(f, "120004c842000d8c617663"), 8_180)
	f.Fuzz(func(t *testing.T, asc []byte, size int) {
		c, err := aac.ParseConfig(asc)
		var want mpeg4audio.AudioSpecificConfig
		wantErr := want.Unmarshal(asc)
		if err != nil {
			if wantErr == nil && want.SampleRate > 0 && want.SampleRate <= 192_000 &&
				(want.ExtensionType == 0 || want.ExtensionSampleRate > 0 && want.ExtensionSampleRate <= 192_000) {
				t.Fatalf("mediacommon reads %+v: %v", want, err)
			}
			return
		}
		if c.SampleRate <= 0 || c.OutputSampleRate <= 0 || c.SamplesPerFrame <= 0 || c.Channels < 0 || c.Channels > 100 {
			t.Fatalf("got %+v", c)
		}
		if wantErr == nil {
			if c.SampleRate != want.SampleRate || int(c.Type) != int(want.Type) ||
				want.ChannelConfig != 0 && c.Channels != channelsOf(want.ChannelConfig) ||
				want.ExtensionType != 0 && int(c.Extension) != int(want.ExtensionType) ||
				want.FrameLengthFlag != (c.SamplesPerFrame == 960) {
				t.Fatalf("got %+v, mediacommon reads %+v", c, want)
			}
		}
		header, err := c.AppendADTSHeader(nil, size)
		if err != nil {
			return
		}
		if len(header) < aac.ADTSHeaderSize || len(header) > aac.ADTSHeaderSize+50 || size < 1 {
			return
		}
		frame := append(header, make([]byte, size)...)
		length := int(frame[3]&3)<<11 | int(frame[4])<<3 | int(frame[5])>>5
		if length != len(frame) || frame[0] != 0xFF || frame[1] != 0xF1 {
			t.Fatalf("header % x of a frame of %d bytes", header, len(frame))
		}
	})
}
