package e2e

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestGStreamerPublishes publishes with both of GStreamer's RTMP sinks: its own
// client and librtmp. What goes to the sink goes to a file too, which is the
// reference for the account.
func TestGStreamerPublishes(t *testing.T) {
	s := startServer(t, "--stream.grace", shortGrace)
	for _, sink := range []string{"rtmp2sink", "rtmpsink"} {
		t.Run(sink, func(t *testing.T) {
			t.Parallel()
			ctx := limit(t, 10*time.Second+pushLimit)
			rec := watch(ctx, s.origin, sink)
			path := filepath.Join(t.TempDir(), "sent.flv")
			o := run(command(ctx, t, "gst-launch-1.0", gstArgs(sink, s.publishURL(sink), path)...))
			if o.err != nil || strings.Contains(o.stderr, "ERROR") {
				t.Errorf("%s: %v\n%s", sink, o.err, o.stderr)
			}
			rec.wait(t)
			sent, err := readMedia(ctx, path)
			if err != nil {
				t.Fatal(err)
			}
			if len(sent.video) != 250 || len(sent.audio) < 400 {
				t.Fatalf("GStreamer sent %d pictures and %d audio frames", len(sent.video), len(sent.audio))
			}
			f := fixture{size: "320x180", audioRate: 44100}
			checkRecordings(t, rec, f, sent)
		})
	}
}

// gstArgs makes an encoder that publishes to url through sink, in real time, and writes the
// same FLV to path. It is the muxed stream that keeps to the clock and not its sources: a muxer of
// live sources waits for none of them, and on a busy machine gives what comes late a wrong time.
func gstArgs(sink, url, path string) []string {
	return strings.Fields(`-e -q
		videotestsrc num-buffers=250 pattern=ball
			! video/x-raw,width=320,height=180,framerate=25/1
			! x264enc bitrate=300 key-int-max=50 speed-preset=veryfast tune=zerolatency
			! video/x-h264,profile=main ! h264parse ! queue ! mux.
		audiotestsrc num-buffers=430 samplesperbuffer=1024 wave=ticks
			! audio/x-raw,rate=44100,channels=2 ! voaacenc bitrate=64000 ! aacparse ! queue ! mux.
		flvmux streamable=true name=mux ! clocksync ! tee name=sent
		sent. ! queue ! ` + sink + ` location=` + url + `
		sent. ! queue ! filesink async=false location=` + path)
}
