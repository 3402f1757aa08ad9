package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestRTMPPlayersPlay lets ffmpeg, mpv and rtmpdump play a stream from the URL that it is
// published to. They come in the middle and leave before the end.
func TestRTMPPlayersPlay(t *testing.T) {
	s := startServer(t)
	const name = "rtmp-players"
	src := browserFixture.make(t)
	ctx := limit(t, 2*time.Minute)
	pushUnderReferee(ctx, t, src.path, s.origin, name)
	waitForHLS(ctx, t, s.hlsURL(name), 1)
	for player, play := range map[string]func(context.Context, *testing.T, string){
		"ffmpeg": ffmpegLive, "mpv": mpvLive, "rtmpdump": rtmpdumpLive,
	} {
		t.Run(player, func(t *testing.T) {
			t.Parallel()
			play(limit(t, time.Minute), t, s.publishURL(name))
		})
	}
}

// rtmpdumpLive records until there are some seconds of pictures, and counts them.
func rtmpdumpLive(ctx context.Context, t *testing.T, url string) {
	path := filepath.Join(t.TempDir(), "dump.flv")
	cmd := command(ctx, t, "rtmpdump", "--quiet", "--live", "--rtmp", url, "--flv", path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	file, err := grown(ctx, path, playSeconds*25)
	if err != nil {
		t.Errorf("rtmpdump: %v", err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()               // it was killed
	tags, _, _ := parseFLV(file) // the last one may be cut
	pictures := 0
	first, last := time.Duration(-1), time.Duration(0)
	for _, tag := range tags {
		if tag.kind != tagVideo || !tag.coded() {
			continue
		}
		if pictures++; first < 0 {
			first = milli(tag.time)
			if tag.body[0]>>4 != 1 {
				t.Error("the first picture is no keyframe")
			}
		}
		last = milli(tag.time)
	}
	if want := int((last-first)/(time.Second/25)) + 1; pictures != want {
		t.Errorf("rtmpdump got %d pictures in %v, want %d", pictures, last-first, want)
	}
}

// grown waits until an FLV file has some pictures.
func grown(ctx context.Context, path string, pictures int) ([]byte, error) {
	for {
		file, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		tags, _, _ := parseFLV(file)
		n := 0
		for _, tag := range tags {
			if tag.kind == tagVideo && tag.coded() {
				n++
			}
		}
		if n >= pictures {
			return file, nil
		}
		select {
		case <-ctx.Done():
			return file, fmt.Errorf("%d pictures of %d: %w", n, pictures, context.Cause(ctx))
		case <-time.After(pollInterval):
		}
	}
}
