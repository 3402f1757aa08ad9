package rtmp

import "encoding/binary"

// CutMessage cuts the first message off bytes that AppendMessage made with a chunk size. It
// returns the message's chunk stream id, its bytes, and those that follow it. b must hold whole
// messages.
func CutMessage(b []byte, chunkSize int) (csid uint32, message, rest []byte) {
	basic := 1
	switch csid = uint32(b[0] & 0x3f); csid {
	case 0:
		basic, csid = 2, 64+uint32(b[1])
	case 1:
		basic, csid = 3, 64+uint32(binary.LittleEndian.Uint16(b[1:]))
	}
	h := b[basic:]
	length, extended := int(uint24(h[3:])), 0
	if uint24(h) == extendedMark {
		extended = 4
	}
	further := max(0, (length-1)/chunkSize) // chunks after the first
	size := basic + headerSize[0] + extended + length + further*(basic+extended)
	return csid, b[:size], b[size:]
}
