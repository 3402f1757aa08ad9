package mpegts

import "encoding/binary"

const (
	streamVideo = 0xE0
	streamAudio = 0xC0
	// maxPESHeader is the size of a header with PTS and DTS.
	maxPESHeader = 19
	// maxPESLength is what PES_packet_length can say: the bytes after it.
	maxPESLength = 1<<16 - 1
	// alignmentFlags is '10' and data_alignment_indicator: the payload begins with
	// an access unit.
	alignmentFlags = 0x84
	ptsOnly        = 0x80
	ptsAndDTS      = 0xC0
)

// pesHeaderSize returns the size of the header for these times.
func pesHeaderSize(pts, dts int64) int {
	if pts == dts {
		return maxPESHeader - 5
	}
	return maxPESHeader
}

// writePESHeader writes a header (2.4.3.6) and returns its size. payload is the
// number of bytes that follow it, which is said of audio only.
//
//	| 00 00 01 | stream id 8 | packet length 16 | flags 16 | header length 8 | PTS 40 | [DTS 40] |
//
// Video has a length of 0: the packet ends where the next one begins. Large units
// must have it, and demuxers are found (go-astits) that lose a unit without length
// if one with length follows; a stream of units all without it is what players know.
func writePESHeader(p *[maxPESHeader]byte, stream byte, pts, dts int64, payload int) int {
	size := pesHeaderSize(pts, dts)
	length := 0
	if stream == streamAudio {
		length = size - 6 + payload
	}
	p[0], p[1], p[2], p[3] = 0, 0, 1, stream
	binary.BigEndian.PutUint16(p[4:], uint16(length))
	p[6] = alignmentFlags
	p[8] = byte(size - 9)
	if pts == dts {
		p[7] = ptsOnly
		writeTimestamp(p[9:14], 0x2, pts)
		return size
	}
	p[7] = ptsAndDTS
	writeTimestamp(p[9:14], 0x3, pts)
	writeTimestamp(p[14:19], 0x1, dts)
	return size
}

// writeTimestamp writes the PTS or DTS of a time.
//
//	| prefix 4 | 32..30  3 | 1 | 29..15  15 | 1 | 14..0  15 | 1 |
func writeTimestamp(p []byte, prefix byte, time int64) {
	t := uint64(time+DecodeDelay) & timestampMask
	p[0] = prefix<<4 | byte(t>>29)&0x0E | 1
	binary.BigEndian.PutUint16(p[1:], uint16(t>>14)|1)
	binary.BigEndian.PutUint16(p[3:], uint16(t<<1)|1)
}
