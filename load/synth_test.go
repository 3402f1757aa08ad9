package load

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/remux/flvtag"
	"github.com/headwater-live/headwater/remux/h264"
)

var synthCases = []struct {
	name   string
	config SynthConfig
}{
	{"the default", SynthConfig{}},
	{"600 kbit/s at 640x360", SynthConfig{Bitrate: 600_000, Width: 640, Height: 360, FPS: 25}},
	{"cropped, without sound, all keyframes", SynthConfig{Bitrate: 4_000_000, Width: 426, Height: 240, FPS: 10, GOP: 100 * time.Millisecond, AudioBitrate: -1}},
	{"large and fast", SynthConfig{Bitrate: 12_000_000, Width: 1920, Height: 1080, FPS: 60, GOP: time.Second, AudioBitrate: 320_000}},
	{"small", SynthConfig{Bitrate: 100_000, Width: 160, Height: 120, FPS: 15, AudioBitrate: 32_000}},
}

// record returns so much of a source as an FLV file, with stamps as a publisher puts them in, and counts frames.
func record(s Source, length time.Duration) (file []byte, video, audio int) {
	file = flvtag.AppendFileHeader(nil, true, true)
	for _, t := range s.Headers() {
		file = flvtag.AppendTag(file, t.Kind, 0, t.Body)
	}
	p := s.Play()
	for t := p.Next(); t.At < length.Milliseconds(); t = p.Next() {
		body := t.Body
		if t.stampAt > 0 {
			body = insertStamp(nil, body, t.stampAt, t.lengthSize, t.hevc,
				stamp{run: 1, publisher: 2, frame: uint64(video), sent: time.Unix(0, 1_700_000_000_000_000_000+int64(video))})
			video++
		} else {
			audio++
		}
		file = flvtag.AppendTag(file, t.Kind, uint32(t.At), body)
	}
	return file, video, audio
}

func TestSynthHasItsBitrate(t *testing.T) {
	for _, test := range synthCases {
		s, err := NewSynth(test.config)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		const seconds = 12
		c := test.config.withDefaults()
		file, video, audio := record(s, seconds*time.Second)
		framing := (video + audio) * (flvtag.HeaderSize + flvtag.TrailerSize)
		got := float64(len(file)-framing) * 8 / seconds
		if want := float64(c.Bitrate); got < 0.98*want || got > 1.02*want {
			t.Errorf("%s: %.0f bit/s, want %.0f", test.name, got, want)
		}
		if video != seconds*c.FPS {
			t.Errorf("%s: %d frames, want %d", test.name, video, seconds*c.FPS)
		}
	}
}

func TestSynthSaysWhatCannotBe(t *testing.T) {
	for _, config := range []SynthConfig{
		{Bitrate: 100_000_000, Width: 160, Height: 120}, // more than all blocks raw
		{Bitrate: 140_000}, {FPS: -1}, {FPS: 500}, {GOP: time.Hour}, {GOP: time.Millisecond}, {Width: 15, Height: 16},
		{Width: 9999, Height: 16}, {AudioBitrate: 600_000}, {Bitrate: 1_000_000_000, GOP: time.Minute},
	} {
		if _, err := NewSynth(config); err == nil {
			t.Errorf("%+v is possible", config)
		}
	}
}

func TestSynthParameterSetsSayWhatItIs(t *testing.T) {
	s, err := NewSynth(SynthConfig{Width: 1920, Height: 1080, FPS: 50})
	if err != nil {
		t.Fatal(err)
	}
	config, err := h264.ParseConfig(s.Headers()[1].Body[5:])
	if err != nil {
		t.Fatal(err)
	}
	if config.Width != 1920 || config.Height != 1080 || config.FPS != 50 || config.CodecString() != "avc1.42c02a" {
		t.Errorf("%dx%d at %g, %s", config.Width, config.Height, config.FPS, config.CodecString())
	}
}

// An independent decoder decodes every frame, with every check that it has.
func TestDecodersAreContentWithSynth(t *testing.T) {
	for _, test := range synthCases {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, err := NewSynth(test.config)
			if err != nil {
				t.Fatal(err)
			}
			file, video, _ := record(s, 5*time.Second)
			cmd := exec.Command("ffmpeg", "-v", "warning", "-err_detect", "explode+crccheck+bitstream+buffer", "-f", "flv", "-i", "pipe:0",
				"-fps_mode", "passthrough", "-f", "framehash", "-hash", "crc32", "-map", "0:v", "pipe:1", "-f", "null", "-map", "0:a?", "-")
			cmd.Stdin = bytes.NewReader(file)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil || stderr.Len() > 0 {
				t.Fatalf("ffmpeg: %v\n%s", err, stderr.String())
			}
			frames, pictures := 0, map[string]bool{}
			for line := range strings.Lines(string(out)) {
				if strings.HasPrefix(line, "0,") {
					frames++
					pictures[line[strings.LastIndexByte(line, ' '):]] = true
				}
			}
			if frames != video || len(pictures) < 2 {
				t.Errorf("%d frames with %d different pictures, want %d", frames, len(pictures), video)
			}
		})
	}
}
