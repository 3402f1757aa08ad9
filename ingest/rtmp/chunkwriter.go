package rtmp

import (
	"encoding/binary"
	"slices"
)

// AppendMessage appends a message cut into chunks to dst, ready to be written.
//
// The chunk stream id is 2 to 65599, the type and the message stream id are the
// message's, the timestamp is absolute in milliseconds modulo 2^32, and the
// payload has at most 0xffffff bytes. chunkSize (1 to 0xffffff) must be what the
// receiver was last told by Set Chunk Size; see ServerConn.ChunkSize.
//
// The first header is always of type 0, so what is appended does not depend on
// what was sent before and may be sent to any number of receivers. Extended
// timestamps are repeated in the headers of type 3 (section 5.3.1.3).
func AppendMessage(dst []byte, csid uint32, kind uint8, streamID, timestamp uint32, chunkSize int, payload []byte) []byte {
	if len(payload) > maxChunkSize || chunkSize < 1 || csid < 2 || csid > 65599 {
		panic("rtmp: AppendMessage: argument out of range")
	}
	extended := timestamp >= extendedMark
	chunks := max(1, (len(payload)+chunkSize-1)/chunkSize)
	dst = slices.Grow(dst, 11+chunks*(3+4)+len(payload))

	dst = appendBasicHeader(dst, 0, csid)
	dst = appendUint24(dst, min(timestamp, extendedMark))
	dst = appendUint24(dst, uint32(len(payload)))
	dst = append(dst, kind)
	dst = binary.LittleEndian.AppendUint32(dst, streamID)
	for {
		if extended {
			dst = binary.BigEndian.AppendUint32(dst, timestamp)
		}
		n := min(chunkSize, len(payload))
		dst = append(dst, payload[:n]...)
		if payload = payload[n:]; len(payload) == 0 {
			return dst
		}
		dst = appendBasicHeader(dst, 3, csid)
	}
}

func appendBasicHeader(dst []byte, format byte, csid uint32) []byte {
	switch {
	case csid < 64:
		return append(dst, format<<6|byte(csid))
	case csid < 64+256:
		return append(dst, format<<6, byte(csid-64))
	}
	return append(dst, format<<6|1, byte(csid-64), byte((csid-64)>>8))
}

func appendUint24(dst []byte, v uint32) []byte {
	return append(dst, byte(v>>16), byte(v>>8), byte(v))
}
