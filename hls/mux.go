package hls

import (
	"sync"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/aac"
	"github.com/headwater-live/headwater/remux/mpegts"
)

// muxer is what a channel needs to write frames as transport packets.
type muxer struct {
	ts       *mpegts.Muxer
	gatherer *mpegts.AudioGatherer
	gathered ticks  // time of the first frame in it, maxTicks if it is empty
	sets     []byte // parameter sets in Annex B, which precede each random access point
	// lengthSize is the size of NALU lengths in access units.
	lengthSize int
	header     []byte // of an ADTS frame
}

// configure sets the tracks; nil is one that is not there.
func (m *muxer) configure(video *picture, audio *aac.Config) {
	videoType, audioType, gather := mpegts.None, mpegts.None, int64(mpegts.GatherAlone)
	if video != nil {
		videoType, gather = video.kind, mpegts.GatherWithVideo
		m.sets, m.lengthSize = video.sets, video.lengthSize
	}
	if audio != nil {
		audioType = mpegts.AAC
	}
	if m.ts == nil {
		m.ts = mpegts.NewMuxer(videoType, audioType)
	} else {
		m.ts.SetTracks(videoType, audioType)
	}
	m.gatherer, m.gathered = mpegts.NewAudioGatherer(gather), maxTicks
}

// append calls write with room in the open segment's slabs for size bytes, or with scratch
// memory that is copied there.
func (c *segmenter) append(size int, write func(dst []byte) []byte) {
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

func (c *segmenter) writeTables() {
	c.append(2*mpegts.PacketSize, c.mux.ts.AppendTables)
}

// muxVideo writes an access unit. Gathered audio that would be late after it goes
// first.
func (c *segmenter) muxVideo(pkt *remux.Packet, at ticks) {
	if at-c.mux.gathered >= mpegts.GatherWithVideo {
		c.flushMux()
	}
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
func (c *segmenter) muxAudio(pkt *remux.Packet) {
	frame := pkt.Body()
	header, err := c.audio.AppendADTSHeader(c.mux.header[:0], len(frame))
	if err != nil {
		c.left(1) // no ADTS header can say it: the frame is larger than AAC allows
		return
	}
	c.mux.header = header
	at, duration := ticks(c.clock.Next(pkt.DTS)), ticks(c.clock.Duration())
	if c.mux.gatherer.Full(int64(at), len(header)+len(frame)) {
		c.flushMux()
	}
	c.mux.gathered = min(c.mux.gathered, at)
	c.mux.gatherer.Add(int64(at), int64(duration), header, frame)
	c.cutter.wroteAudio(at, duration)
}

// flushMux writes the audio that is gathered.
func (c *segmenter) flushMux() {
	u := c.mux.gatherer.Take()
	c.mux.gathered = maxTicks
	if len(u.Frames) == 0 {
		return
	}
	c.append(c.mux.ts.AudioSize(u), func(dst []byte) []byte { return c.mux.ts.AppendAudio(dst, u) })
}
