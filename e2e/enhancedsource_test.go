package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// enhancedCodec is how a codec is made and sent by Enhanced RTMP.
type enhancedCodec struct {
	fourCC string
	args   []string // of ffmpeg
	// config makes the sequence header's record of the MP4 file; nil where there is none.
	config func(mp4 []byte) []byte
	// composition: coded frames carry a composition time.
	composition bool
	// toElementary are bitstream filters to what an MPEG-TS has of it, without parameter sets
	// and delimiters; "" where HLS cannot carry the codec.
	toElementary string
	// legacy is the first byte of an annex E header, frame type aside; 0 where FourCC are used.
	legacy byte
}

// box returns the body of the first box of that type, from an offset on.
func box(kind string, skip int) func(mp4 []byte) []byte {
	return func(mp4 []byte) []byte {
		at := bytes.Index(mp4, []byte(kind))
		if at < 4 {
			return nil
		}
		return mp4[at+4+skip : at-4+int(binary.BigEndian.Uint32(mp4[at-4:]))]
	}
}

func constant(b string) func([]byte) []byte { return func([]byte) []byte { return []byte(b) } }

// x265's introduction of itself, an SEI, stands in the configuration record alone.
const hevcElementary = "hevc_mp4toannexb,filter_units=remove_types=32-35|39"

// x265 is made to write B-frames and open GOPs, so that keyframes are CRA pictures.
var x265 = []string{"-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1", "-x265-params",
	"log-level=error:keyint=25:min-keyint=25:scenecut=0:bframes=2:b-adapt=0:open-gop=1:pools=1"}

var (
	asHEVC = enhancedCodec{fourCC: "hvc1", args: x265, config: box("hvcC", 0), composition: true, toElementary: hevcElementary}
	// asHEVC12 is HEVC by the number that Chinese CDNs gave it.
	asHEVC12 = enhancedCodec{fourCC: "hvc1", args: x265, config: box("hvcC", 0), composition: true, toElementary: hevcElementary, legacy: 12}
	asH264   = enhancedCodec{fourCC: "avc1", args: []string{"-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-bf", "2"},
		config: box("avcC", 0), composition: true, toElementary: "h264_mp4toannexb,filter_units=remove_types=7-9"}
	asAV1 = enhancedCodec{fourCC: "av01", args: []string{"-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-b:v", "100k", "-g", "25"},
		config: box("av1C", 0)}
	asVP9 = enhancedCodec{fourCC: "vp09", args: []string{"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "25"},
		config: box("vpcC", 4)}

	asAAC = enhancedCodec{fourCC: "mp4a", args: []string{"-c:a", "aac"}, config: constant("\x11\x90"), toElementary: "null"}
	// asAAC10 is AAC as all encoders send it.
	asAAC10 = enhancedCodec{fourCC: "mp4a", args: []string{"-c:a", "aac"}, config: constant("\x11\x90"), toElementary: "null", legacy: 0xAF}
	asOpus  = enhancedCodec{fourCC: "Opus", args: []string{"-c:a", "libopus"},
		config: constant("OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00")}
	asFLAC = enhancedCodec{fourCC: "fLaC", args: []string{"-c:a", "flac", "-strict", "-2"},
		config: func(mp4 []byte) []byte { return append([]byte("fLaC"), box("dfLa", 4)(mp4)...) }}
	asAC3  = enhancedCodec{fourCC: "ac-3", args: []string{"-c:a", "ac3"}}
	asEAC3 = enhancedCodec{fourCC: "ec-3", args: []string{"-c:a", "eac3"}}
)

// enhancedSource is a publication by Enhanced RTMP.
type enhancedSource struct {
	path string // an MP4 file
	tags []flvTag
}

const enhancedSeconds = 8

// makeEnhanced has ffmpeg encode a file, and makes tags of it: ffmpeg 5.1 cannot send them itself.
func makeEnhanced(ctx context.Context, t *testing.T, video, audio enhancedCodec) enhancedSource {
	t.Helper()
	s := enhancedSource{path: filepath.Join(t.TempDir(), "source.mp4")}
	args := []string{"-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25",
		"-f", "lavfi", "-i", "sine=frequency=440:beep_factor=4:sample_rate=48000",
		"-t", strconv.Itoa(enhancedSeconds), "-pix_fmt", "yuv420p", "-ac", "2"}
	args = append(append(args, video.args...), audio.args...)
	// Without an edit list the packets are what the file says, each at its place in it.
	args = append(args, "-use_editlist", "0", "-f", "mp4", s.path)
	if _, err := analyse(ctx, "ffmpeg", args...); err != nil {
		t.Fatal(err)
	}
	mp4, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	s.tags = []flvTag{}
	if record := video.record(mp4); record != nil {
		s.tags = append(s.tags, flvTag{kind: tagVideo, body: record})
	}
	if record := audio.record(mp4); record != nil {
		s.tags = append(s.tags, flvTag{kind: tagAudio, body: record})
	}
	for _, p := range packetsOf(ctx, t, s.path) {
		data := mp4[p.pos : p.pos+p.size]
		if p.video {
			s.tags = append(s.tags, flvTag{kind: tagVideo, time: p.dts, body: video.frame(data, p.key, p.pts-p.dts)})
		} else {
			s.tags = append(s.tags, flvTag{kind: tagAudio, time: p.dts, body: audio.sound(data)})
		}
	}
	return s
}

// record returns the body of the sequence header, nil if the codec has none.
func (c enhancedCodec) record(mp4 []byte) []byte {
	switch {
	case c.config == nil:
		return nil
	case c.legacy == 12:
		return append([]byte{0x1C, 0, 0, 0, 0}, c.config(mp4)...)
	case c.legacy != 0:
		return append([]byte{c.legacy, 0}, c.config(mp4)...)
	}
	return append(append([]byte{0x90}, c.fourCC...), c.config(mp4)...)
}

func (c enhancedCodec) frame(data []byte, key bool, composition uint32) []byte {
	kind := byte(0x20)
	if key {
		kind = 0x10
	}
	time := []byte{byte(composition >> 16), byte(composition >> 8), byte(composition)}
	switch {
	case c.legacy == 12:
		return append(append([]byte{kind | 12, 1}, time...), data...)
	case c.composition && composition == 0: // CodedFramesX
		return append(append([]byte{0x80 | kind | 3}, c.fourCC...), data...)
	case c.composition:
		return append(append(append([]byte{0x80 | kind | 1}, c.fourCC...), time...), data...)
	}
	return append(append([]byte{0x80 | kind | 1}, c.fourCC...), data...)
}

func (c enhancedCodec) sound(data []byte) []byte {
	if c.legacy != 0 {
		return append([]byte{c.legacy, 1}, data...)
	}
	return append(append([]byte{0x91}, c.fourCC...), data...)
}

// mp4Packet is a sample and where it lies in its file.
type mp4Packet struct {
	video, key bool
	pts, dts   uint32 // ms
	pos, size  int
}

// packetsOf lists the samples of an MP4 file in the order of their DTS.
func packetsOf(ctx context.Context, t *testing.T, path string) []mp4Packet {
	t.Helper()
	o, err := analyse(ctx, "ffprobe", "-v", "error", "-of", "json", "-show_entries",
		"packet=codec_type,pts_time,dts_time,flags,pos,size:packet_side_data=", path)
	if err != nil {
		t.Fatal(err)
	}
	var probed struct {
		Packets []struct {
			Type  string `json:"codec_type"`
			PTS   string `json:"pts_time"`
			DTS   string `json:"dts_time"`
			Flags string `json:"flags"`
			Pos   string `json:"pos"`
			Size  string `json:"size"`
		} `json:"packets"`
	}
	if err := json.Unmarshal([]byte(o.stdout), &probed); err != nil {
		t.Fatal(err)
	}
	var packets []mp4Packet
	for _, p := range probed.Packets {
		var q mp4Packet
		if q.pts, q.dts, err = milliseconds(p.PTS, p.DTS); err != nil {
			t.Fatal(err)
		}
		q.video, q.key = p.Type == "video", p.Flags[0] == 'K'
		if _, err := fmt.Sscan(p.Pos+" "+p.Size, &q.pos, &q.size); err != nil {
			t.Fatal(err)
		}
		packets = append(packets, q)
	}
	return packets
}

// enhancedStart leaves room for a DTS below 0.
const enhancedStart = time.Second

// milliseconds returns times as an encoder would send them.
func milliseconds(pts, dts string) (p, d uint32, err error) {
	var times [2]time.Duration
	for i, s := range []string{pts, dts} {
		if times[i], err = seconds(s); err != nil {
			return 0, 0, err
		}
	}
	ms := func(d time.Duration) uint32 {
		return uint32((d + enhancedStart).Round(time.Millisecond) / time.Millisecond)
	}
	return ms(times[0]), ms(times[1]), nil
}
