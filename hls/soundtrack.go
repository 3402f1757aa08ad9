package hls

import (
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/flvtag"
)

// audioFrame takes a frame of audio, which is written at once if it paces, and waits
// for the video otherwise.
func (c *segmenter) audioFrame(pkt *remux.Packet) {
	c.noteJump(pkt)
	if pkt.Codec != flvtag.AAC || (c.audio == nil && c.newAudio == nil) {
		return
	}
	if !c.cutter.hasVideo {
		c.pacingAudio(pkt)
		return
	}
	at := ticks(pkt.DTS) * perMillisecond
	if at-c.audioEnd > maxFrame {
		c.videoEnd = max(c.videoEnd, at) // both have paused: the video gets its time again
	}
	c.audioEnd = at
	c.waiting = append(c.waiting, pkt)
	switch {
	case !c.cutter.open:
		c.awaitVideo(at)
	case c.newAudio != nil:
		c.dropSurplusAudio()
	case at-c.videoEnd > maxAhead:
		c.flushAudio(maxTicks, maxTicks)
	}
}

// awaitVideo bounds the time that a publication's sound waits for its picture.
func (c *segmenter) awaitVideo(now ticks) {
	if c.waited(now) <= videoWait {
		c.dropSurplusAudio()
		return
	}
	if c.newVideo == nil {
		c.newVideo = c.video
	}
	c.idle, c.newVideo = c.newVideo, nil
	c.withoutVideo()
}

// dropSurplusAudio bounds the frames that wait for a keyframe which does not come.
func (c *segmenter) dropSurplusAudio() {
	if n := len(c.waiting) - maxWaiting; n > 0 {
		c.dropWaiting(n)
	}
}

// dropEarlyAudio drops what came before a time. The segment before could not take it,
// and in the new one it would be late.
func (c *segmenter) dropEarlyAudio(before ticks) {
	n := 0
	for n < len(c.waiting) && ticks(c.waiting[n].DTS)*perMillisecond < before {
		n++
	}
	c.dropWaiting(n)
}

func (c *segmenter) dropWaiting(n int) {
	if n > 0 {
		c.left(n)
		c.waiting = append(c.waiting[:0], c.waiting[n:]...)
	}
}

// flushAudio writes the waiting frames before a time into the open segment. nextVideo
// is the time of the next video frame, maxTicks while none comes: if the segment
// cannot wait for it, audio cuts.
func (c *segmenter) flushAudio(before, nextVideo ticks) {
	if !c.cutter.open || c.audio == nil || c.newAudio != nil {
		return
	}
	n := 0
	for _, pkt := range c.waiting {
		at := c.peek(pkt)
		if at >= before {
			break
		}
		if nextVideo-c.cutter.start > c.cutter.limit() {
			v := c.cutter.decideAudio(at)
			if v == cutHole && nextVideo < maxTicks {
				break // the video comes back, too, and begins the segment
			}
			if v != proceed {
				c.cutAt(at, v, false)
			}
		}
		c.muxAudio(pkt)
		n++
	}
	c.waiting = append(c.waiting[:0], c.waiting[n:]...)
}

// pacingAudio writes a frame of a stream without video, where audio decides.
func (c *segmenter) pacingAudio(pkt *remux.Packet) {
	changes := c.newAudio != nil || c.breaks
	if c.newAudio != nil && !c.cutter.open {
		c.applyAudio()
	}
	if c.audio == nil && c.newAudio == nil {
		return
	}
	if changes {
		c.clock.Reset()
	}
	at := c.peek(pkt)
	v := c.cutter.decideAudio(at)
	if v == proceed && changes {
		v = cut
	}
	if v != proceed {
		c.cutAt(at, v, true)
	}
	c.muxAudio(pkt)
}

// peek returns the time that an audio frame would get now.
func (c *segmenter) peek(pkt *remux.Packet) ticks {
	at, _ := c.clock.Peek(pkt.DTS)
	return ticks(at)
}
