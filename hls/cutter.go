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
	// listingDelay is how long after its end a segment may be listed: when the next frame
	// has come and the storage has taken it, or has not in time (defaultStoreTimeout).
	listingDelay = 400 * perMillisecond
	// defaultFrame is the duration of a frame before it is known.
	defaultFrame = 40 * perMillisecond
	// maxFrame is the longest step between frames that is believed to be a duration
	// when it is seen once: a longer one is a hole, unless it repeats.
	maxFrame = 1 * perSecond
)

// cutter decides where segments begin. It is a pure function of the times of the
// packets: no clock, no I/O.
type cutter struct {
	segment ticks // shortest wanted segment
	target  ticks // target duration, 0 until the first segment closed

	open     bool
	start    ticks // time of the open segment's first packet
	until    ticks // where its media end, any track
	quick    bool  // it is a publication's first
	hasVideo bool  // video paces
	pictured bool  // there is video in the open segment

	video, audio pace
	key          ticks // time of the newest keyframe
	keySeen      bool
	gop          ticks // longest GOP of the newest few
}

// verdict says what must happen before a packet is written.
type verdict uint8

const (
	proceed verdict = iota // write it to the open segment
	cut                    // close the open segment and begin with this packet
	cutHole                // the same, but the media have a hole before the packet
)

// decideVideo returns what must happen before a video frame is written.
func (c *cutter) decideVideo(at ticks, keyframe bool) verdict {
	if keyframe {
		c.sawKeyframe(at)
	}
	// Video that has just come back begins a segment with whatever frame it has.
	return c.decide(at, keyframe || !c.pictured, &c.video)
}

// decideAudio returns what must happen before an audio frame is written: one of a
// stream without video, or one that comes while the video pauses.
func (c *cutter) decideAudio(at ticks) verdict {
	return c.decide(at, !c.hasVideo, &c.audio)
}

func (c *cutter) decide(at ticks, mayBegin bool, p *pace) verdict {
	if !c.open {
		return cut
	}
	elapsed, limit := at-c.start, c.limit()
	switch {
	case elapsed > limit:
		return cutHole
	case elapsed <= 0:
		return proceed
	case mayBegin && c.wants(elapsed):
		return cut
	case c.overruns(elapsed, p):
		return cut
	}
	return proceed
}

// wants reports whether a packet that a segment may begin with should begin one: the
// segment is long enough, or the next keyframe would come too late, or the video has
// just come back.
func (c *cutter) wants(elapsed ticks) bool {
	shortest := c.segment
	if c.quick {
		shortest = min(shortest, firstSegment)
	}
	if !c.hasVideo {
		return elapsed >= shortest
	}
	if !c.pictured || elapsed >= shortest-min(earlyCut, shortest/4) {
		return true
	}
	return c.target > 0 && c.gop > 0 && elapsed >= c.segment/4 && elapsed+c.gop+earlyCut > c.limit()
}

// overruns reports whether a segment that is cut after the next frame would be too
// long, if that frame is a little late.
func (c *cutter) overruns(elapsed ticks, p *pace) bool {
	step := p.longest()
	return elapsed+step+min(step/2, earlyCut) > c.limit()
}

// limit is the longest that the open segment may get.
func (c *cutter) limit() ticks {
	if c.target == 0 {
		return max(longestFirst, c.segment) + slack
	}
	return longestOf(c.target)
}

// longestOf returns the longest segment that a target duration allows: its EXTINF is
// rounded to the nearest second, and it has to be listed within 1.5 target durations
// (RFC 8216bis, 6.2.1), which is the narrower bound where the target is one second.
func longestOf(target ticks) ticks { return min(target+slack, target*3/2-listingDelay) }

// begin opens a segment at a packet's time.
func (c *cutter) begin(at ticks, quick bool) {
	c.open, c.start, c.until, c.quick, c.pictured = true, at, at, quick, false
}

// wroteVideo takes note of a frame that was written. It returns the time since the
// frame before, 0 if that is no duration.
func (c *cutter) wroteVideo(at ticks) (step ticks) {
	step = c.video.add(at)
	c.pictured = true
	c.until = max(c.until, at+c.video.step())
	return step
}

// wroteAudio takes note of an audio frame that was written.
func (c *cutter) wroteAudio(at, duration ticks) {
	c.audio.add(at)
	c.until = max(c.until, at+duration)
}

func (c *cutter) sawKeyframe(at ticks) {
	if c.keySeen && at > c.key {
		c.gop = max(at-c.key, c.gop-c.gop/8)
	}
	c.key, c.keySeen = at, true
}

// end returns the duration of the open segment where nothing follows on it.
func (c *cutter) end() ticks { return min(c.until-c.start, c.limit()) }

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
		longest = max(longest, ticks(n)*c.gop+earlyCut)
	}
	seconds := max((longest+perSecond/2)/perSecond, (c.segment+perSecond-1)/perSecond, 1)
	if longest > longestOf(seconds*perSecond) {
		seconds++
	}
	c.target = min(seconds, (c.limit()+perSecond/2)/perSecond) * perSecond
}

// reset forgets the publication: another begins.
func (c *cutter) reset(tracks remux.Tracks) {
	c.open, c.keySeen, c.gop = false, false, 0
	c.video, c.audio = pace{}, pace{}
	c.hasVideo = tracks.Video
}

// pace measures how the frames of a track follow each other.
type pace struct {
	newest  ticks
	seen    bool
	gap     ticks // the newest step, hole or not
	frame   ticks // the newest step that is believed to be a duration
	slowest ticks // the longest of the newest few of these
}

// add takes a frame, and returns the step from the one before if that is believed to
// be a duration, else 0.
func (p *pace) add(at ticks) ticks {
	gap := at - p.newest
	if !p.seen || gap <= 0 {
		p.newest, p.seen = max(at, p.newest), true
		return 0
	}
	before := p.gap
	p.newest, p.gap, p.frame = at, gap, gap
	if gap > maxFrame {
		p.frame = min(gap, max(before, p.slowest))
	}
	p.slowest = max(p.frame, p.slowest-p.slowest/8)
	if p.frame < gap {
		return 0
	}
	return gap
}

// step returns the duration of the newest frame, as far as it is known.
func (p *pace) step() ticks {
	if p.frame > 0 {
		return p.frame
	}
	return defaultFrame
}

// longest returns the step that the next frame may take.
func (p *pace) longest() ticks {
	if p.slowest > 0 {
		return p.slowest
	}
	return defaultFrame
}

func (t ticks) duration() time.Duration {
	return time.Duration(t) * time.Second / perSecond
}
