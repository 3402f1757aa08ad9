package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/asticode/go-astits"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"github.com/headwater-live/headwater/e2e/oddity"
	"github.com/headwater-live/headwater/ingest/rtmp"
)

// oddOutput is what an odd encoder may do to the outputs.
type oddOutput struct {
	// discontinuities are how often the playlist must say that something broke.
	discontinuities int
	// quiet is how much of the first sound HLS may leave out: a track is added at a keyframe,
	// and what is much earlier than that cannot be played with it.
	quiet time.Duration
}

// oddOutputs are of those that do something to them.
var oddOutputs = map[string]oddOutput{
	"clock-jumps-an-hour-ahead-at-a-keyframe": {discontinuities: 1},
	"clock-jumps-back-amid-a-gop":             {discontinuities: 1},
	"both-tracks-have-a-hole-of-six-seconds":  {discontinuities: 1},
	"audio-comes-three-seconds-late":          {discontinuities: 1, quiet: gop / 2},
	"video-comes-four-seconds-late":           {discontinuities: 1},
}

// oddTag is a tag with a timestamp of its own.
type oddTag struct {
	flvTag
	claims uint32
}

// oddly returns tags as an odd encoder sends them.
func oddly(o oddity.Oddity, tags []oddTag) []oddTag {
	clean := make([]oddity.Tag, len(tags))
	for i, t := range tags {
		clean[i] = oddity.Tag{Kind: uint8(t.kind), Time: t.time, Claims: t.claims, Body: t.body}
	}
	var out []oddTag
	for _, t := range o.Change(clean) {
		out = append(out, oddTag{flvTag{int(t.Kind), t.Time, t.Body}, t.Claims})
	}
	return out
}

// TestOddEncodersLoseNothing publishes what odd encoders send, in real time: every frame comes
// out once and in order on both outputs, whose formats stay clean.
func TestOddEncodersLoseNothing(t *testing.T) {
	s := startServer(t, "--stream.grace", shortGrace, "--hls.window", "20")
	file := fixtureNamed(t, "baseline").make(t)
	for _, o := range oddity.All {
		t.Run(o.Name, func(t *testing.T) {
			t.Parallel()
			testOddity(t, s.origin, o, file.path)
		})
	}
}

func testOddity(t *testing.T, at origin, o oddity.Oddity, path string) {
	tags, out := oddly(o, readOddTags(t, path)), oddOutputs[o.Name]
	ctx := limit(t, time.Minute)
	name := o.Name[:min(len(o.Name), 40)]
	name = string(bytes.ReplaceAll([]byte(name), []byte("^"), []byte("_")))
	rec := watch(ctx, at, name)
	if out.discontinuities > 0 {
		rec.ignore = []string{"discontinuity-needless"} // the timeline closes the jump that it stands for
	}
	client, err := rtmp.Dial(ctx, at.publishURL(name), rtmp.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Publish(ctx); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for _, tag := range tags {
		select {
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		case <-time.After(time.Until(began.Add(milli(tag.time)))):
		}
		if err := client.WriteMedia(uint8(tag.kind), tag.claims, tag.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	rec.wait(t)

	sent, flv := oddMedia(t, tags), oddMedia(t, readFLVTags(t, rec.flv.body))
	hls := tsMedia(t, rec.hls.segments)
	report(t, "FLV", accountPayloads("video", sent.video, flv.video))
	report(t, "FLV", accountPayloads("audio", sent.audio, flv.audio))
	report(t, "HLS", accountPayloads("video", sent.video, hls.video))
	report(t, "HLS", accountPayloads("audio", without(sent.audio, out.quiet, len(hls.audio)), hls.audio))
	report(t, "HLS", oddPlaylist(rec.hls, out.discontinuities))
	if t.Failed() {
		t.Logf("last playlist:\n%s", rec.hls.text)
	}
}

// without leaves out first frames until n are left, at most those of a time.
func without(frames []frame, quiet time.Duration, n int) []frame {
	for len(frames) > n && frames[1].dts-frames[0].dts <= quiet {
		quiet -= frames[1].dts - frames[0].dts
		frames = frames[1:]
	}
	return frames
}

// oddMedia returns the frames of tags, as picture and sound make them.
func oddMedia(t *testing.T, tags []oddTag) media {
	t.Helper()
	var m media
	for _, tag := range tags {
		at := milli(tag.claims)
		switch {
		case !tag.coded():
		case tag.kind == tagAudio:
			m.audio = append(m.audio, sound(at, tag.body[2:]))
		case bytes.HasPrefix(tag.body[5:], []byte{0, 0, 0, 1}):
			m.video = append(m.video, picture(at, at, bytes.Split(tag.body[9:], []byte{0, 0, 0, 1})))
		default:
			var units h264.AVCC
			if err := units.Unmarshal(tag.body[5:]); err != nil {
				t.Fatal(err)
			}
			m.video = append(m.video, picture(at, at, units))
		}
	}
	return m
}

// tsMedia returns the frames of segments, as picture and sound make them. Every PES packet of
// video is a picture; whether that is so is for others to check.
func tsMedia(t *testing.T, segments []segment) media {
	t.Helper()
	var m media
	for _, s := range segments {
		demuxer := astits.NewDemuxer(context.Background(), bytes.NewReader(s.data))
		for {
			d, err := demuxer.NextData()
			if errors.Is(err, astits.ErrNoMorePackets) {
				break
			}
			if err != nil {
				t.Fatalf("segment %d: %v", s.sequence, err)
			}
			switch {
			case d.PES == nil:
			case d.PES.Header.IsVideoStream():
				var units h264.AnnexB
				if err := units.Unmarshal(d.PES.Data); err != nil {
					t.Fatalf("segment %d: %v", s.sequence, err)
				}
				m.video = append(m.video, picture(0, 0, units))
			default:
				var packets mpeg4audio.ADTSPackets
				if err := packets.Unmarshal(d.PES.Data); err != nil {
					t.Fatalf("segment %d: %v", s.sequence, err)
				}
				for _, p := range packets {
					m.audio = append(m.audio, sound(0, p.AU))
				}
			}
		}
	}
	return m
}

// oddPlaylist checks what must hold of the playlist however odd the encoder.
func oddPlaylist(rec hlsRecording, discontinuities int) []string {
	var faults []string
	n := 0
	for _, s := range rec.segments {
		if s.discontinuity {
			n++
		}
		if rounded := int(s.duration.Round(time.Second) / time.Second); rounded > rec.last.TargetDuration {
			faults = append(faults, fmt.Sprintf("EXTINF of %v with a target duration of %d s", s.duration, rec.last.TargetDuration))
		}
	}
	if n != discontinuities {
		faults = append(faults, fmt.Sprintf("%d discontinuities, not %d", n, discontinuities))
	}
	return faults
}

func readOddTags(t *testing.T, path string) []oddTag {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return readFLVTags(t, file)
}

// readFLVTags returns the headers and frames of an FLV file.
func readFLVTags(t *testing.T, file []byte) []oddTag {
	t.Helper()
	tags, _, err := parseFLV(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []oddTag
	for _, tag := range tags {
		if tag.kind != tagScript && (tag.config() || tag.coded()) {
			out = append(out, oddTag{tag, tag.time})
		}
	}
	return out
}
