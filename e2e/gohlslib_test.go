package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2"
	"github.com/bluenviron/gohlslib/v2/pkg/codecs"

	"github.com/headwater-live/headwater/e2e/hlscheck"
)

// behindLive is how many segments behind the live edge gohlslib starts; 3 is its default.
const behindLive = 4

// TestGohlslibPlays lets gohlslib's client play live to the end and accounts for
// every access unit from the one that it started with.
func TestGohlslibPlays(t *testing.T) {
	// gohlslib asks for the segment after the last one, and gives up where neither that nor
	// EXT-X-ENDLIST is there: so the end has to come at once, and it starts as far behind the
	// live edge as leaves a busy machine some seconds.
	s := startServer(t, "--stream.grace", "100ms", "--hls.window", "20")
	f := fixtureNamed(t, "high-bframes")
	src := f.make(t)
	ctx := limit(t, 2*time.Duration(f.seconds)*time.Second+pushLimit)
	r := callReferee(ctx, t, hlscheck.Options{URL: s.hlsURL(f.name), Slack: busySlack, Grace: 100 * time.Millisecond})
	pushed := make(chan struct{})
	go func() {
		defer close(pushed)
		ffmpegPush(ctx, t, src.path, s.publishURL(f.name))
		r.Mark(hlscheck.StreamEnded)
	}()
	defer func() { <-pushed }()
	waitForHLS(ctx, t, s.hlsURL(f.name), behindLive)

	played, err := playWithGohlslib(ctx, s.hlsURL(f.name))
	if !errors.Is(err, gohlslib.ErrClientEOS) {
		t.Errorf("gohlslib: %v", err)
	}
	in, err := flvUnits(src.path)
	if err != nil {
		t.Fatal(err)
	}
	if len(played.video) < len(in.video)/2 || len(played.video) > len(in.video) {
		t.Fatalf("gohlslib played %d pictures of %d", len(played.video), len(in.video))
	}
	if len(played.audio) < len(in.audio)/2 || len(played.audio) > len(in.audio) {
		t.Fatalf("gohlslib played %d audio frames of %d", len(played.audio), len(in.audio))
	}
	in.video = in.video[len(in.video)-len(played.video):]
	in.audio = in.audio[len(in.audio)-len(played.audio):]
	if !in.video[0].key {
		t.Error("gohlslib's first picture is no keyframe")
	}
	report(t, "gohlslib", account(in, played, tsTolerance))
	r.verdict(t)
}

// playWithGohlslib plays until the stream ends.
func playWithGohlslib(ctx context.Context, playlistURL string) (media, error) {
	var played media
	client := &gohlslib.Client{URI: playlistURL, HTTPClient: viewerClient, StartDistance: behindLive, MaxDistance: 100}
	quiet := func(string) {}
	client.OnDownloadPrimaryPlaylist, client.OnDownloadStreamPlaylist = quiet, quiet
	client.OnDownloadSegment, client.OnDownloadPart = quiet, quiet
	var decodeErrs []error
	client.OnDecodeError = func(err error) { decodeErrs = append(decodeErrs, err) }
	client.OnRequest = func(r *http.Request) { r.Header.Set("Origin", "http://player.example") }
	client.OnTracks = func(tracks []*gohlslib.Track) error {
		for _, track := range tracks {
			at := func(v int64) time.Duration { return time.Duration(v) * time.Second / time.Duration(track.ClockRate) }
			switch codec := track.Codec.(type) {
			case *codecs.H264:
				client.OnDataH26x(track, func(pts, dts int64, units [][]byte) {
					played.video = append(played.video, picture(at(pts), at(dts), units))
				})
			case *codecs.MPEG4Audio:
				played.audioRate = codec.Config.SampleRate
				client.OnDataMPEG4Audio(track, func(pts int64, frames [][]byte) {
					for i, f := range frames {
						later := int64(i) * aacFrame * int64(track.ClockRate) / int64(played.audioRate)
						played.audio = append(played.audio, sound(at(pts+later), f))
					}
				})
			default:
				return fmt.Errorf("unexpected track %T", track.Codec)
			}
		}
		return nil
	}
	if err := client.Start(); err != nil {
		return media{}, err
	}
	stop := context.AfterFunc(ctx, client.Close)
	defer stop()
	err := client.Wait2()
	return played, errors.Join(append(decodeErrs, err)...)
}
