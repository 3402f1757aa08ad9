package e2e

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// fixture describes a source file: what an encoder would send.
type fixture struct {
	name    string
	seconds int

	size    string // WIDTHxHEIGHT; "" for no video
	rate    string // frames per second, as ffmpeg writes it
	profile string
	bframes int
	bitrate string        // video, constant; "" for a constant quality
	gop     time.Duration // distance of keyframes; 0 is that of most fixtures

	audioRate int // Hz; 0 for no audio
	channels  int
}

// gop is the distance of keyframes in a fixture that has none of its own.
const gop = 2 * time.Second

// fixtures cover the ways in which real sources differ.
var fixtures = []fixture{
	{name: "baseline", seconds: 13, size: "640x360", rate: "25", profile: "baseline", audioRate: 44100, channels: 2},
	{name: "high-bframes", seconds: 13, size: "640x360", rate: "25", profile: "high", bframes: 2, audioRate: 48000, channels: 2},
	{name: "audio-only-44k", seconds: 13, audioRate: 44100, channels: 2},
	{name: "audio-only-48k-mono", seconds: 13, audioRate: 48000, channels: 1},
	{name: "video-only", seconds: 13, size: "640x360", rate: "25", profile: "main"},
	{name: "video-only-bframes", seconds: 13, size: "640x360", rate: "30", profile: "high", bframes: 2},
	{name: "mono-44k", seconds: 13, size: "320x180", rate: "25", profile: "main", audioRate: 44100, channels: 1},
	{name: "ntsc-30", seconds: 13, size: "640x360", rate: "30000/1001", profile: "main", audioRate: 48000, channels: 2},
	{name: "slow-10", seconds: 13, size: "320x180", rate: "10", profile: "main", audioRate: 44100, channels: 2},
	{name: "slow-10-video-only", seconds: 13, size: "320x180", rate: "10", profile: "main"},
	{name: "fast-60", seconds: 13, size: "640x360", rate: "60", profile: "high", bframes: 2, audioRate: 48000, channels: 2},
	{name: "broadcast-720p", seconds: 15, size: "1280x720", rate: "30", profile: "high", bitrate: "2500k", audioRate: 48000, channels: 2},
}

// fixtureNamed returns one of fixtures.
func fixtureNamed(t testing.TB, name string) fixture {
	t.Helper()
	for _, f := range fixtures {
		if f.name == name {
			return f
		}
	}
	t.Fatalf("no fixture is named %q", name)
	return fixture{}
}

func (f fixture) hasVideo() bool { return f.size != "" }
func (f fixture) hasAudio() bool { return f.audioRate != 0 }

// source is a made fixture.
type source struct {
	path  string // an FLV file, tag for tag what `ffmpeg -c copy -f flv` sends over RTMP
	media media
	err   error
}

var (
	sourcesMu sync.Mutex
	sources   = map[string]func() source{}
)

// make encodes the fixture, once per run, and reads what is in it.
func (f fixture) make(t testing.TB) source {
	t.Helper()
	sourcesMu.Lock()
	once, ok := sources[f.name]
	if !ok {
		once = sync.OnceValue(f.encode)
		sources[f.name] = once
	}
	sourcesMu.Unlock()
	s := once()
	if s.err != nil {
		t.Fatalf("make fixture %s: %v", f.name, s.err)
	}
	return s
}

// encode makes the fixture in two steps. The second is what a publisher does
// (`-c copy -f flv`) but into a file: ffmpeg rewrites timestamps while it
// copies, and this file holds them as they will be sent.
func (f fixture) encode() source {
	// Not a test's context: the fixture outlives the test that asks for it first.
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	encoded := filepath.Join(runDir, f.name+".encoded.flv")
	if _, err := analyse(ctx, "ffmpeg", f.encodeArgs(encoded)...); err != nil {
		return source{err: err}
	}
	path := filepath.Join(runDir, f.name+".flv")
	if _, err := analyse(ctx, "ffmpeg", "-v", "error", "-y", "-i", encoded, "-c", "copy", "-f", "flv", path); err != nil {
		return source{err: err}
	}
	m, err := readMedia(ctx, path)
	if err != nil {
		return source{err: err}
	}
	if err := f.plausible(m); err != nil {
		return source{err: err}
	}
	return source{path: path, media: m}
}

func (f fixture) encodeArgs(path string) []string {
	args := []string{"-v", "error", "-y"}
	if f.hasVideo() {
		args = append(args, "-f", "lavfi", "-i", "testsrc2=size="+f.size+":rate="+f.rate)
	}
	if f.hasAudio() {
		args = append(args, "-f", "lavfi", "-i", fmt.Sprintf("sine=frequency=440:beep_factor=4:sample_rate=%d", f.audioRate))
	}
	args = append(args, "-t", strconv.Itoa(f.seconds), "-threads", "1")
	if f.hasVideo() {
		every := cmp.Or(f.gop, gop)
		args = append(args, "-c:v", "libx264", "-preset", "veryfast", "-profile:v", f.profile, "-pix_fmt", "yuv420p",
			"-force_key_frames", fmt.Sprintf("expr:gte(t,n_forced*%g)", every.Seconds()), "-g", "600", "-sc_threshold", "0",
			"-bf", strconv.Itoa(f.bframes), "-x264-params", "b-adapt=0:open-gop=0")
		if f.bitrate != "" {
			args = append(args, "-b:v", f.bitrate, "-minrate", f.bitrate, "-maxrate", f.bitrate, "-bufsize", f.bitrate)
		} else {
			args = append(args, "-crf", "28")
		}
	}
	if f.hasAudio() {
		args = append(args, "-c:a", "aac", "-b:a", "64k", "-ac", strconv.Itoa(f.channels))
	}
	return append(args, "-f", "flv", path)
}

// plausible guards against a fixture that would prove nothing.
func (f fixture) plausible(m media) error {
	if got := len(m.video) > 0; got != f.hasVideo() {
		return fmt.Errorf("video present: %t, want %t", got, f.hasVideo())
	}
	if got := len(m.audio) > 0; got != f.hasAudio() {
		return fmt.Errorf("audio present: %t, want %t", got, f.hasAudio())
	}
	reordered := 0
	for _, v := range m.video {
		if v.pts != v.dts {
			reordered++
		}
	}
	if (reordered > 0) != (f.bframes > 0) {
		return fmt.Errorf("%d frames have a composition time, B-frames asked for: %d", reordered, f.bframes)
	}
	return nil
}
