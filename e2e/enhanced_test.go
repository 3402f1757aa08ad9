package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// TestEnhancedRTMPComesOut publishes what Enhanced RTMP adds. HTTP-FLV and RTMP players get
// the bytes untouched; HLS has what MPEG-TS can carry of it, frame by frame, and what it
// leaves out is said once.
func TestEnhancedRTMPComesOut(t *testing.T) {
	s := startServer(t, "--stream.grace", "4s")
	for name, test := range map[string]struct{ video, audio enhancedCodec }{
		"hevc-aac":       {asHEVC, asAAC},
		"hevc-by-number": {asHEVC12, asAAC10},
		"hevc-opus":      {asHEVC, asOpus},
		"avc-ac3":        {asH264, asAC3},
		"avc-eac3":       {asH264, asEAC3},
		"av1-aac":        {asAV1, asAAC},
		"vp9-flac":       {asVP9, asFLAC},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := limit(t, pushLimit+2*time.Minute)
			src := makeEnhanced(ctx, t, test.video, test.audio)
			w := watchEnhanced(ctx, t, s, name, test.video.toElementary+test.audio.toElementary != "")
			left := publishEnhanced(ctx, t, s, name, src.tags)
			w.wait(t)
			for output, got := range map[string][]flvTag{"RTMP": w.rtmp, "FLV": w.flv} {
				compareTags(t, output, tagVideo, src.tags, got)
				compareTags(t, output, tagAudio, src.tags, got)
			}
			if w.hls != nil {
				checkEnhancedHLS(ctx, t, src, w.hls, test.video, test.audio)
			}
			checkLeftOut(t, s, name, left, test.video, test.audio)
		})
	}
}

// enhancedWatch is what players of three kinds saw.
type enhancedWatch struct {
	rtmp, flv []flvTag
	hls       *hlsRecording // nil where HLS has nothing to play
	errs      chan error
	players   int
}

// watchEnhanced starts players and returns when they wait for the stream.
func watchEnhanced(ctx context.Context, t *testing.T, s *server, name string, hls bool) *enhancedWatch {
	t.Helper()
	w := &enhancedWatch{errs: make(chan error, 3)}
	start := func(player func() error) {
		w.players++
		go func() { w.errs <- player() }()
	}
	c, err := rtmp.Dial(ctx, s.publishURL(name), rtmp.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Play(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.awaited(ctx, name); err != nil {
		t.Fatal(err)
	}
	start(func() error { return w.playRTMP(c) })
	asked := make(chan struct{})
	start(func() error {
		rec, err := recordFLV(ctx, s.flvURL(name), asked)
		if err == nil {
			w.flv, _, err = parseFLV(rec.body)
		}
		return err
	})
	<-asked
	if hls {
		w.hls = new(hlsRecording)
		start(func() (err error) {
			*w.hls, err = recordHLS(ctx, s.hlsURL(name))
			return err
		})
	}
	return w
}

func (w *enhancedWatch) playRTMP(c *rtmp.Client) error {
	for {
		m, err := c.ReadMedia()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("play over RTMP: %w", err)
		}
		w.rtmp = append(w.rtmp, flvTag{kind: int(m.Type), time: m.Timestamp, body: m.Payload})
	}
}

func (w *enhancedWatch) wait(t *testing.T) {
	t.Helper()
	for range w.players {
		if err := <-w.errs; err != nil {
			t.Error(err)
		}
	}
}

// publishEnhanced sends tags, each when its time has come, and returns what the API says of the
// stream at the end.
func publishEnhanced(ctx context.Context, t *testing.T, s *server, name string, tags []flvTag) string {
	t.Helper()
	c, err := rtmp.Dial(ctx, s.publishURL(name), rtmp.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.Publish(ctx); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for _, tag := range tags {
		time.Sleep(time.Until(start.Add(milli(tag.time) - enhancedStart)))
		if err := c.WriteMedia(uint8(tag.kind), tag.time, tag.body); err != nil {
			t.Fatal(err)
		}
	}
	info, err := fetch(ctx, s.admin+"/api/v1/streams/"+app+"/"+name)
	if err != nil {
		t.Fatal(err)
	}
	return string(info.body)
}

// compareTags compares one track's tags, bytes and times.
func compareTags(t *testing.T, output string, kind int, in, out []flvTag) {
	t.Helper()
	of := func(tags []flvTag) []flvTag {
		return slices.DeleteFunc(slices.Clone(tags), func(tag flvTag) bool { return tag.kind != kind })
	}
	in, out = of(in), of(out)
	if len(in) != len(out) {
		t.Errorf("%s: %d tags of type %d went in, %d came out", output, len(in), kind, len(out))
	}
	for i := range min(len(in), len(out)) {
		if !bytes.Equal(in[i].body, out[i].body) {
			t.Errorf("%s: tag %d of type %d has other bytes: % x…, not % x…", output, i, kind,
				out[i].body[:min(16, len(out[i].body))], in[i].body[:min(16, len(in[i].body))])
			return
		}
		// A sequence header is dated by the first frame after it.
		if i > 0 && in[i].time != out[i].time {
			t.Errorf("%s: tag %d of type %d is of %d ms, not %d", output, i, kind, out[i].time, in[i].time)
			return
		}
	}
}

// checkEnhancedHLS checks the playlists, and what is in the segments.
func checkEnhancedHLS(ctx context.Context, t *testing.T, src enhancedSource, rec *hlsRecording, video, audio enhancedCodec) {
	t.Helper()
	report(t, "HLS", rec.faults)
	report(t, "HLS", rec.judge())
	if len(rec.parts()) != 1 {
		t.Errorf("HLS: %d discontinuities", len(rec.parts())-1)
	}
	codecs := ""
	for _, v := range rec.variants {
		codecs += strings.Join(v.Codecs, ",")
	}
	for _, codec := range []enhancedCodec{video, audio} {
		if codec.toElementary != "" && !strings.Contains(codecs, codec.fourCC+".") {
			t.Errorf("HLS: CODECS are %q without %s", codecs, codec.fourCC)
		}
	}
	accountEnhancedTS(ctx, t, src, bytes.Join(rec.parts(), nil), video, audio)
}

// accountEnhancedTS accounts for every frame that a transport stream can carry, and has them decoded.
func accountEnhancedTS(ctx context.Context, t *testing.T, src enhancedSource, stream []byte, video, audio enhancedCodec) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "recording.ts")
	writeFile(t, path, stream)
	in, err := readTimes(ctx, src.path)
	if err != nil {
		t.Fatal(err)
	}
	out, err := readTimes(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	for _, track := range []struct {
		letter, inTS string
		codec        enhancedCodec
		in, out      *[]frame
	}{
		{"v", strings.TrimPrefix(strings.TrimPrefix(video.toElementary, "hevc_mp4toannexb,"), "h264_mp4toannexb,"), video, &in.video, &out.video},
		{"a", "aac_adtstoasc", audio, &in.audio, &out.audio},
	} {
		if track.codec.toElementary == "" {
			*track.in = nil
			continue
		}
		if err := readHashes(ctx, src.path, track.letter, track.codec.toElementary, *track.in); err != nil {
			t.Fatal(err)
		}
		if err := readHashes(ctx, path, track.letter, track.inTS, *track.out); err != nil {
			t.Fatal(err)
		}
	}
	// The source's times are rounded once more than a sent file's. Without edit lists its sound
	// has a gap behind the first frame, where B-frames delay the picture.
	report(t, "TS", account(in, out, tolerance{video: 2 * time.Millisecond, audio: 2 * time.Millisecond}))
	if err := decodes(ctx, path); err != nil {
		t.Errorf("decode TS: %v", err)
	}
	if video.toElementary != "" {
		comparePictures(ctx, t, src.path, path)
	}
}

// comparePictures compares what ffmpeg decodes from two files, picture by picture.
func comparePictures(ctx context.Context, t *testing.T, in, out string) {
	t.Helper()
	var sums [2][]string
	for i, path := range []string{in, out} {
		o, err := analyse(ctx, "ffmpeg", "-v", "error", "-i", path, "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(o.stdout) {
			if !strings.HasPrefix(line, "#") {
				sums[i] = append(sums[i], line[strings.LastIndexByte(line, ',')+1:])
			}
		}
	}
	if len(sums[0]) != enhancedSeconds*25 || !slices.Equal(sums[0], sums[1]) {
		t.Errorf("%d pictures are decoded of the source and %d, or others, of the transport stream", len(sums[0]), len(sums[1]))
	}
}

// checkLeftOut checks that what HLS leaves out is said in the API, and once in the log.
func checkLeftOut(t *testing.T, s *server, name, info string, video, audio enhancedCodec) {
	t.Helper()
	leftOut := video.toElementary == "" || audio.toElementary == ""
	const code = "codec-unsupported"
	if got := strings.Contains(info, code); got != leftOut {
		t.Errorf("the API says %s: %v\n%s", code, got, info)
	}
	said := 0
	for line := range strings.Lines(s.output()) {
		if strings.Contains(line, code) && strings.Contains(line, app+"/"+name+`"`) {
			said++
		}
	}
	if want := map[bool]int{true: 1}[leftOut]; said != want {
		t.Errorf("the log says %s %d times, want %d", code, said, want)
	}
}
