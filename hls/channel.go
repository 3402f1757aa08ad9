package hls

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/aac"
	"github.com/headwater-live/headwater/remux/flvtag"
	"github.com/headwater-live/headwater/remux/h264"
)

// Channel is the HLS output of a stream. It is a remux.Sink: those methods run in
// the publisher's goroutine and only move memory.
type Channel struct {
	server      *Server
	name        remux.StreamName
	incarnation string
	log         *slog.Logger

	// Of the sink methods, which never run at the same time.

	cutter   cutter
	mux      muxer
	open     *segment
	first    bool // the next segment is the publication's first
	breaks   bool // the next segment begins with a discontinuity
	any      bool // a segment was closed before
	video    *h264.Config
	audio    *aac.Config
	newVideo *h264.Config // takes effect at the next cut
	newAudio *aac.Config
	clock    audioClock
	// waiting are audio frames that are not yet written: those ahead of the video,
	// and those that need newAudio.
	waiting  []*remux.Packet
	videoEnd ticks // time of the newest video frame
	anchor   anchor
	meter    frameRate

	// handover is between the sink methods and the channel's goroutine.
	mu       sync.Mutex
	closed   []*segment          // finished segments, oldest first
	lost     bool                // a segment was given up because storing is too slow
	ended    bool                // no more segments will come
	stopping bool                // the server stops: the playlist stays as it is
	inMemory map[uint64]*segment // those that could not be stored
	wake     chan struct{}

	// Of the channel's goroutine.

	window window

	// published is what requests read.
	published atomic.Pointer[playlists]
}

// anchor ties the stream's time to the wall clock. It is set once per publication,
// so a step of the system clock moves nothing that was listed.
type anchor struct {
	at   ticks
	date time.Time
}

func (a anchor) dateOf(at ticks) time.Time {
	if a.date.IsZero() {
		return time.Time{}
	}
	return a.date.Add((at - a.at).duration()).Truncate(time.Millisecond)
}

// maxUnwritten bounds what waits for a slow disk, in bytes: a segment of 16 Mbit/s
// and 10 s fits, and a hundred stuck channels stay below what a machine has.
const maxUnwritten = 32 << 20

// Begin implements remux.Sink.
func (c *Channel) Begin(tracks remux.Tracks) {
	c.cutter.reset(tracks)
	c.first = true
	c.breaks = c.any
	c.anchor = anchor{}
	c.clock.reset()
	c.waiting = c.waiting[:0]
	c.meter = frameRate{}
	if !tracks.Video {
		c.video, c.newVideo = nil, nil
	}
	if !tracks.Audio {
		c.audio, c.newAudio = nil, nil
	}
}

// Write implements remux.Sink.
func (c *Channel) Write(pkt *remux.Packet) {
	switch pkt.Kind {
	case remux.VideoConfig:
		c.videoConfig(pkt)
	case remux.AudioConfig:
		c.audioConfig(pkt)
	case remux.VideoFrame:
		if pkt.Codec == flvtag.H264 {
			c.videoFrame(pkt)
		}
	case remux.AudioFrame:
		if pkt.Codec == flvtag.AAC {
			c.audioFrame(pkt)
		}
	}
}

// End implements remux.Sink: what is open becomes the publication's last segment.
func (c *Channel) End() {
	c.flushAudio(maxTicks)
	if c.cutter.open {
		c.closeSegment(c.cutter.end())
		c.cutter.open = false
	}
	c.waiting = c.waiting[:0]
}

// Close implements remux.Sink: the stream is over.
func (c *Channel) Close() {
	c.mu.Lock()
	c.ended = true
	c.stopping = c.server.stopping.Load()
	c.mu.Unlock()
	c.signal()
}

func (c *Channel) videoConfig(pkt *remux.Packet) {
	config, err := h264.ParseConfig(pkt.Body())
	if pkt.Codec != flvtag.H264 || err != nil {
		// MPEG-TS takes H.264 alone: what is left is the sound.
		c.cutter.hasVideo, c.video = false, nil
		return
	}
	if c.video != nil && c.video.Equal(config) {
		c.newVideo = nil
		return
	}
	c.newVideo = &config
}

func (c *Channel) audioConfig(pkt *remux.Packet) {
	if pkt.Codec != flvtag.AAC {
		return
	}
	config, err := aac.ParseConfig(pkt.Body())
	if err != nil {
		return
	}
	if c.audio != nil && c.audio.Equal(config) {
		c.newAudio = nil
		return
	}
	// Frames before this one belong to the configuration in force.
	if c.cutter.open {
		c.flushAudio(maxTicks)
	}
	c.newAudio = &config
}

func (c *Channel) videoFrame(pkt *remux.Packet) {
	at := ticks(pkt.DTS) * perMillisecond
	c.breaks = c.breaks || (pkt.Discontinuity && c.any) || (pkt.Discontinuity && c.open != nil)
	c.cutter.hasVideo = true
	if !c.cutter.open && !pkt.Keyframe {
		return
	}
	if c.newAudio == nil && c.cutter.open {
		c.flushAudio(at)
	}
	switch v := c.cutter.decide(at, pkt.Keyframe); {
	case pkt.Keyframe && c.cutter.open && (c.breaks || c.newVideo != nil || c.newAudio != nil):
		c.cutAt(at, pkt.Keyframe, v == cutHole)
	case v != proceed:
		c.cutAt(at, pkt.Keyframe, v == cutHole)
	}
	c.meter.add(pkt.DTS)
	c.cutter.wrote(at, pkt.Keyframe, true)
	c.videoEnd = at
	c.muxVideo(pkt, at)
}

func (c *Channel) audioFrame(pkt *remux.Packet) {
	if pkt.Discontinuity {
		c.breaks = c.breaks || c.any || c.open != nil
	}
	if !c.cutter.hasVideo {
		c.pacingAudio(pkt)
		return
	}
	if c.audio == nil && c.newAudio == nil {
		return
	}
	c.waiting = append(c.waiting, pkt)
	newest := ticks(pkt.DTS) * perMillisecond
	switch {
	case !c.cutter.open, c.newAudio != nil:
		c.dropOldAudio()
	case newest-c.videoEnd > maxAhead:
		c.flushAudio(newest - maxAhead)
	}
}

const (
	maxTicks = ticks(1) << 62
	// maxAhead is how far audio may run ahead of video and still wait for it to
	// be written in order. Beyond it the video is taken to have stopped.
	maxAhead = 1 * perSecond
	// maxWaiting bounds the audio frames that wait for a keyframe: 20 s of AAC.
	maxWaiting = 1024
)

// dropOldAudio bounds the frames that wait for a keyframe which does not come.
func (c *Channel) dropOldAudio() {
	if n := len(c.waiting) - maxWaiting; n > 0 {
		c.waiting = append(c.waiting[:0], c.waiting[n:]...)
	}
}

// flushAudio writes the waiting audio frames before a time into the open segment.
// While the video has stopped they decide where it is cut.
func (c *Channel) flushAudio(before ticks) {
	if !c.cutter.open || c.audio == nil || c.newAudio != nil {
		return
	}
	n := 0
	for _, pkt := range c.waiting {
		at := ticks(pkt.DTS) * perMillisecond
		if at >= before {
			break
		}
		if at-c.videoEnd > maxAhead {
			if v := c.cutter.decide(at, false); v != proceed {
				c.cutAt(at, false, v == cutHole)
			}
			c.cutter.wrote(at, false, false)
		}
		c.muxAudio(pkt)
		n++
	}
	c.waiting = append(c.waiting[:0], c.waiting[n:]...)
}

// pacingAudio writes a frame of a stream without video, where audio decides.
func (c *Channel) pacingAudio(pkt *remux.Packet) {
	if c.newAudio != nil && c.cutter.open {
		c.breaks = true
	}
	if c.newAudio != nil && !c.cutter.open {
		c.applyConfig()
	}
	if c.audio == nil {
		return
	}
	if c.breaks {
		c.clock.reset()
	}
	at, _ := c.clock.peek(pkt.DTS)
	v := c.cutter.decide(at, true)
	if c.breaks && c.cutter.open {
		v = max(v, cut)
	}
	if v != proceed {
		c.cutAt(at, true, v == cutHole)
	}
	c.cutter.wrote(at, false, true)
	c.muxAudio(pkt)
}

// cutAt closes the open segment, if there is one, and begins the next at a time.
func (c *Channel) cutAt(at ticks, independent, hole bool) {
	duration := at - c.cutter.start
	if hole || (c.breaks && duration > c.cutter.limit()) {
		c.breaks = true
		duration = c.cutter.end()
	}
	if c.cutter.open {
		c.closeSegment(duration)
	}
	if c.newVideo != nil || c.newAudio != nil {
		c.breaks = c.any
		c.applyConfig()
	}
	c.openSegment(at, independent)
}

// applyConfig puts the new configurations in force.
func (c *Channel) applyConfig() {
	if c.newVideo != nil {
		c.video, c.newVideo = c.newVideo, nil
	}
	if c.newAudio != nil {
		c.audio, c.newAudio = c.newAudio, nil
		c.clock.configure(*c.audio)
	}
}

func (c *Channel) openSegment(at ticks, independent bool) {
	c.mux.configure(c.video, c.audio)
	if c.anchor.date.IsZero() || c.breaks {
		c.anchor = anchor{at: at, date: c.server.config.Now()}
		c.clock.reset()
	}
	c.open = &segment{
		start:         at,
		date:          c.anchor.dateOf(at),
		discontinuity: c.breaks,
		independent:   independent,
	}
	if c.breaks {
		c.mux.ts.Discontinuity()
	}
	c.cutter.begin(at, c.first)
	c.first, c.breaks = false, false
	c.writeTables()
}

// closeSegment hands the open segment to the channel's goroutine.
func (c *Channel) closeSegment(duration ticks) {
	c.flushMux()
	s := c.open
	c.open = nil
	c.cutter.fixTarget(duration)
	s.duration, s.size, s.target = duration, int64(s.data.size), c.cutter.target
	s.description = c.describe()
	c.any = true
	c.mu.Lock()
	unwritten := 0
	for _, waiting := range c.closed {
		unwritten += waiting.data.size
	}
	if unwritten+s.data.size > maxUnwritten && len(c.closed) > 0 {
		s.data.release()
		c.lost = true
		c.server.metrics.SegmentsLost.Add(1)
	} else {
		s.discontinuity = s.discontinuity || c.lost
		c.lost = false
		c.closed = append(c.closed, s)
	}
	c.mu.Unlock()
	c.signal()
}

func (c *Channel) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}
