package bytelog

import "github.com/headwater-live/headwater/remux"

const (
	// lead is where the first frame of a log with a time of its own lies, in ms: another track may
	// begin so much earlier (remux.Timeline believes no more).
	lead = 10_000
	// lastDay is how long, in ms, before its clock's end a log looks for a place to end at.
	lastDay = 24 * 60 * 60 * 1_000
	// maxComposition bounds, in ms, what is added to a time before a format says it: FLV has 24 bits
	// with a sign.
	maxComposition = 1 << 23
)

// clock is the time that a log's viewers see: the stream's, as long as that is small. A stream may run for
// longer than a format can say: FLV and RTMP have 32 bits, which most players take for a number with a
// sign, and stop after 24.8 days. A log that begins when half of that is over has a time of its own, which
// begins near 0 with it. A format that wraps as its players expect, such as MPEG-TS, needs none.
//
// A log that comes to the end of its clock ends as if the stream did, with the last frame before a place
// where viewers may begin. Who was watching asks again, gets a log with a new clock, and goes on with
// that place's frame. To let the time go back within an answer would spare it the question, but ffmpeg,
// for one, takes that for a wrap of 32 bits.
type clock struct {
	max     int64 // 0 is no bound
	base    int64 // the stream's time at 0
	started bool
	// told is the latest time that was said before the first frame, by configurations that may be old.
	told    int64
	shifted remux.Packet // the memory of shift
}

// start begins at the stream's time of the first frame.
func (c *clock) start(dts int64) {
	if !c.started && c.max > 0 && dts > c.max/2 {
		c.base = dts - lead - c.told
	}
	c.started = true
}

// at returns a time of the stream by the clock. What comes before the first frame, configurations that
// may be old, is no later than that: the clock begins behind what they have said.
func (c *clock) at(dts int64) int64 {
	switch {
	case !c.started && c.max > 0 && dts > c.max/2:
		return max(lead, c.told)
	case c.base > 0:
		return max(0, dts-c.base)
	case !c.started:
		c.told = max(c.told, dts)
	}
	return dts
}

// shift returns a packet with the clock's time, which is good until the next call.
func (c *clock) shift(pkt *remux.Packet) *remux.Packet {
	at := c.at(pkt.DTS)
	if at == pkt.DTS {
		return pkt
	}
	c.shifted = *pkt
	c.shifted.DTS = at
	return &c.shifted
}

// over reports whether the clock has come to its end with a frame. start: viewers may begin with it.
func (c *clock) over(dts int64, start bool) bool {
	if c.max == 0 || !c.started {
		return false
	}
	end := c.max - maxComposition
	if start {
		end -= lastDay
	}
	return dts-c.base > end
}

// retire closes a log whose clock has come to its end, and reports whether it has.
func (l *Log) retire(pkt *remux.Packet) bool {
	switch pkt.Kind {
	case remux.VideoFrame, remux.AudioFrame, remux.FurtherVideo, remux.FurtherAudio:
	default:
		return false
	}
	if !l.clock.over(pkt.DTS, l.joins(pkt)) {
		return false
	}
	l.release()
	l.retired = true
	l.closeLocked()
	return true
}

// isRetired reports whether the stream goes on in another log.
func (l *Log) isRetired() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.retired
}
