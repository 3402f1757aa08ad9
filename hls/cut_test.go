package hls

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/e2e/hlscheck"
)

// broadcast publishes frames of [0, ms), and returns what the referee saw.
func broadcast(t *testing.T, config Config, e *encoder, ms int64, ignore ...string) (report hlscheck.Report, playlist string) {
	t.Helper()
	onStage(t, config, func(s *stage) {
		s.publish(e, 0, ms)
		s.leave()
		report = s.report(ignore...)
		s.accounts(report)
		if n := len(s.history.Media); n > 0 {
			playlist = string(s.history.Media[n-1].Body)
		}
	})
	return report, playlist
}

func durations(r hlscheck.Report) string {
	var list []string
	for _, s := range r.Segments {
		list = append(list, fmt.Sprintf("%.2f", s.Duration.Seconds()))
	}
	return strings.Join(list, " ")
}

func TestSegmentsBeginAtTheKeyframesThatTheGOPAllows(t *testing.T) {
	for _, test := range []struct {
		gop    int // frames of 40 ms
		target int
		first  time.Duration
		later  time.Duration
	}{
		{12, 2, 960 * time.Millisecond, 2400 * time.Millisecond}, // 40 ms less than wanted is near enough, 80 ms is not
		{13, 2, 1040 * time.Millisecond, 2080 * time.Millisecond},
		{25, 2, 1000 * time.Millisecond, 2000 * time.Millisecond},
		{37, 3, 1480 * time.Millisecond, 2960 * time.Millisecond},
		{50, 2, 2000 * time.Millisecond, 2000 * time.Millisecond},
		{60, 2, 2400 * time.Millisecond, 2400 * time.Millisecond},
		{62, 3, 2480 * time.Millisecond, 2480 * time.Millisecond}, // 2.48 s rounds to 2, but jitter could make it 2.5
		{100, 4, 4000 * time.Millisecond, 4000 * time.Millisecond},
		{250, 10, 10 * time.Second, 10 * time.Second},
	} {
		t.Run(fmt.Sprintf("GOP of %d frames", test.gop), func(t *testing.T) {
			t.Parallel()
			r, playlist := broadcast(t, Config{}, at25(test.gop), 45_000)
			for i, s := range r.Segments[:len(r.Segments)-1] {
				want := test.later
				if i == 0 {
					want = test.first
				}
				if s.Duration != want || !s.Independent || s.Discontinuity {
					t.Errorf("segment %d lasts %v, want %v; %+v", i, s.Duration, want, s)
				}
			}
			if want := fmt.Sprintf("#EXT-X-TARGETDURATION:%d\n", test.target); !strings.Contains(playlist, want) {
				t.Errorf("no %s in\n%s", want, playlist)
			}
			if !strings.Contains(playlist, "#EXT-X-INDEPENDENT-SEGMENTS\n") {
				t.Errorf("segments are not said to be independent:\n%s", playlist)
			}
		})
	}
}

func TestJitterOfAFewMillisecondsDoublesNoSegment(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 1))
		e := at25(25)
		e.jitter = func(int) int64 { return r.Int64N(11) - 5 }
		report, _ := broadcast(t, Config{}, e, 30_000)
		for i, s := range report.Segments[1 : len(report.Segments)-1] {
			if off := (s.Duration - 2*time.Second).Abs(); off > 10*time.Millisecond || !s.Independent {
				t.Errorf("seed %d: segment %d lasts %v", seed, i+1, s.Duration)
			}
		}
	}
}

func TestFrameRatesFromOneToSixty(t *testing.T) {
	for _, test := range []struct {
		frame float64
		gop   int
		rate  string
	}{
		{1000, 2, "1.000"}, {500, 4, "2.000"}, {100, 20, "10.000"}, {1000.0 / 15, 30, "15.000"},
		{1001.0 / 24, 48, "23.976"}, {1001.0 / 30, 60, "29.970"}, {1000.0 / 50, 100, "50.000"}, {1000.0 / 60, 120, "60.000"},
	} {
		t.Run(test.rate+" fps", func(t *testing.T) {
			t.Parallel()
			e := at25(test.gop)
			e.frame = test.frame
			onStage(t, Config{}, func(s *stage) {
				s.publish(e, 0, 30_000)
				s.leave()
				r := s.report()
				s.accounts(r)
				for i, seg := range r.Segments[1 : len(r.Segments)-1] {
					if (seg.Duration-2*time.Second).Abs() > 3*time.Millisecond || !seg.Independent {
						t.Errorf("segment %d lasts %v", i+1, seg.Duration)
					}
				}
				multivariant := s.history.Multivariant[len(s.history.Multivariant)-1].Body
				if want := "FRAME-RATE=" + test.rate; !strings.Contains(string(multivariant), want) {
					t.Errorf("no %s in\n%s", want, multivariant)
				}
				if n := len(s.history.Multivariant); n > 3 {
					t.Errorf("the multivariant playlist changed %d times", n)
				}
			})
		})
	}
}

func TestKeyframesAtSceneCuts(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 2))
		next := 0
		e := at25(1)
		e.key = func(i int) bool {
			if i < next {
				return false
			}
			next = i + 3 + r.IntN(140)
			return true
		}
		report, playlist := broadcast(t, Config{}, e, 60_000)
		dependent := false
		for _, s := range report.Segments {
			dependent = dependent || !s.Independent
			if s.Discontinuity {
				t.Errorf("seed %d: a discontinuity before segment %d", seed, s.Sequence)
			}
		}
		if dependent == strings.Contains(playlist, "INDEPENDENT") {
			t.Errorf("seed %d: dependent %v, and the playlist says\n%s", seed, dependent, playlist)
		}
	}
}

func TestWithoutKeyframesSegmentsAreCutAnyway(t *testing.T) {
	for _, frame := range []float64{40, 1000, 2000, 1000.0 / 30} {
		e := at25(1 << 30)
		e.frame = frame
		r, playlist := broadcast(t, Config{}, e, 60_000)
		if len(r.Segments) < 5 || !strings.Contains(playlist, "#EXT-X-TARGETDURATION:10\n") || strings.Contains(playlist, "INDEPENDENT") {
			t.Errorf("frames of %v ms: %s\n%s", frame, durations(r), playlist)
		}
	}
}

func TestAGOPThatGrowsBeyondTheTargetIsCut(t *testing.T) {
	e := at25(25)
	e.key = func(i int) bool { return i < 250 && i%25 == 0 || i == 400 || i == 600 }
	r, playlist := broadcast(t, Config{}, e, 40_000)
	if !strings.Contains(playlist, "#EXT-X-TARGETDURATION:2\n") || strings.Contains(playlist, "INDEPENDENT") {
		t.Errorf("%s\n%s", durations(r), playlist)
	}
}

func TestLongFramesJitteringAtTheLimitMakeNoDiscontinuity(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 3))
		e := at25(1 << 30)
		e.key = func(i int) bool { return i == 0 || i == 28 }
		e.frame, e.asc = 66, nil
		e.jitter = func(int) int64 { return r.Int64N(33) }
		report, _ := broadcast(t, Config{}, e, 40_000)
		for _, s := range report.Segments {
			if s.Discontinuity {
				t.Errorf("seed %d: discontinuity before segment %d: %s", seed, s.Sequence, durations(report))
			}
		}
	}
}

func TestAHoleInBothTracksIsADiscontinuity(t *testing.T) {
	for _, ahead := range []int64{0, 30, -30} { // how much earlier audio comes back
		e := at25(25)
		e.skip = func(dts int64, video bool) bool {
			end := int64(13_000)
			if !video {
				end -= ahead
			}
			return dts >= 8_200 && dts < end
		}
		r, _ := broadcast(t, Config{}, e, 25_000, "segment-late")
		breaks := 0
		for i, s := range r.Segments {
			if s.Discontinuity {
				breaks++
				if before := r.Segments[i-1]; before.Duration > 2500*time.Millisecond || !s.Independent {
					t.Errorf("audio %d ms ahead: %v before the hole, then %+v", ahead, before.Duration, s)
				}
			}
		}
		if breaks != 1 {
			t.Errorf("audio %d ms ahead: %d discontinuities: %s", ahead, breaks, durations(r))
		}
	}
}

func TestAHoleInVideoAloneIsBridgedByAudio(t *testing.T) {
	e := at25(25)
	e.skip = func(dts int64, video bool) bool { return video && dts >= 8_200 && dts < 15_040 }
	r, _ := broadcast(t, Config{}, e, 25_000, "track-empty", "frame-rate-false")
	for _, s := range r.Segments {
		if s.Discontinuity {
			t.Errorf("a discontinuity before segment %d: %s", s.Sequence, durations(r))
		}
	}
	if n := len(r.Segments); n < 12 {
		t.Errorf("%d segments: %s", n, durations(r))
	}
}

func TestAHoleInAudioAloneChangesNothing(t *testing.T) {
	e := at25(25)
	e.skip = func(dts int64, video bool) bool { return !video && dts >= 8_200 && dts < 15_000 }
	r, _ := broadcast(t, Config{}, e, 25_000, "track-empty")
	if got := durations(r); !strings.HasPrefix(got, "1.00"+strings.Repeat(" 2.00", 11)) {
		t.Error(got)
	}
}

func TestVideoThatStopsForGoodLeavesTheSound(t *testing.T) {
	e := at25(25)
	e.skip = func(dts int64, video bool) bool { return video && dts >= 8_200 }
	r, playlist := broadcast(t, Config{}, e, 30_000, "track-empty", "frame-rate-false")
	if len(r.Segments) < 12 {
		t.Errorf("%s\n%s", durations(r), playlist)
	}
}

func TestAudioAloneIsCutWhereItsFramesEnd(t *testing.T) {
	for _, asc := range [][]byte{aac44100, aac48000} {
		e := &encoder{asc: asc}
		r, playlist := broadcast(t, Config{}, e, 60_000)
		for i, s := range r.Segments[1 : len(r.Segments)-1] {
			if s.Duration < 2*time.Second || s.Duration > 2*time.Second+24*time.Millisecond || s.Discontinuity {
				t.Errorf("segment %d lasts %v", i+1, s.Duration)
			}
		}
		if s := r.Segments[0]; s.Duration < time.Second || s.Duration > 1024*time.Millisecond {
			t.Errorf("the first segment lasts %v", s.Duration)
		}
		if !strings.Contains(playlist, "TARGETDURATION:2\n") || !strings.Contains(playlist, "INDEPENDENT") {
			t.Error(playlist)
		}
	}
}

func TestAudioInTheMillisecondsOfRTMPComesOutBySamples(t *testing.T) {
	e := &encoder{asc: aac48000} // 21, 21, 22 ms
	r, _ := broadcast(t, Config{}, e, 20_000)
	for i := 1; i < len(r.AccessUnits); i++ {
		if d := r.AccessUnits[i].DTS - r.AccessUnits[i-1].DTS; d != 1920 {
			t.Fatalf("frame %d comes %d/90000 s after the one before, want 1920", i, d)
		}
	}
}

func TestOtherSegmentLengths(t *testing.T) {
	for _, test := range []struct {
		segment time.Duration
		target  int
	}{{500 * time.Millisecond, 1}, {time.Second, 1}, {4 * time.Second, 4}, {6 * time.Second, 6}, {15 * time.Second, 15}} {
		r, playlist := broadcast(t, Config{Segment: test.segment, Window: 4}, at25(12), 60_000)
		if want := fmt.Sprintf("TARGETDURATION:%d\n", test.target); !strings.Contains(playlist, want) {
			t.Errorf("%v: no %s in\n%s", test.segment, want, playlist)
		}
		for _, s := range r.Segments[1 : len(r.Segments)-1] {
			if s.Duration < test.segment-60*time.Millisecond || s.Duration > test.segment+500*time.Millisecond {
				t.Errorf("%v: %s", test.segment, durations(r))
				break
			}
		}
	}
}

func TestAudioThatComesBehindLosesNoFrame(t *testing.T) {
	for _, behind := range []int64{-900, -300, 300} {
		e := at25(25)
		e.behind = behind
		r, _ := broadcast(t, Config{}, e, 20_000)
		if n := len(sums(r.AccessUnits, hlscheck.Audio)); n < 930 {
			t.Errorf("%d ms behind: %d frames of 938", behind, n)
		}
	}
}

func TestAnEncoderThatLiesAboutItsSampleRate(t *testing.T) {
	for _, says := range [][]byte{aac44100, {0x11, 0x88}, {0x13, 0x10}} { // it sends 48 kHz
		onStage(t, Config{}, func(s *stage) {
			e := at25(25)
			s.sink = s.server.NewSink(testName)
			s.began = time.Now()
			s.sink.Begin(e.tracks())
			s.sink.Write(videoConfigPacket(e.sets, 0))
			s.sink.Write(audioConfigPacket(says, 0))
			s.send(e.frames(0, 30_000))
			s.leave()
			// Its frames cannot be as long as it says, so they overlap. What can be
			// true is: each comes once, beside its picture.
			s.accounts(s.report("dts-not-increasing"))
		})
	}
}

func TestPicturesComeOutWithTheirCompositionTimes(t *testing.T) {
	r, _ := broadcast(t, Config{}, at25(25), 10_000)
	i := 0
	for _, u := range r.AccessUnits {
		if u.Kind != hlscheck.Video {
			continue
		}
		if got, want := u.PTS-u.DTS, int64(i%3*40*perMillisecond); got != want {
			t.Fatalf("picture %d is shown %d/90000 s after it is decoded, want %d", i, got, want)
		}
		i++
	}
	if i != 250 {
		t.Errorf("%d pictures", i)
	}
}
