package remux

import "github.com/headwater-live/headwater/remux/flvtag"

// Kind is the kind of a packet.
type Kind uint8

// The kinds of packets.
const (
	// VideoFrame is one coded access unit.
	VideoFrame Kind = iota + 1
	// AudioFrame is one coded audio frame.
	AudioFrame
	// VideoConfig is a video decoder configuration.
	VideoConfig
	// AudioConfig is an audio decoder configuration.
	AudioConfig
	// Metadata is an onMetaData script tag.
	Metadata
	// FurtherVideo and FurtherAudio are frames of other tracks than the default one
	// (Enhanced RTMP, multitrack). They are passed on and not looked into.
	FurtherVideo
	FurtherAudio
	// VideoState and AudioState are what a player must know for the frames after
	// them: HDR colour information, the order of channels, configurations of
	// further tracks. The newest one of each Slot is in force; see States.
	VideoState
	AudioState
)

// Packet is what a stream carries: a frame, a decoder configuration or metadata.
// It is immutable once it has been written to a sink.
type Packet struct {
	Kind  Kind
	Codec flvtag.Codec
	// Keyframe is true for a VideoFrame at which decoding can start.
	Keyframe bool
	// Recovery is true for a VideoFrame that is no keyframe, but from which on a decoder comes to whole
	// pictures: a recovery point of intra refresh or of an open GOP, or what the encoder calls a keyframe. Not
	// every player can begin with it.
	Recovery bool
	// Discontinuity is true for the first frame after a jump of the publisher's
	// clock that could not be repaired.
	Discontinuity bool
	// DTS is the decoding time in milliseconds on the stream's timeline. It is
	// strictly increasing among the frames of one track.
	DTS int64
	// Composition is PTS less DTS in milliseconds; never negative.
	Composition int32
	// Payload is the body of an FLV tag, header and coded data.
	Payload []byte
	// Data is the offset of the coded data in Payload, and End where they end, 0 for the
	// end of Payload: a multitrack body has those of other tracks behind them.
	Data, End int
	// Slot tells states of one kind apart.
	Slot uint16
}

// Body returns the coded data of the default track: an access unit with lengths, a raw
// AAC frame, a decoder configuration record.
func (p *Packet) Body() []byte {
	if p.End > 0 {
		return p.Payload[p.Data:p.End]
	}
	return p.Payload[p.Data:]
}

// Track returns whether a packet is video or audio; false for metadata.
func (p *Packet) Track() (Track, bool) {
	switch p.Kind {
	case VideoFrame, VideoConfig, FurtherVideo, VideoState:
		return Video, true
	case AudioFrame, AudioConfig, FurtherAudio, AudioState:
		return Audio, true
	}
	return 0, false
}

// TagType returns the type of the FLV tag or RTMP message that carries the packet.
func (p *Packet) TagType() flvtag.Type {
	track, ok := p.Track()
	switch {
	case !ok:
		return flvtag.Script
	case track == Video:
		return flvtag.Video
	}
	return flvtag.Audio
}

// Tracks says which tracks a publication has.
type Tracks struct{ Video, Audio bool }

// Sink is what a stream writes its packets to. See the package comment for what
// it may rely on. No method may block, and none may call back into the stream.
type Sink interface {
	// Begin starts a publication with the tracks known so far; a track that
	// appears later announces itself by its configuration.
	Begin(Tracks)
	// Write takes one packet.
	Write(*Packet)
	// End ends the publication. Another may begin.
	End()
	// Close ends the stream: the grace period has passed or the server stops.
	Close()
}

// SinkFactory makes the sinks that each new stream has from its beginning.
type SinkFactory interface {
	// NewSink is called when a stream is made. It must not block.
	NewSink(StreamName) Sink
}
