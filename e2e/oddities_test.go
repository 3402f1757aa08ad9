package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/asticode/go-astits"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// An oddity is a habit of some encoder: what it makes of clean tags.
type oddity struct {
	name string
	// change returns the tags as the odd encoder sends them. A tag's time is when it is
	// sent, its sentAs the timestamp it claims.
	change func([]oddTag) []oddTag
	// discontinuities are how often the playlist must say that something broke.
	discontinuities int
	// quiet is how much of the first sound HLS may leave out: a track is added at a keyframe,
	// and what is much earlier than that cannot be played with it.
	quiet time.Duration
}

// oddTag is a tag with a timestamp of its own.
type oddTag struct {
	flvTag
	claims uint32
}

const hour = 3_600_000

var oddities = []oddity{
	{"clock-jumps-an-hour-ahead-at-a-keyframe", moved(6000, hour, true, true), 1, 0},
	{"clock-jumps-back-amid-a-gop", moved(6500, -100_000, true, true), 1, 0},
	{"audio-clock-alone-jumps-an-hour", moved(6000, hour, false, true), 0, 0},
	{"video-clock-alone-jumps-an-hour", moved(6000, hour, true, false), 0, 0},
	{"clock-wraps-at-2^32", moved(0, -5000, true, true), 0, 0},
	{"clock-passes-2^31", moved(0, 1<<31-5000, true, true), 0, 0},
	{"both-tracks-have-a-hole-of-six-seconds", moved(6000, 6000, true, true), 1, 0},
	{"audio-comes-three-seconds-late", late(tagAudio, 3000), 1, gop / 2},
	{"video-comes-four-seconds-late", late(tagVideo, 4000), 1, 0},
	{"headers-repeated-before-every-keyframe", repeatHeaders, 0, 0},
	{"parameter-sets-in-band-only", inBand, 0, 0},
	{"annex-b-in-place-of-avcc", annexB, 0, 0},
	{"one-picture-in-fifty-steps-back", stepBack, 0, 0},
}

// moved moves the timestamps of tracks by some ms from a time on.
func moved(from uint32, by int64, video, audio bool) func([]oddTag) []oddTag {
	return func(tags []oddTag) []oddTag {
		for i := range tags {
			t := &tags[i]
			if t.time >= from && !t.config() && (t.kind == tagVideo && video || t.kind == tagAudio && audio) {
				t.claims += uint32(by)
			}
		}
		return tags
	}
}

// late leaves out the frames of a track before a time, and sends its header then.
func late(kind int, from uint32) func([]oddTag) []oddTag {
	return func(tags []oddTag) []oddTag {
		var header, out []oddTag
		for _, t := range tags {
			switch {
			case t.kind != kind:
				out = append(out, t)
			case t.config():
				header = append(header, t)
			case t.time >= from:
				for _, h := range header {
					h.time, h.claims = t.time, t.claims
					out = append(out, h)
				}
				header = nil
				out = append(out, t)
			}
		}
		return out
	}
}

func isKeyframe(t oddTag) bool { return t.kind == tagVideo && t.coded() && t.body[0]>>4 == 1 }

func videoHeader(tags []oddTag) oddTag {
	i := slices.IndexFunc(tags, func(t oddTag) bool { return t.kind == tagVideo && t.config() })
	return tags[i]
}

func repeatHeaders(tags []oddTag) []oddTag {
	header := videoHeader(tags)
	var out []oddTag
	for _, t := range tags {
		if isKeyframe(t) {
			header.time, header.claims = t.time, t.claims
			out = append(out, header)
		}
		out = append(out, t)
	}
	return out
}

// inBand leaves the video header out and puts its parameter sets into the keyframes.
func inBand(tags []oddTag) []oddTag {
	sets := parameterSets(videoHeader(tags).body[5:])
	var out []oddTag
	for _, t := range tags {
		if t.kind == tagVideo && t.config() {
			continue
		}
		if isKeyframe(t) {
			t.body = slices.Concat(t.body[:5], sets, t.body[5:])
		}
		out = append(out, t)
	}
	return out
}

// parameterSets returns SPS and PPS of an avcC with one of each, with lengths of 4 bytes.
func parameterSets(avcC []byte) []byte {
	var out []byte
	cut := func(b []byte) []byte {
		n := int(binary.BigEndian.Uint16(b))
		out = binary.BigEndian.AppendUint32(out, uint32(n))
		out = append(out, b[2:2+n]...)
		return b[2+n:]
	}
	rest := cut(avcC[6:])
	cut(rest[1:])
	return out
}

func annexB(tags []oddTag) []oddTag {
	for i, t := range tags {
		if t.kind != tagVideo || !t.coded() {
			continue
		}
		body := bytes.Clone(t.body[:5])
		for rest := t.body[5:]; len(rest) > 4; {
			n := int(binary.BigEndian.Uint32(rest))
			body = append(append(body, 0, 0, 0, 1), rest[4:4+n]...)
			rest = rest[4+n:]
		}
		tags[i].body = body
	}
	return tags
}

func stepBack(tags []oddTag) []oddTag {
	n := 0
	for i := range tags {
		if tags[i].kind == tagVideo && tags[i].coded() {
			if n++; n%50 == 30 {
				tags[i].claims -= 70
			}
		}
	}
	return tags
}

// TestOddEncodersLoseNothing publishes what odd encoders send, in real time: every frame comes
// out once and in order on both outputs, whose formats stay clean.
func TestOddEncodersLoseNothing(t *testing.T) {
	s := startServer(t, "--stream.grace", shortGrace, "--hls.window", "20")
	file := fixtureNamed(t, "baseline").make(t)
	for _, o := range oddities {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			testOddity(t, s.origin, o, file.path)
		})
	}
}

func testOddity(t *testing.T, at origin, o oddity, path string) {
	tags := o.change(readOddTags(t, path))
	ctx := limit(t, time.Minute)
	name := o.name[:min(len(o.name), 40)]
	name = string(bytes.ReplaceAll([]byte(name), []byte("^"), []byte("_")))
	rec := watch(ctx, at, name)
	if o.discontinuities > 0 {
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
	report(t, "HLS", accountPayloads("audio", without(sent.audio, o.quiet, len(hls.audio)), hls.audio))
	report(t, "HLS", oddPlaylist(rec.hls, o.discontinuities))
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
