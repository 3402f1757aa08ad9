package hls

import (
	"testing"

	"github.com/headwater-live/headwater/remux/aac"
)

func newTestClock(t *testing.T, asc []byte) *audioClock {
	t.Helper()
	config, err := aac.ParseConfig(asc)
	if err != nil {
		t.Fatal(err)
	}
	c := newAudioClock()
	c.configure(config)
	return &c
}

func TestTheAudioClockCountsSamples(t *testing.T) {
	for _, test := range []struct {
		asc  []byte
		rate int64
	}{{aac44100, 44100}, {aac48000, 48000}, {[]byte{0x13, 0x10}, 24000}, {[]byte{0x14, 0x10}, 16000}} {
		c := newTestClock(t, test.asc)
		for i := int64(0); i < 10_000; i++ {
			jitter := (i*7919)%41 - 20 // 20 ms either way
			at := c.next(max(0, 100+i*1024*1000/test.rate+jitter))
			if i == 0 {
				continue
			}
			// The first frame's jitter moves all of them, by nothing here.
			want := ticks(80*perMillisecond) + ticks((i*1024*perSecond+test.rate/2)/test.rate)
			if at != want {
				t.Fatalf("%d Hz: frame %d is at %d, want %d", test.rate, i, at, want)
			}
		}
	}
}

func TestTheAudioClockFollowsADriftBeyondFiftyMilliseconds(t *testing.T) {
	for _, perMille := range []int64{2, -2} {
		c := newTestClock(t, aac48000)
		last, sets := ticks(-1), 0
		for i := int64(0); i < 20_000; i++ {
			dts := 1000 + i*1024*1000*(1000+perMille)/48_000/1000
			_, set := c.peek(dts)
			if set {
				sets++
			}
			at := c.next(dts)
			if at <= last {
				t.Fatalf("frame %d is at %d, after %d", i, at, last)
			}
			last = at
			if off := at - ticks(dts)*perMillisecond; off > maxAudioDrift+5*perMillisecond || off < -maxAudioDrift {
				t.Fatalf("frame %d is %d ms off", i, off/perMillisecond)
			}
		}
		if sets < 10 || sets > 60 {
			t.Errorf("drift of %d per mille: the clock was set %d times", perMille, sets)
		}
	}
}

func TestTheAudioClockIncreasesWhereTimeStepsBack(t *testing.T) {
	c := newTestClock(t, aac48000)
	a, b := c.next(10_000), c.next(9_000)
	c.reset()
	if d := c.next(8_000); a >= b || b >= d {
		t.Errorf("%d, %d, %d", a, b, d)
	}
}

func TestTheAudioClockDoesNotFollowABurstWithOneTimestamp(t *testing.T) {
	c := newTestClock(t, aac44100)
	last := c.next(1_000)
	for i := int64(1); i < 2_000; i++ {
		dts := 1_000 + i*1024*1000/44_100
		if i%500 < 12 {
			dts = 1_000 + i/500*500*1024*1000/44_100 // 270 ms of frames come with one time
		}
		at := c.next(dts)
		if step := at - last; step < 2089 || step > 2090 {
			t.Fatalf("frame %d comes %d/90000 s after the one before", i, step)
		}
		last = at
	}
}

func TestTheAudioClockLeavesAGapWhereFramesAreMissing(t *testing.T) {
	c := newTestClock(t, aac48000)
	c.next(1_000)
	c.next(1_021)
	if at := c.next(1_300); at != 1_300*perMillisecond {
		t.Errorf("the frame after a gap is at %d, want %d", at, 1_300*perMillisecond)
	}
}
