package hls

import (
	"math"
	"time"

	"github.com/headwater-live/headwater/remux"
)

const (
	// firstSegment is the length after which a publication's first segment may be
	// cut, so that playback starts, or goes on, early.
	firstSegment = 1 * perSecond
	// longestFirst bounds the first segment of a stream without keyframes, and so
	// the largest target duration there can be.
	longestFirst = 10 * perSecond
	// earlyCut is how much before its time a keyframe may come and still cut:
	// encoders' timestamps jitter, and one millisecond must not double a segment.
	earlyCut = 60 * perMillisecond
	// slack is what rounding allows beyond the target duration: EXTINF rounded to
	// the nearest second must not exceed it (RFC 8216, 4.3.3.1).
	slack = perSecond/2 - perMillisecond
	// defaultFrame is the duration of a frame before it is known.
	defaultFrame = 40 * perMillisecond
	// maxFrame is the longest step between frames that is taken for a duration.
	maxFrame = 1 * perSecond
)

// cutter decides where segments begin. It is a pure function of the times of the
// packets: no clock, no I/O.
type cutter struct {
	segment ticks // shortest wanted segment
	target  ticks // target duration, 0 until the first segment closed

	open  bool
	start ticks // time of the open segment's first packet
	quick bool  // the open segment is a publication's first

	hasVideo bool
	newest   ticks // latest time in the open segment, any track
	frame    ticks // duration of a frame of the track that paces
	key      ticks // time of the newest keyframe
	keySeen  bool
	gop      ticks // longest GOP of the newest few
}

// verdict says what must happen before a packet is written.
type verdict uint8

const (
	proceed verdict = iota // write it to the open segment
	cut                    // close the open segment and begin with this packet
	cutHole                // the same, but the media have a hole before the packet
)

// decide returns what must happen before a packet with time at is written. keyframe
// is true for a packet that a segment may begin with: an IDR, or any audio frame of a
// stream without video.
func (c *cutter) decide(at ticks, keyframe bool) verdict {
	if !c.open {
		return cut
	}
	elapsed, limit := at-c.start, c.limit()
	if elapsed > limit {
		return cutHole
	}
	if keyframe && c.wants(elapsed, limit) {
		return cut
	}
	if elapsed+c.step() > limit {
		return cut
	}
	return proceed
}

// wants reports whether a keyframe at that distance should begin a segment: the
// segment is long enough, or the next keyframe would come too late.
func (c *cutter) wants(elapsed, limit ticks) bool {
	shortest := c.segment
	if c.quick {
		shortest = min(shortest, firstSegment)
	}
	if elapsed >= shortest-min(earlyCut, shortest/4) {
		return true
	}
	return c.target > 0 && c.hasVideo && c.gop > 0 && elapsed >= c.segment/4 && elapsed+c.gop > limit
}

// limit is the longest that the open segment may get.
func (c *cutter) limit() ticks {
	if c.target == 0 {
		return max(longestFirst, c.segment)
	}
	return c.target + slack
}

func (c *cutter) step() ticks {
	if c.frame > 0 {
		return c.frame
	}
	return defaultFrame
}

// begin opens a segment at a packet's time.
func (c *cutter) begin(at ticks, quick bool) {
	c.open, c.start, c.newest, c.quick = true, at, at, quick
}

// wrote takes note of a packet. paces is true for the track whose frames decide:
// video, or audio where there is none.
func (c *cutter) wrote(at ticks, keyframe, paces bool) {
	if paces && at > c.newest && at-c.newest <= maxFrame {
		c.frame = at - c.newest
	}
	if keyframe && c.hasVideo {
		if c.keySeen && at > c.key {
			c.gop = max(at-c.key, c.gop-c.gop/8)
		}
		c.key, c.keySeen = at, true
	}
	c.newest = max(c.newest, at)
}

// end returns the duration of the open segment when nothing follows it.
func (c *cutter) end() ticks { return min(c.newest+c.step()-c.start, c.limit()) }

// fixTarget sets the target duration when the stream's first segment closes: at
// least what is configured, what that segment took, and what segments of whole GOPs
// like those seen will take. It never changes afterwards.
func (c *cutter) fixTarget(duration ticks) {
	if c.target != 0 {
		return
	}
	longest := duration
	if c.hasVideo && c.gop > 0 {
		n := math.Ceil(float64(c.segment-earlyCut) / float64(c.gop))
		longest = max(longest, ticks(n)*c.gop)
	}
	seconds := max((longest+perSecond/2)/perSecond, (c.segment+perSecond-1)/perSecond, 1)
	c.target = min(seconds, (c.limit()+perSecond/2)/perSecond) * perSecond
}

// reset forgets the publication: another begins.
func (c *cutter) reset(tracks remux.Tracks) {
	c.open, c.keySeen, c.frame = false, false, 0
	c.hasVideo = tracks.Video
}

func (t ticks) duration() time.Duration {
	return time.Duration(t) * time.Second / perSecond
}
