package remux

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/remux/flvtag"
)

// encoder is a synthetic encoder: 30 fps with a keyframe every 2 s, and AAC at 44.1 kHz, with
// the jitter of OBS: timestamps rounded to milliseconds, messages some milliseconds early or
// late. The fields change that, from the next frame on.
type encoder struct {
	*session
	at          time.Duration // real time since the beginning
	shift       time.Duration // media time less real time
	gop         func(n int) int
	noVideo     bool
	noAudio     bool
	skip        func(frame int) bool   // frames that are left out
	composition func(frame int) uint32 // ms
	audioShift  func(time.Duration) time.Duration
	size        int // bytes of a video frame
	unit        []byte
	frame       int // of video
	sinceKey    int
	gops        int
	sound       int // audio frames
	random      *rand.Rand
}

const frameTime = time.Second / 30

func newEncoder(t *testing.T) *encoder {
	e := &encoder{
		session: newSession(t),
		gop:     func(int) int { return 60 },
		size:    2_000,
		random:  rand.New(rand.NewPCG(1, 2)),
	}
	return e
}

// configure sends the configurations.
func (e *encoder) configure() *encoder {
	e.video(0, header320)
	e.audio(0, aacHeader)
	return e
}

// run encodes for some time.
func (e *encoder) run(d time.Duration) *encoder {
	e.t.Helper()
	const soundTime = time.Second * 1024 / 44100
	begin := e.now.Add(-e.at)
	for end := e.at + d; e.at < end; {
		video, sound := time.Duration(e.frame)*frameTime, time.Duration(e.sound)*soundTime
		e.at = max(e.at, min(video, sound))
		arrival := begin.Add(e.at + time.Duration(e.random.IntN(8))*time.Millisecond)
		if arrival.After(e.now) {
			e.now = arrival
		}
		if sound < video {
			e.sound++
			if !e.noAudio {
				shift := e.shift
				if e.audioShift != nil {
					shift += e.audioShift(sound)
				}
				e.audio(stamp(sound+shift), aacFrame)
			}
			continue
		}
		e.picture(stamp(video + e.shift))
	}
	e.now = begin.Add(e.at)
	return e
}

// stall lets nothing arrive for a while. What was encoded meanwhile comes at once afterwards if
// the media went on.
func (e *encoder) stall(d time.Duration, media time.Duration) {
	e.now = e.now.Add(d)
	e.shift += media - d
	e.at += d
	e.frame = int(e.at/frameTime) + 1
	e.sound = int(e.at*44100/1024/time.Second) + 1
}

func stamp(d time.Duration) uint32 { return uint32(d.Round(time.Millisecond).Milliseconds()) }

func (e *encoder) picture(ts uint32) {
	frame := e.frame
	e.frame++
	if e.noVideo || (e.skip != nil && e.skip(frame)) {
		return
	}
	key := e.sinceKey == 0
	if e.sinceKey++; e.sinceKey >= e.gop(e.gops) {
		e.sinceKey = 0
		e.gops++
	}
	nalu := slices.Clone(inter)
	if key {
		nalu = slices.Clone(idr)
	}
	if e.unit != nil {
		nalu = e.unit
	}
	body := videoFrame(key, append(nalu, make([]byte, max(0, e.size-len(nalu)))...))
	if e.composition != nil {
		c := e.composition(frame)
		body[2], body[3], body[4] = byte(c>>16), byte(c>>8), byte(c)
	}
	e.video(ts, body)
}

func (e *encoder) found(code FindingCode) (Finding, bool) {
	for _, f := range e.hub.Stream("live/test").Info().Publication.Findings {
		if f.Code == code {
			return f, true
		}
	}
	return Finding{}, false
}

// active are the codes of the findings in force.
func (e *encoder) active() []FindingCode {
	var codes []FindingCode
	for _, f := range e.hub.Stream("live/test").Info().Publication.Findings {
		if f.Active {
			codes = append(codes, f.Code)
		}
	}
	return codes
}

func TestNothingIsFoundOfACleanStream(t *testing.T) {
	e := newEncoder(t).configure().run(5 * time.Minute)
	if found := e.hub.Stream("live/test").Info().Publication.Findings; len(found) > 0 {
		t.Errorf("findings: %+v", found)
	}
	facts := e.hub.Stream("live/test").Info().Publication.Facts
	if math.Abs(facts.AudioOffset) > 0.1 || math.Abs(facts.AudioDrift) > 0.1 {
		t.Errorf("audio against video: %+v", facts)
	}
	// 30 frames a second of 2000 bytes and their header.
	if facts.VideoBitrate < 450_000 || facts.VideoBitrate > 550_000 || facts.LastGap != 0 || facts.Behind > 0.1 || facts.UnevenFrames > 0.01 || facts.BFrames {
		t.Errorf("facts: %+v", facts)
	}
}

func TestTheFactsSayWhatIsWrong(t *testing.T) {
	e := newEncoder(t).configure()
	e.skip = func(n int) bool { return n%10 == 7 }
	e.composition = func(n int) uint32 { return []uint32{100, 0, 33}[n%3] }
	e.audioShift = func(at time.Duration) time.Duration { return at / 100 }
	e.run(time.Minute)
	e.stall(2*time.Second, 2*time.Second)
	e.run(2 * time.Second)
	f := e.hub.Stream("live/test").Info().Publication.Facts
	if f.UnevenFrames < 0.05 || !f.BFrames || f.LastGap < 1.9 || f.LastGap > 2.5 || f.AudioDrift < 0.3 || f.AudioOffset < 0.3 {
		t.Errorf("facts: %+v", f)
	}
}

func TestSoundAloneIsAFactAndAPictureThatCeasesAWarning(t *testing.T) {
	radio := newEncoder(t)
	radio.noVideo = true
	radio.audio(0, aacHeader)
	radio.run(8 * time.Second)
	if f, _ := radio.found("video-missing"); !f.Active || f.Severity != Informational {
		t.Errorf("of a radio: %+v", f)
	}
	broken := newEncoder(t).configure().run(10 * time.Second)
	broken.noVideo = true
	broken.run(8 * time.Second)
	if f, _ := broken.found("video-missing"); !f.Active || f.Severity != Warning {
		t.Errorf("of a camera that went off: %+v", f)
	}
}

// diagnoses has for each code a stream that shows it. After run the finding must be there, and
// after the encoder is mended and another run it must be gone.
var diagnoses = []struct {
	code     FindingCode
	name     string
	late     bool // the configurations are not sent
	spoil    func(*encoder)
	run      time.Duration
	mend     func(*encoder)
	clear    time.Duration
	measured string // part of the text
	also     []FindingCode
}{
	{code: "gop-too-long", name: "OBS with automatic keyframes",
		spoil: func(e *encoder) { e.gop = func(int) int { return 250 } }, run: 20 * time.Second,
		mend: func(e *encoder) { e.gop = func(int) int { return 60 } }, clear: 30 * time.Second, measured: "8.3 s from keyframe"},
	{code: "gop-irregular", name: "keyframes at scene cuts",
		spoil: func(e *encoder) { e.gop = func(n int) int { return []int{60, 14, 60, 31}[n%4] } }, run: 30 * time.Second,
		mend: func(e *encoder) { e.gop = func(int) int { return 60 } }, clear: time.Minute, measured: "of the last 8 GOPs"},
	{code: "no-keyframes", name: "keyframes cease",
		spoil: func(e *encoder) { e.run(5 * time.Second); e.gop = func(int) int { return math.MaxInt } }, run: 20 * time.Second,
		mend: func(e *encoder) { e.sinceKey = 0; e.gop = func(int) int { return 60 } }, clear: 40 * time.Second,
		measured: "without a keyframe", also: []FindingCode{"gop-too-long"}},
	{code: "no-keyframes", name: "no keyframe at all",
		spoil: func(e *encoder) { e.sinceKey = 1; e.gop = func(int) int { return math.MaxInt } }, run: 15 * time.Second,
		mend: func(e *encoder) { e.sinceKey = 0; e.gop = func(int) int { return 60 } }, clear: 20 * time.Second, measured: "frames could not be passed on"},
	{code: "frame-rate-unsteady", name: "an encoder that leaves out a tenth of the frames",
		spoil: func(e *encoder) { e.skip = func(n int) bool { return n%10 == 7 } }, run: 22 * time.Second,
		mend: func(e *encoder) { e.skip = nil }, clear: 40 * time.Second, measured: "usual are 30."},
	{code: "audio-video-drift", name: "an audio clock that is 1 % fast",
		spoil: func(e *encoder) {
			e.audioShift = func(at time.Duration) time.Duration { return at / 100 }
		}, run: time.Minute,
		mend:  func(e *encoder) { e.audioShift = nil },
		clear: 40 * time.Second, measured: "since the beginning"},
	{code: "audio-video-drift", name: "audio 1.5 s behind", spoil: func(e *encoder) {
		e.audioShift = func(time.Duration) time.Duration { return -1500 * time.Millisecond }
		e.shift = 2 * time.Second
	}, run: 25 * time.Second, mend: func(e *encoder) { e.audioShift = nil }, clear: 60 * time.Second, measured: "audio comes -1."},
	{code: "timestamps-jumped", name: "the clock is set back by an hour",
		spoil: func(e *encoder) { e.shift = time.Hour; e.run(10 * time.Second); e.shift = 0 }, run: 5 * time.Second,
		clear: 70 * time.Second, measured: "1 jumps"},
	{code: "timestamps-realigned", name: "audio jumps alone",
		spoil: func(e *encoder) {
			e.run(10 * time.Second)
			e.audioShift = func(time.Duration) time.Duration { return time.Minute }
		}, run: 10 * time.Second,
		clear: 70 * time.Second, measured: "1 jumps of one track"},
	{code: "timestamps-clamped", name: "timestamps that go back",
		spoil: func(e *encoder) {
			e.audioShift = func(at time.Duration) time.Duration {
				if at.Milliseconds()%500 < 24 {
					return -100 * time.Millisecond
				}
				return 0
			}
		}, run: 15 * time.Second,
		mend: func(e *encoder) { e.audioShift = nil }, clear: 80 * time.Second, measured: "did not increase"},
	{code: "gaps-between-packets", name: "the network stalls for 2 s",
		spoil: func(e *encoder) { e.run(10 * time.Second); e.stall(2*time.Second, 2*time.Second) }, run: 3 * time.Second,
		clear: 70 * time.Second, measured: "nothing came for 2.0 s"},
	{code: "publisher-behind", name: "an upload that is a tenth too slow",
		spoil: func(e *encoder) {
			for range 50 {
				e.run(900*time.Millisecond).stall(100*time.Millisecond, 0)
			}
		}, run: time.Second,
		clear: 150 * time.Second, measured: "later than it did"},
	{code: "bitrate-unsteady", name: "the bitrate falls to a fifth",
		spoil: func(e *encoder) { e.run(50 * time.Second); e.size = 200 }, run: 20 * time.Second,
		mend: func(e *encoder) { e.size = 2000 }, clear: 3 * time.Minute, measured: "kbit/s are usual"},
	{code: "bitrate-too-low", name: "60 bytes for a frame of 320x180",
		spoil: func(e *encoder) { e.size = 60 }, run: 12 * time.Second,
		mend: func(e *encoder) { e.size = 2000 }, clear: 40 * time.Second, measured: "bit per pixel", also: []FindingCode{"bitrate-unsteady"}},
	{code: "audio-missing", name: "OBS with the wrong audio track",
		spoil: func(e *encoder) { e.noAudio = true }, run: 8 * time.Second,
		mend: func(e *encoder) { e.noAudio = false }, clear: 20 * time.Second, measured: "no audio frame for"},
	{code: "audio-missing", name: "audio that ceases",
		spoil: func(e *encoder) { e.run(20 * time.Second); e.noAudio = true }, run: 8 * time.Second,
		mend: func(e *encoder) { e.noAudio = false }, clear: 20 * time.Second, measured: "no audio frame for"},
	{code: "video-missing", name: "radio",
		spoil: func(e *encoder) { e.noVideo = true }, run: 8 * time.Second,
		mend: func(e *encoder) { e.noVideo = false }, clear: 20 * time.Second, measured: "no video frame for"},
	{code: "b-frames", name: "two B-frames",
		spoil: func(e *encoder) { e.composition = func(n int) uint32 { return []uint32{100, 0, 33}[n%3] } }, run: 5 * time.Second,
		mend: func(e *encoder) { e.composition = nil }, clear: 70 * time.Second, measured: "up to 100 ms"},
	{code: "configuration-missing", name: "no sequence headers", late: true,
		spoil: func(*encoder) {}, run: 8 * time.Second,
		mend: func(e *encoder) { e.configure() }, clear: 20 * time.Second, measured: "for their decoder configuration"},
	{code: "malformed-messages", name: "access units without NALUs",
		spoil: func(e *encoder) {
			e.run(time.Second)
			e.write(flvtag.Video, stamp(e.at), []byte{0x27, 1, 0, 0, 0, 0, 0, 0, 0})
		}, run: 12 * time.Second,
		clear: 80 * time.Second, measured: "1 broken messages"},
}

func TestADiagnosisIsRaisedAndCleared(t *testing.T) {
	for _, test := range diagnoses {
		t.Run(string(test.code)+"/"+test.name, func(t *testing.T) {
			e := newEncoder(t)
			if !test.late {
				e.configure()
			}
			test.spoil(e)
			e.run(test.run)
			f, ok := e.found(test.code)
			if !ok || !f.Active {
				t.Fatalf("not found; active are %v; %+v", e.active(), e.hub.Stream("live/test").Info().Publication.Counters)
			}
			for _, code := range e.active() {
				if code != test.code && !slices.Contains(test.also, code) {
					other, _ := e.found(code)
					t.Errorf("found as well: %s: %s", code, other.Measured)
				}
			}
			if !strings.Contains(f.Measured, test.measured) || strings.Contains(f.Measured, "%!") || f.Advice == "" {
				t.Errorf("measured %q, want %q in it; advice %q", f.Measured, test.measured, f.Advice)
			}
			if f.Times < 1 || f.Raised.IsZero() || f.Seen.Before(f.Raised) {
				t.Errorf("%+v", f)
			}
			if test.mend != nil {
				test.mend(e)
			}
			e.run(test.clear)
			if f, ok = e.found(test.code); f.Active || !ok {
				t.Errorf("not cleared: %+v", f)
			}
		})
	}
}
