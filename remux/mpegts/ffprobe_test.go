package mpegts_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/headwater-live/headwater/remux/mpegts"
)

// probed is a packet as ffprobe shows it.
type probed struct {
	Stream int    `json:"stream_index"`
	PTS    int64  `json:"pts"`
	DTS    int64  `json:"dts"`
	Size   string `json:"size"`
	Flags  string `json:"flags"`
}

// probe runs ffprobe, which must have nothing to say but the packets.
func probe(t *testing.T, ts []byte, args ...string) []byte {
	t.Helper()
	name := filepath.Join(t.TempDir(), "out.ts")
	if err := os.WriteFile(name, ts, 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(args[0], append(args[1:], name)...)
	if args[0] == "ffmpeg" {
		cmd = exec.Command("ffmpeg", "-v", "warning", "-xerror", "-i", name, "-f", "null", "-")
	}
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Fatalf("%s: %v\n%s", args[0], err, stderr.Bytes())
	}
	return stdout.Bytes()
}

func TestFFmpegReadsEveryPacketWithItsTimes(t *testing.T) {
	for _, test := range []struct {
		name, file string
		shift      int64
	}{
		{"video and audio", sampleAV, 0},
		{"audio alone", sampleAudio, 0},
		{"after a day", sampleAV, 26 * 3600 * 90_000},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := readSample(t, test.file)
			ts := s.mux(t, test.shift)
			if err := mustCheck(t, ts).checkPCRs(); err != nil {
				t.Error(err)
			}
			var out struct{ Packets []probed }
			if err := json.Unmarshal(probe(t, ts, "ffprobe", "-v", "warning", "-show_packets", "-of", "json"), &out); err != nil {
				t.Fatal(err)
			}
			comparePackets(t, s, test.shift, out.Packets)
			probe(t, ts, "ffmpeg")
		})
	}
}

func comparePackets(t *testing.T, s sample, shift int64, got []probed) {
	t.Helper()
	byTrack := map[bool][]probed{}
	for _, p := range got {
		isVideo := s.video.SPS != nil && p.Stream == 0
		byTrack[isVideo] = append(byTrack[isVideo], p)
	}
	next := map[bool]int{}
	for _, f := range s.frames {
		n := next[f.isVideo]
		next[f.isVideo]++
		if n >= len(byTrack[f.isVideo]) {
			t.Fatalf("ffprobe shows only %d packets (video: %v)", n, f.isVideo)
		}
		p := byTrack[f.isVideo][n]
		// ffprobe computes the times of the later frames of a PES packet itself.
		tolerance := int64(0)
		if !f.isVideo {
			tolerance = 30
		}
		if off := p.PTS - wire(f.pts+shift); off > tolerance || off < -tolerance {
			t.Fatalf("packet %d: PTS %d, want %d", n, p.PTS, wire(f.pts+shift))
		}
		if off := p.DTS - wire(f.dts+shift); off > tolerance || off < -tolerance {
			t.Fatalf("packet %d: DTS %d, want %d", n, p.DTS, wire(f.dts+shift))
		}
		if size, _ := strconv.Atoi(p.Size); size < len(f.data) {
			t.Fatalf("packet %d has %d bytes, the frame %d", n, size, len(f.data))
		}
	}
	for isVideo, packets := range byTrack {
		if len(packets) != next[isVideo] {
			t.Errorf("ffprobe shows %d packets of %d (video: %v)", len(packets), next[isVideo], isVideo)
		}
	}
}

// The pictures and the sound that ffmpeg decodes are those of the source.
func TestDecodedPicturesAreThoseOfTheSource(t *testing.T) {
	source := frameHashes(t, sampleAV)
	name := filepath.Join(t.TempDir(), "out.ts")
	if err := os.WriteFile(name, readSample(t, sampleAV).mux(t, 0), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := frameHashes(t, name); !bytes.Equal(got, source) || len(source) == 0 {
		t.Errorf("decoded pictures differ:\n%s\n%s", got, source)
	}
}

func frameHashes(t *testing.T, name string) []byte {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "error", "-i", name, "-map", "0:v",
		"-vsync", "passthrough", "-f", "rawvideo", "-c:v", "rawvideo", "-f", "md5", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A reader that starts at the wrap of 33 bits goes on through it.
func TestFFmpegReadsThroughTheWrap(t *testing.T) {
	s := readSample(t, sampleAV)
	ts := s.mux(t, 1<<33-mpegts.DecodeDelay-90_000)
	var out struct{ Packets []probed }
	if err := json.Unmarshal(probe(t, ts, "ffprobe", "-v", "warning", "-show_packets", "-of", "json"), &out); err != nil {
		t.Fatal(err)
	}
	if len(out.Packets) != len(s.frames) {
		t.Errorf("ffprobe shows %d packets of %d", len(out.Packets), len(s.frames))
	}
	last := map[int]int64{}
	for i, p := range out.Packets {
		if before, seen := last[p.Stream]; seen && (p.DTS-before <= 0 || p.DTS-before > 9_000) {
			t.Fatalf("packet %d of stream %d: DTS %d after %d", i, p.Stream, p.DTS, before)
		}
		last[p.Stream] = p.DTS
	}
	probe(t, ts, "ffmpeg")
}
