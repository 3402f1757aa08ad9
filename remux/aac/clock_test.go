package aac

import "testing"

var (
	aac44100 = []byte{0x12, 0x10}
	aac48000 = []byte{0x11, 0x90}
)

func newTestClock(t *testing.T, asc []byte) *Clock {
	t.Helper()
	config, err := ParseConfig(asc)
	if err != nil {
		t.Fatal(err)
	}
	c := NewClock()
	c.Configure(config)
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
			at := c.Next(max(0, 100+i*1024*1000/test.rate+jitter))
			if i == 0 {
				continue
			}
			// The first frame's jitter moves all of them, by nothing here.
			want := 80*perMillisecond + (i*1024*perSecond+test.rate/2)/test.rate
			if at != want {
				t.Fatalf("%d Hz: frame %d is at %d, want %d", test.rate, i, at, want)
			}
		}
	}
}

func TestTheAudioClockFollowsADriftBeyondFiftyMilliseconds(t *testing.T) {
	for _, perMille := range []int64{2, -2} {
		c := newTestClock(t, aac48000)
		last, sets := int64(-1), 0
		for i := int64(0); i < 20_000; i++ {
			dts := 1000 + i*1024*1000*(1000+perMille)/48_000/1000
			_, set := c.Peek(dts)
			if set {
				sets++
			}
			at := c.Next(dts)
			if at <= last {
				t.Fatalf("frame %d is at %d, after %d", i, at, last)
			}
			last = at
			if off := at - dts*perMillisecond; off > maxDrift+5*perMillisecond || off < -maxDrift {
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
	a, b := c.Next(10_000), c.Next(9_000)
	c.Reset()
	if d := c.Next(8_000); a >= b || b >= d {
		t.Errorf("%d, %d, %d", a, b, d)
	}
}

func TestTheAudioClockDoesNotFollowABurstWithOneTimestamp(t *testing.T) {
	c := newTestClock(t, aac44100)
	last := c.Next(1_000)
	for i := int64(1); i < 2_000; i++ {
		dts := 1_000 + i*1024*1000/44_100
		if i%500 < 12 {
			dts = 1_000 + i/500*500*1024*1000/44_100 // 270 ms of frames come with one time
		}
		at := c.Next(dts)
		if step := at - last; step < 2089 || step > 2090 {
			t.Fatalf("frame %d comes %d/90000 s after the one before", i, step)
		}
		last = at
	}
}

func TestTheAudioClockLeavesAGapWhereFramesAreMissing(t *testing.T) {
	c := newTestClock(t, aac48000)
	c.Next(1_000)
	c.Next(1_021)
	if at := c.Next(1_300); at != 1_300*perMillisecond {
		t.Errorf("the frame after a gap is at %d, want %d", at, 1_300*perMillisecond)
	}
}
