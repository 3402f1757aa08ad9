package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestPlayersPlay lets ffprobe, ffmpeg, mpv and VLC watch a live stream by HLS,
// by HTTP-FLV and by HTTP-TS, as their users do: they come in the middle and leave before the end.
func TestPlayersPlay(t *testing.T) {
	s := startServer(t)
	const name = "players"
	ctx := limit(t, 2*time.Minute)
	src := browserFixture.make(t)
	pushUnderReferee(ctx, t, src.path, s.origin, name)
	waitForHLS(ctx, t, s.hlsURL(name), 3)
	for kind, url := range map[string]string{"hls": s.hlsURL(name), "flv": s.flvURL(name), "ts": s.tsURL(name)} {
		for player, play := range map[string]func(context.Context, *testing.T, string){
			"ffprobe": ffprobeLive, "ffmpeg": ffmpegLive, "mpv": mpvLive, "vlc": vlcLive,
		} {
			t.Run(player+" "+kind, func(t *testing.T) {
				t.Parallel()
				play(limit(t, time.Minute), t, url)
			})
		}
	}
}

// ffprobeLive checks what ffprobe finds out about a live stream.
func ffprobeLive(ctx context.Context, t *testing.T, url string) {
	o := run(command(ctx, t, "ffprobe", "-v", "error", "-of", "json", "-show_streams", url))
	if err := o.clean(); err != nil {
		t.Fatal(err)
	}
	var probed struct {
		Streams []struct {
			Codec      string `json:"codec_name"`
			Width      int    `json:"width"`
			Height     int    `json:"height"`
			Rate       string `json:"avg_frame_rate"`
			SampleRate string `json:"sample_rate"`
			Channels   int    `json:"channels"`
		} `json:"streams"`
	}
	if err := json.Unmarshal([]byte(o.stdout), &probed); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, s := range probed.Streams {
		switch s.Codec {
		case "h264":
			found[s.Codec] = fmt.Sprintf("%dx%d", s.Width, s.Height)
		default:
			found[s.Codec] = fmt.Sprintf("%s Hz, %d channels", s.SampleRate, s.Channels)
		}
	}
	f := browserFixture
	for codec, want := range map[string]string{
		"h264": f.size,
		"aac":  fmt.Sprintf("%d Hz, %d channels", f.audioRate, f.channels),
	} {
		if found[codec] != want {
			t.Errorf("%s is %q, not %q; all streams: %v", codec, found[codec], want, found)
		}
	}
}

const playSeconds = 8

// ffmpegLive decodes some seconds and tolerates no complaint.
func ffmpegLive(ctx context.Context, t *testing.T, url string) { ffmpegPlays(ctx, t, url, playSeconds) }

// ffmpegPlays decodes so many seconds of browserFixture and tolerates no complaint.
func ffmpegPlays(ctx context.Context, t *testing.T, url string, seconds int) {
	t.Helper()
	o := run(command(ctx, t, "ffmpeg", "-v", "error", "-nostdin", "-xerror", "-i", url, "-t", strconv.Itoa(seconds),
		"-progress", "-", "-f", "null", "-"))
	if err := o.clean(); err != nil {
		t.Fatal(err)
	}
	frames := 0
	for line := range strings.Lines(o.stdout) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "frame="); ok {
			frames, _ = strconv.Atoi(v)
		}
	}
	if want := seconds * 25; math.Abs(float64(frames-want)) > 3 {
		t.Errorf("ffmpeg decoded %d frames in %d s, want about %d", frames, seconds, want)
	}
}

// mpvLive plays some seconds against the clock and tolerates no complaint.
func mpvLive(ctx context.Context, t *testing.T, url string) {
	o := run(command(ctx, t, "mpv", "--no-config", "--vo=null", "--ao=null", "--no-input-terminal",
		"--msg-level=all=error,statusline=status", "--term-status-msg=at ${=time-pos}", "--length="+strconv.Itoa(playSeconds), url))
	if o.err != nil {
		t.Fatalf("mpv: %v\n%s%s", o.err, o.stdout, o.stderr)
	}
	var times []float64
	for _, line := range strings.FieldsFunc(o.stderr, func(r rune) bool { return r == '\r' || r == '\n' }) {
		line = strings.TrimPrefix(line, "\x1b[K") // erase to the end of the line
		at, isStatus := strings.CutPrefix(line, "at ")
		v, err := strconv.ParseFloat(at, 64)
		switch {
		case isStatus && err == nil:
			times = append(times, v)
		case !isStatus && line != "":
			t.Errorf("mpv complained: %s", line)
		}
	}
	if len(times) == 0 {
		t.Fatal("mpv played nothing")
	}
	if played := times[len(times)-1] - times[0]; played < playSeconds-1 {
		t.Errorf("mpv played %.1f s of %d", played, playSeconds)
	}
}
