package aac

// perMillisecond is the number of ticks of MPEG-TS in a millisecond, perSecond in a second.
const (
	perMillisecond = 90
	perSecond      = 90_000
)

const (
	// maxDrift is how far the clock may be from RTMP's before it is set again: 50 ms is
	// where lips and voice begin to part.
	maxDrift = 50 * perMillisecond
	// maxLag is how far RTMP's clock may fall behind for up to lagTime: an encoder that had
	// no processor sends several frames with one timestamp, and then catches up. To follow it
	// would squeeze a run of frames into no time.
	maxLag  = perSecond / 2
	lagTime = 1 * perSecond
	// longAgo is before all times.
	longAgo = -1 << 62
)

// Clock gives audio frames their times in units of 1/90000 s. It counts samples, because
// RTMP's milliseconds jitter (21, 21, 22 …) and a player that trusts them crackles.
type Clock struct {
	rate, frame int64 // samples per second, samples per AAC frame
	base        int64 // time of the first frame since the clock was set
	samples     int64 // samples since then
	lag         int64 // how long RTMP's clock has been behind
	last        int64
	set         bool
}

// NewClock returns a clock that has not given out any time.
func NewClock() Clock { return Clock{last: longAgo} }

// Configure takes the configuration of the frames to come.
func (c *Clock) Configure(config Config) {
	c.rate, c.frame, c.set = int64(config.SampleRate), int64(config.SamplesPerFrame), false
}

// Reset makes the next frame set the clock.
func (c *Clock) Reset() { c.set = false }

// Next returns the time of a frame that came with DTS dts (in ms). Times are strictly
// increasing, also where the clock is set again.
func (c *Clock) Next(dts int64) int64 {
	now, set := c.Peek(dts)
	if set {
		c.base, c.samples, c.set = now, 0, true
	}
	if now-dts*perMillisecond > maxDrift {
		c.lag += c.Duration()
	} else {
		c.lag = 0
	}
	c.samples += c.frame
	c.last = now
	return now
}

// Peek returns what Next would, and whether the clock has to be set for it.
func (c *Clock) Peek(dts int64) (at int64, set bool) {
	sent := dts * perMillisecond
	if c.rate == 0 || !c.set {
		return max(sent, c.last+1), true
	}
	counted := c.base + (c.samples*perSecond+c.rate/2)/c.rate
	drift := counted - sent
	if drift < -maxDrift || drift > maxLag || (drift > maxDrift && c.lag >= lagTime) {
		return max(sent, c.last+1), true
	}
	return counted, false
}

// Duration returns the length of a frame, which is 0 before the first configuration.
func (c *Clock) Duration() int64 {
	if c.rate == 0 {
		return 0
	}
	return c.frame * perSecond / c.rate
}
