package hls

import (
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/aac"
	"github.com/headwater-live/headwater/remux/flvtag"
)

func (c *segmenter) videoConfig(pkt *remux.Packet) {
	config, err := readPicture(pkt)
	if err != nil {
		c.dropVideo()
		return
	}
	c.idle = nil
	if c.video != nil && c.video.equal(config) {
		c.newVideo = nil
		return
	}
	c.newVideo = config
}

// dropVideo goes on without the video: it is of a codec that is not carried.
func (c *segmenter) dropVideo() {
	c.newVideo, c.idle = nil, nil
	if c.cutter.hasVideo {
		c.withoutVideo()
	}
}

// withoutVideo lets audio decide from now on.
func (c *segmenter) withoutVideo() {
	c.breaks = c.breaks || c.video != nil && c.cutter.open
	c.cutter.hasVideo, c.video = false, nil
	waiting := c.waiting
	c.waiting = nil
	for _, pkt := range waiting {
		c.pacingAudio(pkt)
	}
}

func (c *segmenter) audioConfig(pkt *remux.Packet) {
	if pkt.Codec != flvtag.AAC {
		return
	}
	config, err := aac.ParseConfig(pkt.Body())
	if err != nil {
		return
	}
	if _, err := config.AppendADTSHeader(nil, 0); err != nil {
		return // a kind of AAC that MPEG-TS cannot hold
	}
	if c.newAudio == nil && c.audio != nil && c.audio.Equal(config) {
		return
	}
	if c.newAudio != nil && c.newAudio.Equal(config) {
		return
	}
	// Frames before this one belong to the configuration in force.
	c.flushAudio(maxTicks, c.videoEnd)
	c.dropWaiting(len(c.waiting))
	c.newAudio = &config
}

// applyVideo and applyAudio put a new configuration in force.
func (c *segmenter) applyVideo() {
	c.video, c.newVideo = c.newVideo, nil
	c.meter = frameRate{}
}

func (c *segmenter) applyAudio() {
	c.audio, c.newAudio = c.newAudio, nil
	c.clock.Configure(*c.audio)
}
