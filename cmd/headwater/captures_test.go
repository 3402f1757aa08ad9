package main

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/flvtag"
)

// capturedFindings says what an operator should be told of each capture: of the healthy ones nothing that is
// a warning.
var capturedFindings = map[string]struct {
	warnings []remux.FindingCode
	infos    []remux.FindingCode
}{
	"01-ffmpeg51-h264-aac":               {},
	"02-ffmpeg51-h264-bframes-aac":       {infos: []remux.FindingCode{"b-frames"}},
	"03-ffmpeg51-ts-offset-2p24":         {},
	"03b-ffmpeg51-ts-offset-above-2p24":  {infos: []remux.FindingCode{"b-frames"}},
	"03c-ffmpeg51-ext-ts-large-keyframe": {},
	"04-ffmpeg51-audio-only":             {infos: []remux.FindingCode{"video-missing"}},
	"05-ffmpeg51-video-only":             {warnings: []remux.FindingCode{"audio-missing"}},
	"06-gst122-rtmp2sink":                {},
	"07-gst122-rtmpsink-librtmp":         {},
	"07b-gst122-rtmpsink-librtmp-ext-ts": {},
	"08-obs29-x264-aac-token":            {},
	"09-ffmpeg51-sps-change":             {},
}

// openCapture returns a capture; nil where it is not kept in the repository and the whole collection is not
// at hand.
func openCapture(t *testing.T, name string) []byte {
	t.Helper()
	for _, dir := range []string{"../../testdata/captures", "../../../shared/captures"} {
		data, err := os.ReadFile(filepath.Join(dir, name+".c2s"))
		if err == nil {
			return data
		}
		if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("capture %s is missing; CI must provide ../shared/captures beside the repository", name)
	}
	return nil
}

// captured reads the media of a capture, as the server reads it.
func captured(t *testing.T, data []byte) []fileTag {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close() //nolint:errcheck // of a test
	replies := make(chan struct{})
	go func() {
		defer close(replies)
		buf := make([]byte, 4<<10)
		for {
			if _, err := client.Read(buf); err != nil {
				return
			}
		}
	}()
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = client.Write(data) // the server may close before the last bytes
		_ = client.Close()
	}()
	conn := rtmp.NewServerConn(server, rtmp.ServerConfig{})
	if err := conn.Handshake(t.Context()); err != nil {
		t.Fatal(err)
	}
	var tags []fileTag
	for {
		event, err := conn.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch event := event.(type) {
		case *rtmp.PublishRequest:
			if err := conn.AcceptPublish(event); err != nil {
				t.Fatal(err)
			}
			conn.Authorised()
		case *rtmp.Media:
			tags = append(tags, fileTag{flvtag.Type(event.Type), event.Timestamp, event.Payload})
		}
	}
	_ = conn.Close() // the peer has gone
	<-written
	<-replies
	return tags
}

// TestWhatIsFoundOfRealEncoders plays each capture through the hub for more than a minute, again and again
// with the clock of publish --loop, and looks at what its diagnosis says: so neither is there a false alarm
// at the seams of a loop.
func TestWhatIsFoundOfRealEncoders(t *testing.T) {
	for name, want := range capturedFindings {
		t.Run(name, func(t *testing.T) {
			data := openCapture(t, name)
			if data == nil {
				t.Logf("%s is not at hand", name)
				return
			}
			tags := captured(t, data)
			info := diagnoseLoop(t, tags, 80*time.Second)
			var warnings, infos []remux.FindingCode
			for _, f := range info.Publication.Findings {
				switch {
				case f.Severity == remux.Warning:
					warnings = append(warnings, f.Code)
				case f.Code != "encoder":
					infos = append(infos, f.Code)
				}
			}
			if !slices.Equal(warnings, want.warnings) || !slices.Equal(infos, want.infos) {
				t.Errorf("warnings %v, want %v; infos %v, want %v:\n%+v", warnings, want.warnings, infos, want.infos, info.Publication.Findings)
			}
			if c := info.Publication.Counters; c.Jumped+c.Realigned+c.Malformed+c.Unconfigured > 0 {
				t.Errorf("repairs: %+v", c)
			}
		})
	}
}

// diagnoseLoop plays tags for some time, each when its time has come on a clock of its own.
func diagnoseLoop(t *testing.T, tags []fileTag, length time.Duration) remux.Info {
	t.Helper()
	began := time.Unix(1_700_000_000, 0)
	now := began
	hub := remux.NewHub(remux.Config{Grace: time.Hour, Now: func() time.Time { return now }})
	defer hub.Close()
	p, err := hub.Publish("live/test", remux.Publisher{Encoder: "test"})
	if err != nil {
		t.Fatal(err)
	}
	clock := newFileClock()
	for now.Sub(began) < length {
		frames := 0
		clock.rewind()
		for _, tag := range tags {
			if tag.kind == flvtag.Script || packetOf(tag) == flvtag.EndOfSequence {
				continue
			}
			at := clock.at(tag)
			if due := began.Add(time.Duration(at) * time.Millisecond); due.After(now) {
				now = due
			}
			if err := p.Write(remux.Message{Type: tag.kind, Timestamp: uint32(at), Payload: slices.Clone(tag.body)}); err != nil {
				t.Fatal(err)
			}
			if isFrame(tag) {
				frames++
			}
		}
		if frames == 0 {
			t.Fatal("there is no media in the capture")
		}
	}
	return hub.Stream("live/test").Info()
}
