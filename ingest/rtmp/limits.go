package rtmp

import "time"

// Bounds on what a peer declares or sends. Each is far above what encoders do.
const (
	// maxChunkSize is the largest chunk size used; a message cannot be longer
	// than its 24-bit length, so larger announcements mean the same.
	maxChunkSize = 1<<24 - 1

	// maxCommandSize bounds command, data and control messages. onMetaData is
	// a few hundred bytes, the longest connect seen is under 2 KiB.
	maxCommandSize = 64 << 10

	// maxWideChunkStreams bounds the chunk streams above 63 whose headers are
	// remembered; the least recently used idle one is forgotten for a new one.
	maxWideChunkStreams = 64

	// unauthorisedWide is the same before authorisation, so that a peer that goes
	// through thousands of them costs little time. Encoders use none.
	unauthorisedWide = 8

	// unauthorisedMessage and unauthorisedPartial bound one message, and all
	// partial messages together, of a peer that has not been authorised. With the read
	// buffer they are 64 KiB.
	unauthorisedMessage = 64 << 10
	unauthorisedPartial = 64<<10 - unauthorisedBuffer

	// unauthorisedBuffer is the read buffer before authorisation: it must hold C0 and C1
	// (1537 bytes).
	unauthorisedBuffer = 8 << 10

	// playerBuffer is the read buffer of a connection that plays: there may be thousands, each
	// of which sends an acknowledgement now and then.
	playerBuffer = 512

	// maxAggregateMessages bounds the messages inside one aggregate: FLV tags
	// of at least 11 bytes, usually well under a second of media.
	maxAggregateMessages = 4096

	// maxPending is how many bytes of answers are collected before they are
	// written even though the peer has sent more requests.
	maxPending = 16 << 10

	// minAckWindow keeps a peer from asking for an acknowledgement per read.
	minAckWindow = 1 << 10
)

// Defaults of ServerConfig and ClientConfig.
const (
	DefaultHandshakeTimeout = 5 * time.Second
	DefaultCommandTimeout   = 10 * time.Second
	DefaultIdleTimeout      = 15 * time.Second
	DefaultMediaTimeout     = 15 * time.Second
	DefaultWriteTimeout     = 10 * time.Second
	DefaultMaxMessage       = 8 << 20
	DefaultChunkSize        = 64 << 10
	DefaultWindowAckSize    = 2_500_000
	DefaultMaxStreams       = 8
	// DefaultMaxPartialMessages is far more than the two or three that encoders
	// interleave: audio, video and data.
	DefaultMaxPartialMessages = maxWideChunkStreams
)

// readLimits are what a peer may make a chunkReader hold.
type readLimits struct {
	message   int // bytes of one media message
	partial   int // bytes of all partial messages together
	open      int // partial messages
	wide      int // chunk streams above 63 whose headers are remembered
	minSlab   int // bytes of a slab, at least
	maxSlab   int // and at most
	firstPart int // bytes an array of its own begins with
}

var unauthorisedLimits = readLimits{
	message: unauthorisedMessage, partial: unauthorisedPartial,
	open: DefaultMaxPartialMessages, wide: unauthorisedWide,
	minSlab: unauthorisedBuffer, maxSlab: unauthorisedBuffer, firstPart: 4 << 10,
}
