package remux

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/remux/flvtag"
)

func TestACodecThatAnOutputCannotCarryIsFound(t *testing.T) {
	e := newEncoder(t)
	asked := 0
	e.hub.config.CannotCarry = func(c flvtag.Codec) string {
		asked++
		if c == flvtag.MP3 {
			return "HLS"
		}
		return ""
	}
	e.configure()
	for range 200 {
		e.run(100 * time.Millisecond)
		e.audio(stamp(e.at)+10_000, []byte{0x2f, 0xff, 0xfb}) // MP3
	}
	e.noAudio = true
	e.run(2 * time.Second)
	f, _ := e.found("codec-unsupported")
	if !f.Active && f.Times == 0 {
		t.Errorf("not found: %v", e.active())
	}
	if !strings.Contains(f.Measured, "cannot be carried by HLS") {
		t.Errorf("measured %q", f.Measured)
	}
}

func TestTheEncoderIsKnownByItsMetadata(t *testing.T) {
	for name, test := range map[string]struct {
		metadata any
		want     string
	}{
		"OBS":            {"obs-output module (libobs version 29.1.3)", "obs-output module (libobs version 29.1.3)"},
		"no text":        {1.5, "FMLE/3.0"},
		"a long one":     {strings.Repeat("x", 1000), strings.Repeat("x", maxEncoderName)},
		"an evil one":    {"x\x1b[31m\n\xff\u202e\"é", "x[31m\"é"},
		"an empty name ": {"", "FMLE/3.0"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEncoder(t)
			e.pub.publisher.Encoder = "FMLE/3.0"
			e.configure()
			e.pub.SetMetadata([]flvtag.Property{{Name: "encoder", Value: test.metadata}})
			e.run(2 * time.Second)
			if got := e.hub.Stream("live/test").Info().Publication.Encoder; got != test.want {
				t.Errorf("encoder %q, want %q", got, test.want)
			}
			f, _ := e.found("encoder")
			if !f.Active || f.Measured != test.want {
				t.Errorf("finding %+v", f)
			}
		})
	}
}

func TestAFindingIsSaidOnceAndItsClearingToo(t *testing.T) {
	e := newEncoder(t)
	var said []Finding
	e.hub.config.Events.Finding = func(name StreamName, p *Publication, f Finding) {
		if name != "live/test" || p == nil {
			t.Errorf("of %s", name)
		}
		said = append(said, f)
	}
	e.configure()
	comesAndGoes := func() {
		e.noAudio = true
		e.run(20 * time.Second)
		e.noAudio = false
		e.run(20 * time.Second)
	}
	comesAndGoes()
	if len(said) != 2 || !said[0].Active || said[1].Active || said[0].Code != "audio-missing" {
		t.Fatalf("said %+v", said)
	}
	for range 5 { // nor is it said again of the publication that follows
		comesAndGoes()
		e.publish("a")
		e.configure()
	}
	if len(said) != 2 {
		t.Errorf("said %d times within minutes: %+v", len(said), said[2:])
	}
	e.run(10 * time.Minute)
	comesAndGoes()
	if len(said) != 4 {
		t.Errorf("said %d times in all after a quiet quarter of an hour, want 4: %+v", len(said), said[2:])
	}
	if f, _ := e.found("audio-missing"); f.Times != 1 {
		t.Errorf("raised %d times in this publication", f.Times)
	}
	totals := e.hub.Totals()
	if totals.Raised["audio-missing"] != 7 || totals.Active["audio-missing"] != 0 || totals.Live != 1 {
		t.Errorf("totals %+v", totals)
	}
}

func TestTotalsNeverGoBack(t *testing.T) {
	e := newEncoder(t).configure().run(10 * time.Second)
	before := e.hub.Totals()
	if before.Begun != 1 || before.Counters.VideoFrames < 290 || before.Live != 1 || before.Streams != 1 {
		t.Fatalf("%+v", before)
	}
	e.publish("a")
	stream := e.hub.Stream("live/test")
	e.pub.End(EndUnpublished)
	e.hub.expire(stream, 2)
	after := e.hub.Totals()
	if after.Counters != before.Counters || after.Begun != 2 || after.Live != 0 || after.Streams != 0 ||
		after.Ended[EndTakenOver] != 1 || after.Ended[EndUnpublished] != 1 {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

func TestEveryFindingIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/diagnosis.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := strings.Split(string(text), "\n### ")
	for _, kind := range kinds {
		found := false
		for _, section := range sections {
			title, body, _ := strings.Cut(section, "\n")
			if title != "`"+string(kind.code)+"`" {
				continue
			}
			found = true
			for _, part := range []string{"**Means:**", "**Measured:**", "**Change:**"} {
				if !strings.Contains(body, part) {
					t.Errorf("docs/diagnosis.md: %s has no %s", kind.code, part)
				}
			}
		}
		if !found {
			t.Errorf("docs/diagnosis.md has no section on %s", kind.code)
		}
	}
	if len(sections) != len(kinds)+1 {
		t.Errorf("docs/diagnosis.md has %d sections, there are %d findings", len(sections)-1, len(kinds))
	}
}

// BenchmarkDiagnosis is what a video frame costs more for being diagnosed, against what it costs
// in all.
func BenchmarkDiagnosis(b *testing.B) {
	now := time.Unix(1_700_000_000, 0)
	hub := NewHub(Config{Grace: time.Hour, Now: func() time.Time { return now }})
	defer hub.Close()
	p, err := hub.Publish("live/test", Publisher{Encoder: "OBS"})
	if err != nil {
		b.Fatal(err)
	}
	body := videoFrame(false, inter)
	write := func(ts uint32, body []byte) {
		if err := p.Write(Message{Type: flvtag.Video, Timestamp: ts, Payload: body}); err != nil {
			b.Fatal(err)
		}
	}
	write(0, header320)
	write(0, videoFrame(true, idr))
	b.Run("frame", func(b *testing.B) {
		ts := uint32(0)
		for b.Loop() {
			now = now.Add(33 * time.Millisecond)
			ts += 33
			write(ts, body)
		}
	})
	b.Run("diagnosis alone", func(b *testing.B) {
		dts := p.stream.timeline.End()
		pkt := &Packet{Kind: VideoFrame, Codec: flvtag.H264, Payload: body}
		for b.Loop() {
			now = now.Add(33 * time.Millisecond)
			dts += 33
			p.diagnosis.frame(Video, dts, Intact)
			p.diagnosis.packet(pkt)
			p.diagnose(now)
		}
	})
}

func TestDiagnosingTakesNoMemoryPerPacket(t *testing.T) {
	e := newEncoder(t).configure().run(30 * time.Second)
	p := e.pub
	pkt := &Packet{Kind: VideoFrame, Codec: flvtag.H264, Payload: make([]byte, 2000)}
	dts := e.pub.stream.timeline.End()
	allocations := testing.AllocsPerRun(1000, func() {
		e.now = e.now.Add(33 * time.Millisecond)
		dts += 33
		p.diagnosis.frame(Video, dts, Intact)
		pkt.DTS = dts
		p.diagnosis.packet(pkt)
		p.diagnose(e.now)
	})
	if allocations > 0 {
		t.Errorf("%v allocations per packet", allocations)
	}
}
