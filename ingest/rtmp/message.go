package rtmp

// Message types (RTMP 1.0, sections 5.4, 6.2 and 7.1).
const (
	typeSetChunkSize  = 1
	typeAbort         = 2
	typeAck           = 3
	typeUserControl   = 4
	typeWindowAckSize = 5
	typePeerBandwidth = 6

	TypeAudio = 8  // an FLV audio tag body
	TypeVideo = 9  // an FLV video tag body
	TypeData  = 18 // AMF0 script data, an FLV script tag body

	typeDataAMF3    = 15
	typeCommandAMF3 = 17
	typeCommandAMF0 = 20
	typeAggregate   = 22
)

// Chunk stream ids used when sending. The protocol fixes only that of control
// messages; the rest is what Adobe's servers use.
const (
	csidControl = 2
	csidCommand = 3
	csidStatus  = 5

	// ChunkStreamAudio, ChunkStreamVideo and ChunkStreamData are the ids that
	// WriteMedia uses, and that pre-chunked media should use as well.
	ChunkStreamAudio = 4
	ChunkStreamVideo = 6
	ChunkStreamData  = 7
)

// FirstStreamID is the message stream that a connection's first createStream
// is answered with, and so nearly always the stream that is played: what media
// chunked once for many viewers should be addressed to.
const FirstStreamID = 1

// message is one message as the chunk stream carried it. The payload is
// immutable; see the package comment on what it pins.
type message struct {
	kind      uint8
	streamID  uint32
	timestamp uint32 // milliseconds, modulo 2^32
	payload   []byte
}

// isMedia reports whether payloads of this type leave the package.
func isMedia(kind uint8) bool {
	switch kind {
	case TypeAudio, TypeVideo, TypeData, typeDataAMF3, typeAggregate:
		return true
	}
	return false
}

// sizeLimit returns how long a message of a type may be, given the limit for
// media, and whether the type is known at all.
func sizeLimit(kind uint8, media int) (limit int, known bool) {
	switch kind {
	case TypeAudio, TypeVideo, typeAggregate:
		return media, true
	case typeSetChunkSize, typeAbort, typeAck, typeUserControl, typeWindowAckSize, typePeerBandwidth,
		TypeData, typeDataAMF3, typeCommandAMF3, typeCommandAMF0:
		return min(media, maxCommandSize), true
	}
	return 0, false
}

func chunkStreamFor(kind uint8) uint32 {
	switch kind {
	case TypeAudio:
		return ChunkStreamAudio
	case TypeVideo:
		return ChunkStreamVideo
	}
	return ChunkStreamData
}
