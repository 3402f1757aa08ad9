package e2e

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

const (
	// refreshed is how many pictures a stream of intra refresh has after its only keyframe before somebody joins:
	// more than a server keeps of a GOP. refreshRest come after that.
	refreshed, refreshRest = 6_450, 150
	// refreshTime is how long it takes to refresh a picture, in pictures.
	refreshTime = 25
)

// TestWhoJoinsIntraRefreshSeesWholePictures has viewers come when the only keyframe is long gone. What ffmpeg
// decodes of what they get is, after a refresh, bit by bit what it decodes of all of it.
func TestWhoJoinsIntraRefreshSeesWholePictures(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--hls.enabled=false", "--stream.grace=1s")
	ctx := limit(t, 2*startLimit)
	dir := t.TempDir()
	src := filepath.Join(dir, "source.flv")
	if _, err := analyse(ctx, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=160x96:r=25:d=264", "-c:v", "libx264", "-preset", "ultrafast",
		"-g", "25", "-x264-params", "intra-refresh=1", src); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(src)
	if err != nil {
		t.Fatal(err)
	}
	tags, _, err := parseFLV(file)
	if err != nil {
		t.Fatal(err)
	}
	client, err := rtmp.Dial(ctx, s.publishURL("refresh"), rtmp.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	if err := client.Publish(ctx); err != nil {
		t.Fatal(err)
	}
	pictures := 0
	publish := func(until int) {
		for ; len(tags) > 0 && pictures < until; tags = tags[1:] {
			if tags[0].kind != tagVideo {
				continue
			}
			if tags[0].coded() {
				pictures++
			}
			if err := client.WriteMedia(rtmp.TypeVideo, tags[0].time, tags[0].body); err != nil {
				t.Fatal(err)
			}
		}
	}
	publish(100)
	// One log is there from the beginning, the other begins with what the stream has kept.
	passed := make(chan struct{})
	count := 0
	early := opened(ctx, t, s.flvURL("refresh"))
	defer func() { _ = early.Close() }()
	go func() {
		_ = eachTag(early, func(tag flvTag) error { // until the test ends
			if tag.kind == tagVideo && tag.coded() {
				if count++; count == refreshed {
					close(passed)
				}
			}
			return nil
		})
	}()
	publish(refreshed)
	select {
	case <-passed:
	case <-ctx.Done():
		t.Fatal("not all pictures have come to who was there from the beginning")
	}
	late := map[string]io.ReadCloser{
		"late.flv": opened(ctx, t, s.flvURL("refresh")), "late.ts": opened(ctx, t, s.tsURL("refresh")),
	}
	publish(refreshed + refreshRest)
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	all := decoded(ctx, t, src)
	for name, body := range late {
		stream, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		_ = body.Close()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, stream, 0o600); err != nil {
			t.Fatal(err)
		}
		got := decoded(ctx, t, path)
		const whole = refreshRest - 2*refreshTime
		if len(got) < whole || len(got) > refreshRest+2*refreshTime || !slices.Equal(got[len(got)-whole:], all[len(all)-whole:]) {
			t.Errorf("%s: of %d pictures the last %d are not those of the source", name, len(got), whole)
		}
	}
}

// opened asks for a stream and returns it once it is being sent.
func opened(ctx context.Context, t *testing.T, url string) io.ReadCloser {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := viewerClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return res.Body
}

// decoded returns the checksums of the pictures that ffmpeg decodes.
func decoded(ctx context.Context, t *testing.T, path string) (sums []string) {
	t.Helper()
	o, err := analyse(ctx, "ffmpeg", "-v", "error", "-i", path, "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(o.stdout) {
		if !strings.HasPrefix(line, "#") {
			sums = append(sums, line[strings.LastIndexByte(line, ',')+1:])
		}
	}
	return sums
}
