package hls

import (
	"time"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/aac"
)

// segmenter makes segments of a stream's packets. It runs in the publisher's
// goroutine, only moves memory, and gives each finished segment to emit.
//
// Video decides where segments begin. Audio frames wait until the video has caught
// up with them, so that each lands in the segment where it belongs; where there is no
// video, or it pauses, audio decides.
type segmenter struct {
	now  func() time.Time
	emit func(*segment)
	// left counts audio frames that no segment could take.
	left func(frames int)

	cutter cutter
	mux    muxer
	open   *segment

	first    bool // the next segment is the publication's first
	breaks   bool // the next segment begins with a discontinuity
	any      bool // the channel has a segment before this one
	reanchor bool // the next segment's date is that of the clock

	video    *picture
	audio    *aac.Config
	newVideo *picture    // takes effect at the next keyframe
	newAudio *aac.Config // takes effect at the next segment
	idle     *picture    // of video that was announced and did not come

	clock aac.Clock
	// waiting are audio frames that are not yet written: those ahead of the video,
	// and those that need newAudio.
	waiting  []*remux.Packet
	videoEnd ticks // time of the newest video frame, or where both tracks paused
	audioEnd ticks // time of the newest audio frame that came
	anchor   anchor
	dated    time.Time // where the newest segment ends by its date
	meter    frameRate
}

// anchor ties the stream's time to the wall clock. It is set once per publication,
// so a step of the system clock moves nothing that was listed.
type anchor struct {
	at   ticks
	date time.Time
}

func (a anchor) dateOf(at ticks) time.Time {
	return a.date.Add((at - a.at).duration()).Truncate(time.Millisecond)
}

const (
	maxTicks = ticks(1) << 62
	// maxAhead is how far audio may run ahead of video and still wait for it to
	// be written in order. Beyond it the video is taken to pause.
	maxAhead = 1 * perSecond
	// videoWait is how long the sound of a publication waits for the first
	// keyframe: the camera may be off.
	videoWait = 3 * perSecond
	// configWait is how long a new audio configuration waits for a keyframe.
	configWait = 10 * perSecond
	// maxWaiting bounds the audio frames that wait: 20 s of AAC.
	maxWaiting = 1024
	// maxEarly is how much earlier than the first video frame audio may be and
	// still be in its segment: what mpegts.DecodeDelay leaves room for.
	maxEarly = perSecond / 2
)

// Begin implements remux.Sink.
func (c *segmenter) Begin(tracks remux.Tracks) {
	c.cutter.reset(tracks)
	c.first, c.reanchor = true, true
	c.breaks = c.any
	c.clock.Reset()
	c.waiting = c.waiting[:0]
	c.meter = frameRate{}
	c.idle = nil
	c.videoEnd, c.audioEnd = -maxTicks, -maxTicks
	if !tracks.Video {
		c.video, c.newVideo = nil, nil
	}
	if !tracks.Audio {
		c.audio, c.newAudio = nil, nil
	}
}

// Write implements remux.Sink.
func (c *segmenter) Write(pkt *remux.Packet) {
	switch pkt.Kind {
	case remux.VideoConfig:
		c.videoConfig(pkt)
	case remux.AudioConfig:
		c.audioConfig(pkt)
	case remux.VideoFrame:
		c.videoFrame(pkt)
	case remux.AudioFrame:
		c.audioFrame(pkt)
	}
}

// End implements remux.Sink: what is open becomes the publication's last segment.
func (c *segmenter) End() {
	if !c.cutter.open && c.cutter.hasVideo {
		c.withoutVideo() // there may be sound to save
	}
	c.flushAudio(maxTicks, maxTicks)
	if c.cutter.open {
		c.closeSegment(c.cutter.end())
	}
	c.dropWaiting(len(c.waiting))
}

func (c *segmenter) videoFrame(pkt *remux.Packet) {
	c.noteJump(pkt)
	if !carriesVideo(pkt.Codec) {
		c.dropVideo()
		return
	}
	if pkt.Keyframe && c.idle != nil {
		c.newVideo, c.idle = c.idle, nil
	}
	configured := c.video != nil || (pkt.Keyframe && c.newVideo != nil)
	if !configured || (!c.cutter.open && !pkt.Keyframe) {
		return
	}
	at := ticks(pkt.DTS) * perMillisecond
	if c.cutter.hasVideo {
		c.flushAudio(at, at)
	}
	c.cutter.hasVideo = true
	v := c.cutter.decideVideo(at, pkt.Keyframe)
	if v == proceed && pkt.Keyframe && (c.breaks || c.newVideo != nil || c.newAudio != nil) {
		v = cut
	}
	if v != proceed {
		c.cutAt(at, v, pkt.Keyframe)
	}
	c.muxVideo(pkt, at)
	c.meter.add(c.cutter.wroteVideo(at))
	c.videoEnd = max(c.videoEnd, at)
}

// noteJump makes the next segment that can begin one a discontinuity, where the
// publisher's clock has jumped.
func (c *segmenter) noteJump(pkt *remux.Packet) {
	if pkt.Discontinuity {
		c.breaks = c.breaks || c.any || c.open != nil
		c.reanchor = true
	}
}

// cutAt closes the open segment, if there is one, and begins the next at a time.
// independent is true if a decoder can begin with it.
func (c *segmenter) cutAt(at ticks, v verdict, independent bool) {
	newVideo := c.newVideo != nil && independent && c.cutter.hasVideo
	newAudio := c.newAudio != nil && (independent || c.waited(at) > configWait)
	breaks := v == cutHole || newVideo || newAudio || (c.breaks && independent)
	if c.cutter.open {
		duration := at - c.cutter.start
		if v == cutHole || duration <= 0 || duration > c.cutter.limit() {
			duration = c.cutter.end()
		}
		c.closeSegment(duration)
	}
	if newVideo {
		c.applyVideo()
	}
	if newAudio {
		c.applyAudio()
	}
	c.openSegment(at, breaks && c.any, independent)
	if c.first || newVideo || newAudio {
		c.dropEarlyAudio(at - maxEarly)
	}
	c.first = false
	c.breaks = c.breaks && !breaks
}

// waited returns how long the oldest of the waiting frames has waited.
func (c *segmenter) waited(now ticks) ticks {
	if len(c.waiting) == 0 {
		return 0
	}
	return now - ticks(c.waiting[0].DTS)*perMillisecond
}

func (c *segmenter) openSegment(at ticks, breaks, independent bool) {
	c.mux.configure(c.video, c.audio)
	if c.anchor.date.IsZero() || (c.reanchor && (breaks || c.first)) {
		c.anchor = anchor{at: at, date: later(c.now(), c.dated)}
		c.reanchor = false
	}
	if breaks || c.first {
		c.clock.Reset()
	}
	c.open = &segment{start: at, date: c.anchor.dateOf(at), discontinuity: breaks, independent: independent}
	if breaks {
		c.mux.ts.Discontinuity()
	}
	c.cutter.begin(at, c.first)
	c.writeTables()
}

// closeSegment emits the open segment.
func (c *segmenter) closeSegment(duration ticks) {
	c.flushMux()
	s := c.open
	c.open, c.cutter.open = nil, false
	c.cutter.fixTarget(duration)
	s.duration, s.size, s.target = duration, int64(s.data.size), c.cutter.target
	s.description = c.describe()
	c.any = true
	c.dated = s.date.Add(duration.duration())
	c.emit(s)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
