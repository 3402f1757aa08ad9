package main

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/flvtag"
)

func newPublication(t *testing.T) *remux.Publication {
	t.Helper()
	hub := remux.NewHub(remux.Config{Grace: time.Hour})
	t.Cleanup(hub.Close)
	p, err := hub.Publish("live/test", remux.Publisher{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFindingsAreLogged(t *testing.T) {
	var out bytes.Buffer
	l := newFindingLog(slog.New(slog.NewTextHandler(&out, nil)))
	p := newPublication(t)
	stop := l.start()
	f := remux.Finding{Code: "gop-too-long", Severity: remux.Warning, Active: true, Measured: "8.3 s", Advice: "2 s"}
	l.hear("live/test", p, f)
	f.Active = false
	l.hear("live/test", p, f)
	stop()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%q", lines)
	}
	for i, want := range []string{
		`level=WARN msg="finding raised" stream=live/test generation=1 code=gop-too-long measured="8.3 s" advice="2 s"`,
		`level=INFO msg="finding cleared" stream=live/test generation=1 code=gop-too-long`,
	} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("%s\nwant %s", lines[i], want)
		}
	}
}

func TestALogThatNobodyReadsHoldsNoStreamUp(t *testing.T) {
	r, w := io.Pipe() // a write blocks until somebody reads
	l := newFindingLog(slog.New(slog.NewTextHandler(w, nil)))
	p := newPublication(t)
	stop := l.start()
	for range maxHeardFindings + 100 {
		l.hear("live/test", p, remux.Finding{Code: "gop-too-long", Active: true})
	}
	if lost := l.lost.Load(); lost < 90 {
		t.Errorf("%d findings lost, want about 100", lost)
	}
	read := make(chan string)
	go func() {
		text, _ := io.ReadAll(r)
		read <- string(text)
	}()
	stop()
	_ = w.Close()
	if text := <-read; !strings.Contains(text, "findings were not logged") || strings.Count(text, "\n") < maxHeardFindings {
		t.Errorf("the log has %d lines", strings.Count(text, "\n"))
	}
}

func TestHLSCannotCarryEveryCodec(t *testing.T) {
	for _, test := range []struct {
		hls   bool
		codec flvtag.Codec
		want  string
	}{
		{true, flvtag.H264, ""}, {true, flvtag.HEVC, ""}, {true, flvtag.AAC, ""}, {true, flvtag.VP9, "HLS"}, {false, flvtag.VP9, ""},
	} {
		if got := cannotCarry(test.hls)(test.codec); got != test.want {
			t.Errorf("%s, HLS %t: %q, want %q", test.codec, test.hls, got, test.want)
		}
	}
}
