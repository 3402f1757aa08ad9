package rtmp

// Type is the type id of a message.
type Type uint8

// The message types (RTMP 1.0, sections 5.4 and 7.1).
const (
	TypeSetChunkSize  Type = 1
	TypeAbort         Type = 2
	TypeAck           Type = 3
	TypeUserControl   Type = 4
	TypeWindowAckSize Type = 5
	TypePeerBandwidth Type = 6
	TypeAudio         Type = 8
	TypeVideo         Type = 9
	TypeDataAMF3      Type = 15
	TypeCommandAMF3   Type = 17
	TypeData          Type = 18
	TypeCommand       Type = 20
	TypeAggregate     Type = 22
)

// Message is one RTMP message.
type Message struct {
	Type          Type
	ChunkStreamID uint32
	// StreamID is the message stream: 0 for control and connection commands.
	StreamID uint32
	// Timestamp is absolute, in milliseconds modulo 2^32.
	Timestamp uint32
	// Payload belongs to the receiver. It may be cut from a slab that it shares with
	// other messages, so who keeps a small one for long should copy it.
	Payload []byte
}

// Limits of what a peer may declare.
const (
	// maxMessage is the largest message that a 24-bit length can state.
	maxMessage = 1<<24 - 1
	// defaultMaxMessage is what is accepted if nothing else is configured: a
	// keyframe of 64 Mbit.
	defaultMaxMessage = 8 << 20
	// maxCommand bounds commands and metadata: real ones have a few hundred bytes,
	// Enhanced RTMP's connect a few thousand.
	maxCommand = 64 << 10
	// maxUsedChunkSize is all that a larger chunk size can mean.
	maxUsedChunkSize = maxMessage
	// maxChunkStreams is how many chunk streams a connection may have used, and
	// maxPartial how many may have an unfinished message. Encoders use five.
	maxChunkStreams = 256
	maxPartial      = 64
	// maxPartialBefore and maxPartialBytes bound the memory of unfinished messages,
	// before and after authorisation.
	maxPartialBefore = 128 << 10
	maxPartialBytes  = 24 << 20
	// defaultChunkSize is in force until Set Chunk Size (section 5.4.1).
	defaultChunkSize = 128
)
