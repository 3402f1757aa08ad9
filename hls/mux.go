package hls

import (
	"sync"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/aac"
	"github.com/headwater-live/headwater/remux/h264"
	"github.com/headwater-live/headwater/remux/mpegts"
)

// muxer is what a channel needs to write frames as transport packets.
type muxer struct {
	ts       *mpegts.Muxer
	gatherer *mpegts.AudioGatherer
	sets     []byte // SPS and PPS in Annex B, which precede each IDR
	// lengthSize is the size of NALU lengths in access units.
	lengthSize int
	header     []byte // of an ADTS frame
}

// configure sets the tracks; nil is one that is not there.
func (m *muxer) configure(video *h264.Config, audio *aac.Config) {
	videoType, audioType, gather := mpegts.None, mpegts.None, int64(mpegts.GatherAlone)
	if video != nil {
		videoType, gather = mpegts.H264, mpegts.GatherWithVideo
		m.sets = video.AppendAnnexB(m.sets[:0])
		m.lengthSize = video.LengthSize
	}
	if audio != nil {
		audioType = mpegts.AAC
	}
	if m.ts == nil {
		m.ts = mpegts.NewMuxer(videoType, audioType)
	} else {
		m.ts.SetTracks(videoType, audioType)
	}
	m.gatherer = mpegts.NewAudioGatherer(gather)
}

// append calls write with room in the open segment's slabs for size bytes, or with scratch
// memory that is copied there.
func (c *Channel) append(size int, write func(dst []byte) []byte) {
	data := &c.open.data
	if tail := data.tail(size); tail != nil {
		data.extend(len(write(tail)))
		return
	}
	scratch := scratchPool.Get().(*[]byte)
	*scratch = write((*scratch)[:0])
	data.write(*scratch)
	scratchPool.Put(scratch)
}

// scratchPool is shared by all channels: only keyframes need it, one at a time.
var scratchPool = sync.Pool{New: func() any { return new([]byte) }}

func (c *Channel) writeTables() {
	c.append(2*mpegts.PacketSize, c.mux.ts.AppendTables)
}

// muxVideo writes an access unit.
func (c *Channel) muxVideo(pkt *remux.Packet, at ticks) {
	u := mpegts.VideoUnit{
		DTS:           int64(at),
		PTS:           int64(at) + int64(pkt.Composition)*perMillisecond,
		RandomAccess:  pkt.Keyframe,
		ParameterSets: c.mux.sets,
		Data:          pkt.Body(),
		LengthSize:    c.mux.lengthSize,
	}
	c.append(c.mux.ts.VideoSize(u), func(dst []byte) []byte { return c.mux.ts.AppendVideo(dst, u) })
}

// muxAudio writes an audio frame, or gathers it for the next PES packet.
func (c *Channel) muxAudio(pkt *remux.Packet) {
	frame := pkt.Body()
	header, err := c.audio.AppendADTSHeader(c.mux.header[:0], len(frame))
	if err != nil {
		return // no ADTS header can say it: the frame is larger than AAC allows
	}
	c.mux.header = header
	at := int64(c.clock.next(pkt.DTS))
	if c.mux.gatherer.Full(at, len(header)+len(frame)) {
		c.flushMux()
	}
	c.mux.gatherer.Add(at, int64(c.clock.duration()), header, frame)
}

// flushMux writes the audio that is gathered.
func (c *Channel) flushMux() {
	u := c.mux.gatherer.Take()
	if len(u.Frames) == 0 {
		return
	}
	c.append(c.mux.ts.AudioSize(u), func(dst []byte) []byte { return c.mux.ts.AppendAudio(dst, u) })
}

// describe returns what the multivariant playlist says of the open tracks.
func (c *Channel) describe() description {
	var d description
	if c.video != nil {
		d.codecs = c.video.CodecString()
		d.width, d.height = c.video.Width, c.video.Height
		d.frameRate = c.meter.rate(c.video.FPS)
	}
	if c.audio != nil {
		if d.codecs != "" {
			d.codecs += ","
		}
		d.codecs += c.audio.CodecString()
	}
	return d
}

// frameRate measures frames per second from timestamps.
type frameRate struct {
	first, last int64 // ms
	frames      int
}

func (f *frameRate) add(dts int64) {
	if f.frames == 0 {
		f.first = dts
	}
	f.last = dts
	f.frames++
}

// rate returns the measured rate, or the stated one if the two agree to 2%: it is the
// exact one then, and does not change from segment to segment.
func (f *frameRate) rate(stated float64) float64 {
	if f.frames < 2 || f.last <= f.first {
		return stated
	}
	measured := float64(f.frames-1) * 1000 / float64(f.last-f.first)
	if stated > measured*0.98 && stated < measured*1.02 {
		return stated
	}
	return measured
}
