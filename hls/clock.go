package hls

import "github.com/headwater-live/headwater/remux/aac"

// ticks is a time in units of 1/90000 s, as in MPEG-TS.
type ticks int64

// perMillisecond is the number of ticks in a millisecond, perSecond in a second.
const (
	perMillisecond = 90
	perSecond      = 90_000
)

const (
	// maxAudioDrift is how far the audio clock may be from RTMP's before it is set
	// again: 50 ms is where lips and voice begin to part.
	maxAudioDrift = 50 * perMillisecond
	// maxAudioLag is how far RTMP's clock may fall behind for up to lagTime: an encoder
	// that had no processor sends several frames with one timestamp, and then catches
	// up. To follow it would squeeze a run of frames into no time.
	maxAudioLag = perSecond / 2
	lagTime     = 1 * perSecond
)

// audioClock counts samples, because RTMP's milliseconds jitter (21, 21, 22 …) and
// a player that trusts them crackles.
type audioClock struct {
	rate, frame int64 // samples per second, samples per AAC frame
	base        ticks // time of the first frame since the clock was set
	samples     int64 // samples since then
	lag         ticks // how long RTMP's clock has been behind
	last        ticks
	set         bool
}

// newAudioClock returns a clock that has not given out any time.
func newAudioClock() audioClock { return audioClock{last: -maxTicks} }

// configure takes the configuration of the frames to come.
func (c *audioClock) configure(config aac.Config) {
	c.rate, c.frame, c.set = int64(config.SampleRate), int64(config.SamplesPerFrame), false
}

// reset makes the next frame set the clock.
func (c *audioClock) reset() { c.set = false }

// next returns the time of a frame that came with DTS dts (in ms). Times are
// strictly increasing, also where the clock is set again.
func (c *audioClock) next(dts int64) ticks {
	now, set := c.peek(dts)
	if set {
		c.base, c.samples, c.set = now, 0, true
	}
	if now-ticks(dts)*perMillisecond > maxAudioDrift {
		c.lag += c.duration()
	} else {
		c.lag = 0
	}
	c.samples += c.frame
	c.last = now
	return now
}

// peek returns what next would, and whether the clock has to be set for it.
func (c *audioClock) peek(dts int64) (at ticks, set bool) {
	sent := ticks(dts) * perMillisecond
	if c.rate == 0 || !c.set {
		return max(sent, c.last+1), true
	}
	counted := c.base + ticks((c.samples*perSecond+c.rate/2)/c.rate)
	drift := counted - sent
	if drift < -maxAudioDrift || drift > maxAudioLag || (drift > maxAudioDrift && c.lag >= lagTime) {
		return max(sent, c.last+1), true
	}
	return counted, false
}

// duration returns the length of a frame, which is 0 before the first configuration.
func (c *audioClock) duration() ticks {
	if c.rate == 0 {
		return 0
	}
	return ticks(c.frame * perSecond / c.rate)
}
