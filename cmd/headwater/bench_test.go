package main

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/load"
	"github.com/headwater-live/headwater/remux/flvtag"
)

func TestBitratesAreReadAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]int{"600k": 600_000, "2.6M": 2_600_000, "0": 0, "128000": 128_000, "1000M": 1e9} {
		if got, err := parseBits(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "k", "-1", "NaN", "1001M", "6 00"} {
		if got, err := parseBits(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func TestViewersWatchWhatIsPublished(t *testing.T) {
	o := benchOptions{
		publish: "rtmp://example.com:1936/live/s%d?token=x", http: "https://example.com/",
		viewers: []benchViewers{
			{flag: "flv", scheme: "http", path: ".flv", count: 1}, {flag: "ws", scheme: "ws", path: ".flv", count: 1},
			{flag: "rtmp", count: 1}, {flag: "hls", scheme: "http", path: "/index.m3u8", count: 1},
			{flag: "ts", scheme: "http", count: 1, url: "http://other/%d.ts"}, {flag: "none"},
		},
	}
	var c load.Config
	if err := o.addURLs(&c); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"https://example.com/live/s%d.flv", "wss://example.com/live/s%d.flv", "rtmp://example.com:1936/live/s%d",
		"https://example.com/live/s%d/index.m3u8", "http://other/%d.ts",
	}
	for i, v := range c.Viewers {
		if v.URL != want[i] {
			t.Errorf("%s, want %s", v.URL, want[i])
		}
	}
	if len(c.Viewers) != len(want) {
		t.Errorf("%d protocols", len(c.Viewers))
	}
}

func TestAFileBecomesAClip(t *testing.T) {
	file, err := os.ReadFile("../../remux/mpegts/testdata/h264-aac.flv")
	if err != nil {
		t.Fatal(err)
	}
	clip, err := clipOf(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if len(clip.Headers()) < 2 || !clip.Stamped() {
		t.Errorf("%d headers, stamps: %v", len(clip.Headers()), clip.Stamped())
	}
	// It goes on behind its end, with times that never go back by more than tracks are interleaved.
	video, last := 0, int64(0)
	p := clip.Play()
	for tag := p.Next(); tag.At < 20_000; tag = p.Next() {
		if tag.At < last-500 {
			t.Fatalf("a tag at %d ms comes behind one at %d ms", tag.At, last)
		}
		last = max(last, tag.At)
		if tag.Kind == flvtag.Video {
			video++
		}
	}
	if video < 20*10 {
		t.Errorf("%d frames in 20 s", video)
	}
	for _, bad := range []string{"", "FLV", string(flvtag.AppendFileHeader(nil, true, true))} {
		if _, err := clipOf(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is a clip", bad)
		}
	}
}

func sampleReport() *load.Report {
	return &load.Report{
		Seconds: 10,
		Server:  &load.ServerReport{CPUPercent: 12.5, PerGB: 0.345, PerViewer: 99, RSS: 30e6, RSSBefore: 20e6, RSSPerViewer: 5000},
		Publishers: load.PublisherReport{Count: 1, Connected: 1, BitsPerSec: 2.6e6, Frames: 300,
			Late: load.Delays{Count: 300, P99: 50}},
		Viewers: []load.ViewerReport{
			{Protocol: load.HTTPFLV, Count: 3, Joined: 3, Connected: 2, LeastBytes: 1, Frames: 900, Lost: 7, Stalls: 1,
				Delay: load.Delays{Count: 900, P50: 45.1, P90: 84, P99: 99.5, Max: 149.6}, Reconnects: 2, Errors: map[string]int64{"status 404": 2}},
			{Protocol: load.HLS, Count: 1, Joined: 1, Connected: 1, LeastBytes: 1},
		},
	}
}

func TestTheReportSaysWhatWasMeasured(t *testing.T) {
	var out strings.Builder
	if err := printBench(&out, sampleReport()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Measured for 10.0 s", "12.5% of a core, 0.345 CPU-s/GB, 99 µs", "30.0 MB resident, 20.0 before the viewers, 5.0 KB more",
		"HTTP-FLV: 2 reconnects; status 404: 2", "late themselves (p99 50 ms)",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	for line := range strings.Lines(out.String()) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "HTTP-FLV" {
			if got := strings.Join(fields, " "); got != "HTTP-FLV 2/3 0.0 900 7 1 45.1 84.0 99.5 149.6" {
				t.Errorf("the row of HTTP-FLV is %q", got)
			}
		}
	}
}

func TestLostFramesAndMissingViewersFail(t *testing.T) {
	for _, test := range []struct {
		maxLost int64
		change  func(*load.Report)
		fails   bool
	}{
		{0, func(*load.Report) {}, true}, {6, func(*load.Report) {}, true}, {7, func(*load.Report) {}, false}, {-1, func(*load.Report) {}, false},
		{-1, func(r *load.Report) { r.Viewers[1].Joined = 0 }, true},
		{-1, func(r *load.Report) { r.Viewers[1].Joined, r.Interrupted = 0, true }, false},
	} {
		r := sampleReport()
		test.change(r)
		o := benchOptions{maxLost: test.maxLost}
		if err := o.verdict(r); (err != nil) != test.fails {
			t.Errorf("at most %d: %v", test.maxLost, err)
		}
	}
}

func TestTheScreenIsDrawnInPlaceOnATerminalAndInLinesElsewhere(t *testing.T) {
	p := load.Progress{Phase: "measuring", Since: 5 * time.Second, Of: 10 * time.Second, Report: sampleReport()}
	var screen strings.Builder
	s := &benchScreen{w: &screen, terminal: true}
	s.show(p)
	first := screen.String()
	s.show(p)
	s.end()
	if !strings.HasPrefix(first, "\x1b[?7l["+strings.Repeat("#", 15)+strings.Repeat("-", 15)+"] measuring 5 of 10 s\n") || !strings.HasSuffix(first, "\n\x1b[?7h") {
		t.Errorf("%q", first)
	}
	if up := strings.Count(screen.String(), "\x1b[8A\x1b[J"); up != 2 || strings.Count(first, "\n") != 8 {
		t.Errorf("%d times up, %d lines", up, strings.Count(first, "\n"))
	}
	var lines strings.Builder
	s = &benchScreen{w: &lines}
	s.show(p)
	s.show(p)
	s.end()
	if want := "headwater: measuring 5 of 10 s, 1 publishers, 2 HTTP-FLV, 1 HLS\n"; lines.String() != want {
		t.Errorf("%q, want %q", lines.String(), want)
	}
}

func TestAServerThatOnlyAnswersFails(t *testing.T) {
	mute := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(mute.Close)
	out, err := command(t, "headwater", "bench", "--publishers", "0", "--flv", "2", "--flv-url", mute.URL+"/live/x.flv",
		"--warmup", "0s", "--duration", "500ms").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitFailed || !strings.Contains(string(out), "received something") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestBenchSaysWhyItsServerDoesNotStart(t *testing.T) {
	cmd := command(t, "headwater", "bench", "--start", "--flv", "1", "--", "--hls.window=1")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitFailed || !strings.Contains(string(out), "start a server: it ended at once") || !strings.Contains(string(out), "hls.window") {
		t.Errorf("%v\n%s", err, out)
	}
}
