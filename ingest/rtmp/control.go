package rtmp

import "encoding/binary"

// Protocol control messages (RTMP 1.0, section 5.4) have one 32-bit number, Set
// Peer Bandwidth a type byte after it:
//
//	1 Set Chunk Size    | 0:1 size:31 |
//	2 Abort             | csid:32 |
//	3 Acknowledgement   | sequence number:32 |
//	5 Window Ack Size   | size:32 |
//	6 Set Peer Bandwidth| size:32 | limit type:8 |
//
// User control messages (section 7.1.7), type 4:
//
//	| event:16 | event data |
const (
	eventStreamBegin  = 0 // stream id
	eventStreamEOF    = 1 // stream id
	eventPingRequest  = 6 // any 32 bits,
	eventPingResponse = 7 // returned

	limitDynamic = 2
)

// parseChunkSize reads the payload of Set Chunk Size. Sizes above maxChunkSize
// mean the same as it.
func parseChunkSize(p []byte) (int, error) {
	if len(p) < 4 {
		return 0, fault(ReasonChunkSize, "read Set Chunk Size", "fewer than 4 bytes")
	}
	size := binary.BigEndian.Uint32(p)
	if size == 0 || size > 1<<31-1 {
		return 0, fault(ReasonChunkSize, "read Set Chunk Size", "size is not in 1 to 0x7fffffff")
	}
	return int(min(size, maxChunkSize)), nil
}

// abort drops the partial message of the chunk stream named in an Abort.
func (c *chunkReader) abort(p []byte) {
	if len(p) < 4 {
		c.stats.skip(SkipMalformedControl)
		return
	}
	if s := c.find(binary.BigEndian.Uint32(p)); s != nil && s.open {
		c.stats.skip(SkipAborted)
		c.drop(s)
	}
}

// appendControl appends a protocol control message with a 32-bit number.
func appendControl(dst []byte, kind uint8, value uint32, more ...byte) []byte {
	payload := binary.BigEndian.AppendUint32(make([]byte, 0, 8), value)
	return AppendMessage(dst, csidControl, kind, 0, 0, defaultChunkSize, append(payload, more...))
}

// appendEvent appends a user control message with 32 bits of data.
func appendEvent(dst []byte, event uint16, value uint32) []byte {
	payload := binary.BigEndian.AppendUint16(make([]byte, 0, 8), event)
	payload = binary.BigEndian.AppendUint32(payload, value)
	return AppendMessage(dst, csidControl, typeUserControl, 0, 0, defaultChunkSize, payload)
}
