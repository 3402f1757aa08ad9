package e2e

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// The tests of this file prove the harness itself, against an origin made of
// ffmpeg and a file server: what is right passes, and each kind of damage that
// a faulty server could do is found.

func TestHarnessAcceptsWhatIsRight(t *testing.T) {
	for _, name := range []string{"high-bframes", "audio-only-44k", "video-only-bframes", "ntsc-30"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := fixtureNamed(t, name).make(t)
			o := standIn(t, name, src.path)
			ctx := limit(t, time.Minute)
			hls, err := recordHLS(ctx, o.hlsURL(name))
			if err != nil {
				t.Fatal(err)
			}
			report(t, "HLS", hls.faults)
			report(t, "HLS", account(src.media, hls.read(ctx, t), tsTolerance))
			flv, err := recordFLV(ctx, o.flvURL(name), nil)
			if err != nil {
				t.Fatal(err)
			}
			report(t, "FLV", flv.faults)
			report(t, "FLV", account(src.media, flv.read(ctx, t), flvTolerance))
		})
	}
}

func TestAccountFindsEveryKindOfDamage(t *testing.T) {
	src := fixtureNamed(t, "high-bframes").make(t).media
	ms := time.Millisecond
	damages := map[string]func(m *media){
		"a frame lost in the middle":    func(m *media) { m.video = slices.Delete(m.video, 100, 101) },
		"the first frame lost":          func(m *media) { m.audio = m.audio[1:] },
		"the last frame lost":           func(m *media) { m.audio = m.audio[:len(m.audio)-1] },
		"a frame sent twice":            func(m *media) { m.video = slices.Insert(m.video, 100, m.video[99]) },
		"two frames swapped":            func(m *media) { m.video[50].hash, m.video[51].hash = m.video[51].hash, m.video[50].hash },
		"a byte changed":                func(m *media) { m.audio[7].hash = strings.Repeat("0", 32) },
		"a whole track lost":            func(m *media) { m.audio = nil },
		"a frame 2 ms late":             func(m *media) { m.video[10].dts += 2 * ms; m.video[10].pts += 2 * ms },
		"a composition time lost":       func(m *media) { m.video[10].pts = m.video[10].dts },
		"audio 5 ms late as a whole":    func(m *media) { shift(m.audio, 5*ms) },
		"video 5 ms late as a whole":    func(m *media) { shift(m.video, 5*ms) },
		"audio drifting from its clock": func(m *media) { drift(m.audio, 10*time.Microsecond) },
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			out := media{video: slices.Clone(src.video), audio: slices.Clone(src.audio), audioRate: src.audioRate}
			damage(&out)
			if faults := account(src, out, tsTolerance); len(faults) == 0 {
				t.Error("not found")
			} else {
				t.Log(strings.Join(faults, "\n"))
			}
		})
	}
	moved := media{video: slices.Clone(src.video), audio: slices.Clone(src.audio), audioRate: src.audioRate}
	shift(moved.video, time.Hour)
	shift(moved.audio, time.Hour)
	report(t, "both tracks moved by the same time", account(src, moved, flvTolerance))
}

func shift(frames []frame, by time.Duration) {
	for i := range frames {
		frames[i].dts += by
		frames[i].pts += by
	}
}

func drift(frames []frame, perFrame time.Duration) {
	for i := range frames {
		frames[i].dts += time.Duration(i) * perFrame
		frames[i].pts += time.Duration(i) * perFrame
	}
}

func TestTransportStreamCheckFindsDamage(t *testing.T) {
	const name = "high-bframes"
	src := fixtureNamed(t, name).make(t)
	o := standIn(t, name, src.path)
	rec, err := recordHLS(limit(t, time.Minute), o.hlsURL(name))
	if err != nil {
		t.Fatal(err)
	}
	whole := rec.segments[1].data
	cut := func(from, to int) []byte {
		return slices.Concat(whole[:from*tsPacket], whole[to*tsPacket:])
	}
	for what, c := range map[string]struct {
		data []byte
		want string
	}{
		"no PAT and PMT":       {cut(0, 3), "PAT"},
		"a packet lost":        {cut(40, 41), "continuity counter"},
		"the key frame lost":   {cut(3, 30), "does not start with an IDR"},
		"half a packet":        {whole[:len(whole)-94], "no whole number of packets"},
		"nothing but one byte": {[]byte{0x47}, "no whole number of packets"},
	} {
		t.Run(what, func(t *testing.T) {
			faults := checkTS([]segment{{data: c.data}}, true, true)
			if !strings.Contains(strings.Join(faults, "\n"), c.want) {
				t.Errorf("no fault speaks of %q: %q", c.want, faults)
			}
		})
	}
	// ffmpeg's segments have an SDT before the PAT and no data_alignment_indicator.
	known := []string{"the second packet has PID", "data_alignment_indicator"}
	for _, fault := range checkTS(rec.segments, true, true) {
		if !slices.ContainsFunc(known, func(k string) bool { return strings.Contains(fault, k) }) {
			t.Errorf("ffmpeg's own segments: %s", fault)
		}
	}
}

func TestFLVCheckFindsDamage(t *testing.T) {
	src := fixtureNamed(t, "high-bframes").make(t)
	file, err := os.ReadFile(src.path)
	if err != nil {
		t.Fatal(err)
	}
	// ffmpeg dates its end-of-sequence tag, the last one, more than 100 ms before the last audio.
	const endOfSequence = 11 + 5 + 4
	recorded := file[:len(file)-endOfSequence]
	file = bytes.ReplaceAll(recorded, []byte("duration"), []byte("_uration"))
	report(t, "the fixture as if it were live", checkFLV(file, true, true))
	tags, _, err := parseFLV(file)
	if err != nil {
		t.Fatal(err)
	}
	backwards := slices.Clone(file)
	at := len(file) - len(tags[len(tags)-1].body) - 4 - 11 // the last tag's header
	clear(backwards[at+4 : at+7])                          // its time
	for what, damaged := range map[string][]byte{
		"a duration":        recorded,
		"a time of 0":       backwards,
		"a cut tag":         file[:len(file)-5],
		"no header":         file[1:],
		"a size off by one": slices.Concat(file[:16], []byte{file[16] + 1}, file[17:]),
	} {
		if len(checkFLV(damaged, true, true)) == 0 {
			t.Errorf("%s was not found", what)
		}
	}
	if len(checkFLV(file, true, false)) == 0 {
		t.Error("wrong track flags were not found")
	}
}

func TestTwoReadersAgreeOnAFixture(t *testing.T) {
	src := fixtureNamed(t, "high-bframes").make(t)
	units, err := flvUnits(src.path)
	if err != nil {
		t.Fatal(err)
	}
	if len(units.video) != len(src.media.video) || len(units.audio) != len(src.media.audio) || units.audioRate != src.media.audioRate {
		t.Fatalf("%d, %d frames at %d Hz against ffprobe's %d, %d at %d Hz", len(units.video), len(units.audio), units.audioRate,
			len(src.media.video), len(src.media.audio), src.media.audioRate)
	}
	report(t, "video", accountTimes("video", src.media.video, units.video, 0, 0))
	report(t, "audio", accountTimes("audio", src.media.audio, units.audio, 0, 0))
}
