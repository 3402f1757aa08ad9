package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// capture is a recording of all that an encoder sent on one connection, with
// what its README says is in it. Times are of the RTMP clock.
type capture struct {
	name         string
	video, audio track
	// audioSlack is how far the audio's RTMP times run from its sample clock.
	audioSlack time.Duration
	// changes is how often the decoder configuration changes in the middle.
	changes int
}

// track says how many coded frames a capture has, and the times of the first
// and the last in ms.
type track struct {
	frames      int
	first, last int64
}

var captures = []capture{
	{name: "01-ffmpeg51-h264-aac", video: track{200, 23, 7983}, audio: track{346, 0, 8011}},
	{name: "02-ffmpeg51-h264-bframes-aac", video: track{200, 0, 7960}, audio: track{346, 57, 8068}},
	{name: "03-ffmpeg51-ts-offset-2p24", video: track{375, 16770000, 16784960}, audio: track{647, 16769977, 16784977}},
	{name: "03b-ffmpeg51-ts-offset-above-2p24", video: track{150, 16779920, 16785880}, audio: track{260, 16779977, 16785991}},
	{name: "03c-ffmpeg51-ext-ts-large-keyframe", video: track{30, 16780000, 16781160}, audio: track{53, 16779977, 16781184}},
	{name: "04-ffmpeg51-audio-only", audio: track{346, 0, 8011}},
	{name: "05-ffmpeg51-video-only", video: track{200, 0, 7960}},
	{name: "06-gst122-rtmp2sink", video: track{200, 3, 7963}, audio: track{345, 0, 7988}},
	{name: "07-gst122-rtmpsink-librtmp", video: track{200, 4, 7964}, audio: track{345, 0, 7987}},
	{name: "07b-gst122-rtmpsink-librtmp-ext-ts", video: track{200, 16780000, 16787960}, audio: track{342, 16780077, 16787995}},
	{name: "08-obs29-x264-aac-token", video: track{204, 0, 6766}, audio: track{319, 0, 6784}},
	// Two encodes joined: the second one's audio begins 40 ms before the first one's ends.
	{name: "09-ffmpeg51-sps-change", video: track{200, 23, 7983}, audio: track{348, 0, 8017}, audioSlack: 45 * time.Millisecond, changes: 1},
}

const (
	// keptCaptures has the smaller captures.
	keptCaptures = "../testdata/captures"
	// allCaptures has the whole collection, which is too big to keep and lies
	// beside the repository on machines that have it.
	allCaptures = "../../shared/captures"
)

// open returns a capture's bytes; nil where only the kept captures are at hand
// and this is none of them. In CI the whole collection must be there.
func (c capture) open(t *testing.T) []byte {
	t.Helper()
	for _, dir := range []string{keptCaptures, allCaptures} {
		data, err := os.ReadFile(filepath.Join(dir, c.name+".c2s"))
		if err == nil {
			checkSum(t, dir, c.name+".c2s", data)
			return data
		}
		if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("capture %s is neither in testdata/captures nor in the whole collection, which CI must provide at ../shared/captures beside the repository", c.name)
	}
	return nil
}

// checkSum compares a file with the SHA256SUMS of its folder.
func checkSum(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	sums, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	if !strings.Contains(string(sums), hex.EncodeToString(sum[:])+"  "+name) {
		t.Fatalf("%s is not the file that %s/SHA256SUMS names", name, dir)
	}
}

// check compares a player's frames with what the capture's README says.
func (c capture) check(m media, audioTolerance time.Duration) []string {
	var faults []string
	var offset time.Duration
	if c.video.frames > 0 && len(m.video) > 0 {
		offset = m.video[0].dts - time.Duration(c.video.first)*time.Millisecond
	} else if len(m.audio) > 0 {
		offset = m.audio[0].dts - time.Duration(c.audio.first)*time.Millisecond
	}
	faults = append(faults, c.video.check("video", m.video, offset, time.Millisecond)...)
	return append(faults, c.audio.check("audio", m.audio, offset, audioTolerance)...)
}

func (k track) check(name string, frames []frame, offset, tol time.Duration) []string {
	if len(frames) != k.frames {
		return []string{fmt.Sprintf("%s: %d frames went in, %d came out", name, k.frames, len(frames))}
	}
	if k.frames == 0 {
		return nil
	}
	var faults []string
	for _, end := range []struct {
		what string
		got  time.Duration
		want int64
	}{
		{"first", frames[0].dts, k.first},
		{"last", frames[len(frames)-1].dts, k.last},
	} {
		want := time.Duration(end.want) * time.Millisecond
		if off := end.got - offset - want; off.Abs() > tol {
			faults = append(faults, fmt.Sprintf("%s: the %s frame, sent with %v, is off by %v", name, end.what, want, off))
		}
	}
	return faults
}

// captureNamed returns one of captures.
func captureNamed(t *testing.T, name string) capture {
	t.Helper()
	for _, c := range captures {
		if c.name == name {
			return c
		}
	}
	t.Fatalf("no capture is named %q", name)
	return capture{}
}
