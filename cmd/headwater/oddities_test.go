package main

import (
	"slices"
	"testing"
	"time"

	"github.com/headwater-live/headwater/e2e/oddity"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/flvtag"
)

// oddityFindings says what an operator should be told of each odd encoder. What Headwater puts right without a trace
// for viewers is no finding.
var oddityFindings = map[string][]remux.FindingCode{
	"clock-jumps-an-hour-ahead-at-a-keyframe": {"timestamps-jumped"},
	"clock-jumps-back-amid-a-gop":             {"timestamps-jumped"},
	"audio-clock-alone-jumps-an-hour":         {"timestamps-realigned"},
	"video-clock-alone-jumps-an-hour":         {"timestamps-realigned"},
	"clock-wraps-at-2^32":                     {},
	"clock-passes-2^31":                       {},
	"both-tracks-have-a-hole-of-six-seconds":  {},
	"audio-comes-three-seconds-late":          {},
	"video-comes-four-seconds-late":           {},
	"headers-repeated-before-every-keyframe":  {},
	"parameter-sets-in-band-only":             {},
	"annex-b-in-place-of-avcc":                {},
	"one-picture-in-fifty-steps-back":         {"timestamps-clamped"},
	"empty-audio-messages":                    {},
}

// TestWhatIsFoundOfOddEncoders plays what odd encoders send through the hub for more than a minute, and looks at what
// the diagnosis says: that, and nothing else.
func TestWhatIsFoundOfOddEncoders(t *testing.T) {
	clean := longMedia(t, captured(t, openCapture(t, "08-obs29-x264-aac-token")), 80*time.Second)
	for _, o := range oddity.All {
		t.Run(o.Name, func(t *testing.T) {
			want, ok := oddityFindings[o.Name]
			if !ok {
				t.Fatal("nobody has said what should be found")
			}
			info := diagnose(t, o.Change(slices.Clone(clean)))
			var found []remux.FindingCode
			for _, f := range info.Publication.Findings {
				if f.Code != "encoder" {
					found = append(found, f.Code)
				}
			}
			if !slices.Equal(found, want) {
				t.Errorf("found %v, want %v:\n%+v", found, want, info.Publication.Findings)
			}
		})
	}
}

// longMedia plays tags again and again, their decoder configurations once.
func longMedia(t *testing.T, tags []fileTag, length time.Duration) []oddity.Tag {
	t.Helper()
	var out []oddity.Tag
	clock := newFileClock()
	for round := 0; clock.latest < length.Milliseconds(); round++ {
		clock.rewind()
		for _, tag := range tags {
			if tag.kind == flvtag.Script || packetOf(tag) == flvtag.EndOfSequence || !isFrame(tag) && round > 0 {
				continue
			}
			at := uint32(clock.at(tag))
			out = append(out, oddity.Tag{Kind: uint8(tag.kind), Time: at, Claims: at, Body: tag.body})
		}
		if round > 0 && len(out) < 100 {
			t.Fatal("there is no media in the capture")
		}
	}
	return out
}

// diagnose publishes tags, each when its time has come on a clock of its own.
func diagnose(t *testing.T, tags []oddity.Tag) remux.Info {
	t.Helper()
	began := time.Unix(1_700_000_000, 0)
	now := began
	hub := remux.NewHub(remux.Config{Grace: time.Hour, Now: func() time.Time { return now }})
	defer hub.Close()
	p, err := hub.Publish("live/test", remux.Publisher{Encoder: "test"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range tags {
		if due := began.Add(time.Duration(tag.Time) * time.Millisecond); due.After(now) {
			now = due
		}
		if err := p.Write(remux.Message{Type: flvtag.Type(tag.Kind), Timestamp: tag.Claims, Payload: slices.Clone(tag.Body)}); err != nil {
			t.Fatal(err)
		}
	}
	return hub.Stream("live/test").Info()
}
