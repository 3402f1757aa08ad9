package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// beforeTheEnd is how long a stream runs until its time is more than a format can say: long enough for
// players to have begun.
const beforeTheEnd = 14 * time.Second

// TestALongStreamPlaysOn publishes streams whose time is that of a stream that began long ago, and has them
// played by who was there before the time becomes too large, and by who comes later.
func TestALongStreamPlaysOn(t *testing.T) {
	s := startServer(t)
	src := browserFixture.make(t)
	file, err := os.ReadFile(src.path)
	if err != nil {
		t.Fatal(err)
	}
	tags, _, err := parseFLV(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		limit   time.Duration // of what can be said
		browser string        // the kind that says it
	}{
		{"24.8 days, 31 bits of milliseconds", 1 << 31 * time.Millisecond, "flv"},
		{"26.5 hours, 33 bits of MPEG-TS", (1 << 33) / 90 * time.Millisecond, "ts"},
	} {
		t.Run(c.name, func(t *testing.T) { // one browser at a time
			ctx := limit(t, 2*time.Minute)
			name := "long-" + c.browser
			publishFrom(ctx, t, s.publishURL(name), tags, uint32((c.limit - beforeTheEnd).Milliseconds()))
			began := time.Now()
			waitForHLS(ctx, t, s.hlsURL(name), 1)
			urls := map[string]string{
				"hls": s.hlsURL(name), "flv": s.flvURL(name), "ts": s.tsURL(name), "rtmp": s.publishURL(name),
			}
			t.Run("across", func(t *testing.T) {
				for kind, url := range urls {
					t.Run(kind, func(t *testing.T) {
						t.Parallel()
						ffmpegPlays(ctx, t, url, int(beforeTheEnd.Seconds())+2)
					})
				}
				t.Run("browser "+c.browser, func(t *testing.T) {
					t.Parallel()
					p := playInBrowser(ctx, t, c.browser, urls[c.browser], time.Minute)
					p.started(ctx, t)
					from, to := p.untilSteady(ctx, t)
					// By then the time has become too large.
					for time.Since(began) < beforeTheEnd+playWindow*time.Second {
						from = p.until(ctx, t, func(sample) bool { return true })
					}
					to = p.until(ctx, t, func(s sample) bool { return s.CurrentTime > to.CurrentTime && s.CurrentTime > from.CurrentTime })
					if to.AudioBytes == 0 || to.DecodedFrames == 0 {
						t.Errorf("%+v", to)
					}
				})
			})
			if time.Since(began) < beforeTheEnd {
				t.Fatal("the time is not too large yet")
			}
			t.Run("later", func(t *testing.T) {
				for kind, url := range urls {
					t.Run(kind, func(t *testing.T) {
						t.Parallel()
						ffmpegPlays(ctx, t, url, 4)
					})
				}
			})
		})
	}
}

// publishFrom publishes tags in real time, again and again until the test ends, the first at a time in ms.
func publishFrom(ctx context.Context, t *testing.T, url string, tags []flvTag, first uint32) {
	t.Helper()
	ctx, end := context.WithCancel(ctx)
	client, err := rtmp.Dial(ctx, url, rtmp.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Publish(ctx); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- writeTags(ctx, client, tags, first) }()
	t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		_ = client.Close()
	})
}

func writeTags(ctx context.Context, client *rtmp.Client, tags []flvTag, first uint32) error {
	began := time.Now()
	length := tags[len(tags)-1].time + 40
	for round := uint32(0); ; round++ {
		for _, tag := range tags {
			if tag.kind == tagScript {
				continue // ffmpeg would say how long the file is
			}
			at := tag.time + round*length
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Until(began.Add(milli(at)))):
			}
			if err := client.WriteMedia(uint8(tag.kind), first+at, tag.body); err != nil {
				return fmt.Errorf("publish at %d: %w", first+at, err)
			}
		}
	}
}
