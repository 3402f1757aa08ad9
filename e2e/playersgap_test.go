package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	_ "image/jpeg" // what mpv writes
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What is published before and after a gap differs in the size of its pictures.
var (
	beforeGap = fixture{name: "gap-before", seconds: 10, size: "320x180", rate: "25", profile: "main", bframes: 2, gop: time.Second, audioRate: 44100, channels: 2}
	afterGap  = fixture{name: "gap-after", seconds: 10, size: "480x270", rate: "25", profile: "main", bframes: 2, gop: time.Second, audioRate: 44100, channels: 2}
)

// gapPictures is how many pictures there are before the gap, and as many after it.
const gapPictures = 250

// leastAfterGap is how many of them a player must have. Some may be lost where the stream breaks, or to a busy machine.
const leastAfterGap = gapPictures * 3 / 5

// gapPlayers play to the end of a stream and return how many pictures from after the gap there were.
var gapPlayers = map[string]func(context.Context, *testing.T, string) int{
	"ffmpeg": ffmpegToTheEnd, "mpv": mpvToTheEnd, "VLC": vlcToTheEnd, "streamlink": streamlinkToTheEnd,
	"GStreamer hlsdemux": gstHLSDemuxToTheEnd, "GStreamer playbin3": gstPlaybinToTheEnd,
}

// TestPlayersPlayOnThroughAGap lets players watch a stream by HLS whose publisher leaves for some seconds, and comes
// back with timestamps that begin anew and another picture size. Each plays on behind the discontinuity, without being
// told anything, until EXT-X-ENDLIST, and ends there by itself.
func TestPlayersPlayOnThroughAGap(t *testing.T) {
	t.Parallel()
	const gap, grace = 4 * time.Second, 7 * time.Second
	s := startServer(t, "--hls.segment", "1s", "--stream.grace", grace.String())
	ctx := limit(t, 3*time.Minute)
	before, after := beforeGap.make(t), afterGap.make(t)
	if len(before.media.video) != gapPictures || len(after.media.video) != gapPictures {
		t.Fatalf("the sources have %d and %d pictures", len(before.media.video), len(after.media.video))
	}
	const name = "gap"
	pushed := make(chan struct{})
	go func() {
		defer close(pushed)
		ffmpegPush(ctx, t, before.path, s.publishURL(name))
		select {
		case <-time.After(gap):
		case <-ctx.Done():
		}
		ffmpegPush(ctx, t, after.path, s.publishURL(name))
	}()
	t.Cleanup(func() { <-pushed })
	waitForHLS(ctx, t, s.hlsURL(name), 3)
	for player, play := range gapPlayers {
		t.Run(player, func(t *testing.T) {
			t.Parallel()
			pictures := play(ctx, t, s.hlsURL(name))
			t.Logf("%d pictures from after the gap", pictures)
			if pictures < leastAfterGap || pictures > gapPictures {
				t.Errorf("%d pictures from after the gap, of %d", pictures, gapPictures)
			}
		})
	}
}

func ffmpegToTheEnd(ctx context.Context, t *testing.T, url string) (pictures int) {
	o := run(command(ctx, t, "ffmpeg", "-v", "error", "-nostdin", "-re", "-i", url, "-fps_mode", "passthrough", "-progress", "-", "-f", "null", "-"))
	if o.err != nil {
		t.Errorf("ffmpeg: %v\n%s", o.err, o.stderr)
	}
	for line := range strings.Lines(o.stdout) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "frame="); ok {
			pictures, _ = strconv.Atoi(v)
		}
	}
	return pictures - gapPictures
}

func mpvToTheEnd(ctx context.Context, t *testing.T, url string) (pictures int) {
	dir := t.TempDir()
	o := run(command(ctx, t, "mpv", "--no-config", "--vo=image", "--vo-image-format=jpg", "--vo-image-outdir="+dir,
		"--ao=null", "--no-input-terminal", "--msg-level=all=error", url))
	if o.err != nil {
		t.Errorf("mpv: %v\n%s%s", o.err, o.stdout, o.stderr)
	}
	return countAfterGap(t, filepath.Join(dir, "*.jpg"))
}

// vlcToTheEnd has VLC write down what it plays. It would show little of it: to its clock all comes too late after a gap.
func vlcToTheEnd(ctx context.Context, t *testing.T, url string) (pictures int) {
	needTool(t, "vlc")
	// Not t.TempDir: VLC runs as another user, who must get there.
	dir, err := os.MkdirTemp("", "headwater-vlc-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "stream.ts")
	name, args := unprivileged(t, dir, "vlc", "-I", "dummy", "--no-color", "--sout=#standard{access=file,mux=ts,dst="+path+"}", "--sout-all",
		"--play-and-exit", url, "vlc://quit")
	cmd := command(ctx, t, name, args...)
	cmd.Dir = dir
	if o := run(cmd); o.err != nil {
		t.Errorf("VLC: %v\n%s%s", o.err, o.stdout, tail(o.stderr, 2000))
	}
	return packetsAfterGap(ctx, t, path)
}

// countAfterGap counts the files with pictures that have the size of those after the gap.
func countAfterGap(t *testing.T, pattern string) (n int) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		picture, _, err := image.DecodeConfig(bytes.NewReader(data))
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
		if fmt.Sprintf("%dx%d", picture.Width, picture.Height) == afterGap.size {
			n++
		}
	}
	return n
}

// streamlinkToTheEnd has streamlink write down what it would give a player, and counts the pictures in it. It looks for
// EXT-X-ENDLIST only where a new segment is listed, so it ends with a timeout.
func streamlinkToTheEnd(ctx context.Context, t *testing.T, url string) int {
	path := filepath.Join(t.TempDir(), "stream.ts")
	o := run(command(ctx, t, "streamlink", "--config", os.DevNull, "--loglevel", "warning", "--stream-timeout", "15",
		"--output", path, url, "best"))
	if said := o.stdout + o.stderr; o.err != nil && !strings.Contains(said, "Read timeout") || strings.Count(said, "error:") > 1 {
		t.Errorf("streamlink: %v\n%s%s", o.err, o.stdout, o.stderr)
	}
	return packetsAfterGap(ctx, t, path)
}

// packetsAfterGap returns how many pictures more a file has than there were before the gap.
func packetsAfterGap(ctx context.Context, t *testing.T, path string) int {
	t.Helper()
	probe, err := analyse(ctx, "ffprobe", "-v", "error", "-of", "json", "-select_streams", "v", "-count_packets", "-show_entries", "stream=nb_read_packets", path)
	if err != nil {
		t.Fatal(err)
	}
	var counted struct {
		Streams []struct {
			Packets string `json:"nb_read_packets"`
		}
	}
	if err := json.Unmarshal([]byte(probe.stdout), &counted); err != nil || len(counted.Streams) != 1 {
		t.Fatalf("ffprobe: %v\n%s", err, probe.stdout)
	}
	n, err := strconv.Atoi(counted.Streams[0].Packets)
	if err != nil {
		t.Fatal(err)
	}
	return n - gapPictures
}

// gstHLSDemuxToTheEnd plays with the element that most programs with GStreamer have used for years.
func gstHLSDemuxToTheEnd(ctx context.Context, t *testing.T, url string) int {
	return gstToTheEnd(ctx, t, `souphttpsrc location=`+url+` ! hlsdemux ! tsdemux name=demux
		demux. ! queue ! h264parse ! openh264dec ! fakesink name=pictures silent=false sync=true
		demux. ! queue ! aacparse ! faad ! fakesink sync=true`)
}

// gstPlaybinToTheEnd plays with what chooses elements by itself, by hlsdemux2 for HLS.
func gstPlaybinToTheEnd(ctx context.Context, t *testing.T, url string) int {
	return gstToTheEnd(ctx, t, `playbin3 uri=`+url+` video-sink=fakesink\ name=pictures\ silent=false\ sync=true audio-sink=fakesink\ sync=true`)
}

// gstToTheEnd runs a pipeline and counts what comes to the sink that is named "pictures".
func gstToTheEnd(ctx context.Context, t *testing.T, pipeline string) (pictures int) {
	var args []string
	for _, arg := range strings.Fields(strings.ReplaceAll(pipeline, `\ `, "\x00")) {
		args = append(args, strings.ReplaceAll(arg, "\x00", " "))
	}
	o := run(command(ctx, t, "gst-launch-1.0", append([]string{"-v"}, args...)...))
	if o.err != nil || strings.Contains(o.stderr, "ERROR") {
		t.Errorf("gst-launch-1.0: %v\n%s", o.err, tail(o.stderr, 2000))
	}
	for line := range strings.Lines(o.stdout) {
		if strings.Contains(line, "pictures: last-message = chain ") {
			pictures++
		}
	}
	return pictures - gapPictures
}
