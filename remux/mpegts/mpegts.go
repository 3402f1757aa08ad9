// Package mpegts packs H.264 and HEVC access units and ADTS frames into an MPEG transport
// stream (ISO/IEC 13818-1), the container of HLS segments.
//
// # The model
//
// A Muxer has the state that runs on from segment to segment: continuity counters,
// the time of the last PCR, the versions of the tables. Its Append methods add whole
// packets of 188 bytes to a slice of the caller's, and allocate nothing if that has
// room (VideoSize and AudioSize say how much will be added).
//
//	m := mpegts.NewMuxer(mpegts.H264, mpegts.AAC)
//	segment = m.AppendTables(segment)             // PAT and PMT begin each segment
//	segment = m.AppendVideo(segment, VideoUnit{...})
//	segment = m.AppendAudio(segment, gatherer.Take())
//
// # What a packet looks like
//
//	| 47 | error 1 | start 1 | priority 1 | PID 13 | scrambling 2 | adaptation 1 | payload 1 | counter 4 |
//	| [adaptation field] | payload |                                    188 bytes together  (2.4.3.2)
//
// An access unit, or several audio frames, make one PES packet, which begins in a
// packet with the start bit and ends in one that is filled up by stuffing in its
// adaptation field.
//
// # Time
//
// Times are 64-bit counts of 1/90000 s on the stream's timeline; they may be
// negative. On the wire PTS and DTS are time + DecodeDelay and PCR is time, modulo
// 2^33, so they wrap cleanly every 26.5 hours.
//
// DecodeDelay is half of what the rule of the system target decoder allows (2.4.2.7:
// no byte stays in a buffer for more than one second), so that a packet may be
// written up to half a second late or early against the video around it, by
// gathering or by an encoder's interleaving, and the rule holds.
//
// The PID of the video, or of the audio where there is no video, carries a PCR at
// least every 100 ms of the timeline. Each access unit does; where the next comes
// later, and within long audio PES packets, more are put in between. A PCR never goes
// back: a unit that is earlier than the last one does without.
//
// # The caller's duty
//
// DTS is strictly increasing on each track, and Discontinuity is called where the
// timeline does not go on. A Muxer is used by one goroutine at a time.
package mpegts

// PacketSize is the size of a transport packet in bytes.
const PacketSize = 188

// DecodeDelay is what is added to a time to make its PTS and DTS, in 1/90000 s. The
// PCR of an access unit is its DTS less this.
const DecodeDelay = 45_000

// StreamType is the stream_type of a track (table 2-34).
type StreamType uint8

// The stream types, and None for a track that is not there.
const (
	None StreamType = 0x00
	AAC  StreamType = 0x0F // with ADTS headers
	H264 StreamType = 0x1B
	HEVC StreamType = 0x24
)

// The PIDs, those of most HLS streams.
const (
	pidPAT   = 0x0000
	pidVideo = 0x0100
	pidAudio = 0x0101
	pidPMT   = 0x1000
	pidNone  = 0x1FFF // as PCR_PID: there is no PCR
)

const (
	// payloadSize is the room in a packet without adaptation field.
	payloadSize = PacketSize - 4
	// maxPCRInterval is how far PCRs may be apart (2.7.2).
	maxPCRInterval = 9_000
	// maxPCRFill is the longest gap that is filled with PCRs: the longest that the
	// timeline takes for one. Beyond it the caller has missed a Discontinuity.
	maxPCRFill = 10 * 90_000
	// timestampMask keeps 33 bits.
	timestampMask = 1<<33 - 1
)

// Muxer makes a transport stream with one program of at most one video and one audio
// track. Make it with NewMuxer.
type Muxer struct {
	video, audio track
	tables       [2 * PacketSize]byte
	tableCounter uint8
	version      uint8

	lastPCR int64
	clocked bool // lastPCR is valid
}

// track is an elementary stream.
type track struct {
	kind    StreamType
	pid     uint16
	counter uint8 // of the next packet with payload
	// broken: the next packet carries the discontinuity_indicator.
	broken bool
}

// NewMuxer makes a Muxer with the tracks that the PMT announces.
func NewMuxer(video, audio StreamType) *Muxer {
	m := &Muxer{video: track{pid: pidVideo}, audio: track{pid: pidAudio}}
	m.video.kind, m.audio.kind = video, audio
	m.writeTables()
	return m
}

// SetTracks changes the tracks, before the AppendTables of a new segment. It gives
// the PMT a new version if they differ from those before.
func (m *Muxer) SetTracks(video, audio StreamType) {
	if m.video.kind == video && m.audio.kind == audio {
		return
	}
	if (m.video.kind == None) != (video == None) {
		m.clocked = false // the PCR moves to another PID
	}
	m.video.kind, m.audio.kind = video, audio
	m.version = (m.version + 1) & 0x1F
	m.writeTables()
}

// Discontinuity says that what follows is not the continuation of what went before:
// the next packet of each track carries the discontinuity_indicator (2.4.3.5), and
// the PCR starts anew. The continuity counters run on, which is always allowed.
func (m *Muxer) Discontinuity() {
	m.video.broken, m.audio.broken = true, true
	m.clocked = false
}

// clock returns the track that carries the PCR.
func (m *Muxer) clock() *track {
	if m.video.kind != None {
		return &m.video
	}
	return &m.audio
}
