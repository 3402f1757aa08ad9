package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// shortGrace makes outputs end soon after their publisher.
const shortGrace = "2s"

// TestEveryFrameComesOut pushes every fixture with a real ffmpeg, all at once to
// one server, and accounts for every frame in HLS and in HTTP-FLV.
func TestEveryFrameComesOut(t *testing.T) {
	s := startServer(t, "--stream.grace", shortGrace)
	for _, f := range fixtures {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			src := f.make(t)
			ctx := limit(t, time.Duration(f.seconds)*time.Second+pushLimit)
			rec := watch(ctx, s.origin, f.name)
			ffmpegPush(ctx, t, src.path, s.publishURL(f.name))
			rec.wait(t)
			checkRecordings(t, rec, f, src.media)
		})
	}
}

// checkRecordings accounts for every frame and checks the formats.
func checkRecordings(t *testing.T, rec *recordings, f fixture, in media) {
	t.Helper()
	ctx := limit(t, time.Minute)
	report(t, "HLS", account(in, rec.hls.read(ctx, t), tsTolerance))
	report(t, "HLS", checkTS(rec.hls.segments, f.hasVideo(), f.hasAudio()))
	report(t, "HLS", checkVariant(rec.hls, f))
	report(t, "FLV", account(in, rec.flv.read(ctx, t), flvTolerance))
	report(t, "FLV", checkFLV(rec.flv.body, f.hasVideo(), f.hasAudio()))
	if t.Failed() {
		t.Logf("last playlist:\n%s", rec.hls.text)
	}
}

// checkVariant checks what the multivariant playlist says of the stream.
func checkVariant(rec hlsRecording, f fixture) []string {
	if len(rec.variants) != 1 {
		return []string{fmt.Sprintf("the multivariant playlist has %d variants", len(rec.variants))}
	}
	v := rec.variants[0]
	var faults []string
	if v.Bandwidth <= 0 || v.AverageBandwidth == nil {
		faults = append(faults, "the variant lacks BANDWIDTH or AVERAGE-BANDWIDTH")
	}
	if v.Resolution != f.size {
		faults = append(faults, fmt.Sprintf("RESOLUTION is %q, not %q", v.Resolution, f.size))
	}
	if f.hasVideo() && v.FrameRate == nil {
		faults = append(faults, "FRAME-RATE is missing")
	}
	for prefix, want := range map[string]bool{"avc1.": f.hasVideo(), "mp4a.40.2": f.hasAudio()} {
		has := slices.ContainsFunc(v.Codecs, func(c string) bool { return strings.HasPrefix(c, prefix) })
		if has != want {
			faults = append(faults, fmt.Sprintf("CODECS are %q", v.Codecs))
		}
	}
	return faults
}

// TestLateFLVViewerStartsAtKeyframe joins in the middle of a GOP: the viewer
// gets the headers, then every frame from a keyframe on.
func TestLateFLVViewerStartsAtKeyframe(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--stream.grace", shortGrace)
	f := fixtureNamed(t, "high-bframes")
	src := f.make(t)
	ctx := limit(t, time.Duration(f.seconds)*time.Second+pushLimit)
	first := watch(ctx, s.origin, f.name)
	pushed := make(chan struct{})
	go func() {
		defer close(pushed)
		ffmpegPush(ctx, t, src.path, s.publishURL(f.name))
	}()
	defer func() { <-pushed }()
	waitForHLS(ctx, t, s.hlsURL(f.name), 2)
	late, err := recordFLV(ctx, s.flvURL(f.name), nil)
	if err != nil {
		t.Fatal(err)
	}
	first.wait(t)
	report(t, "late viewer", late.faults)
	report(t, "late viewer", checkFLV(late.body, true, true))
	out := late.read(ctx, t)
	if len(out.video) == 0 || !out.video[0].key {
		t.Fatalf("the late viewer's first of %d pictures is no keyframe", len(out.video))
	}
	if len(out.video) >= len(src.media.video) {
		t.Errorf("the late viewer got %d pictures of %d: it was not late", len(out.video), len(src.media.video))
	}
	in := src.media
	in.video = in.video[max(0, len(in.video)-len(out.video)):]
	in.audio = in.audio[max(0, len(in.audio)-len(out.audio)):]
	report(t, "late viewer", account(in, out, flvTolerance))
	if lead := out.video[0].dts - out.audio[0].dts; lead.Abs() > 100*time.Millisecond {
		t.Errorf("the late viewer's tracks start %v apart", lead)
	}
}
