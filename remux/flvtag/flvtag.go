// Package flvtag reads and writes FLV tags and the headers inside them.
//
// An RTMP audio, video or data message and the body of an FLV tag are the same
// bytes, so a packet that came in over RTMP goes out over FLV, or RTMP again,
// without being touched: only the 11 bytes in front and the 4 bytes behind
// change. This package writes those, and reads from a body what a remuxer must
// know: codec, kind of packet, composition time, and where the coded data begins.
//
// Sources: Adobe Video File Format Specification 10.1, annex E; Enhanced RTMP
// v2 (Veovera) for FourCC codecs, ModEx and multitrack.
package flvtag

import "encoding/binary"

// Type is the type of a tag, equal to the RTMP message type id.
type Type uint8

// The tag types of annex E.4.1.
const (
	Audio  Type = 8
	Video  Type = 9
	Script Type = 18
)

// Sizes of the fixed parts of an FLV file, in bytes.
const (
	// FileHeaderSize is the FLV header and PreviousTagSize0 together.
	FileHeaderSize = 13
	// MaxTimestamp is the latest time that a tag can say, in ms: 24 bits and an extension, together SI32.
	MaxTimestamp = 1<<31 - 1
	// HeaderSize is the header in front of a tag's body.
	HeaderSize = 11
	// TrailerSize is PreviousTagSize, which follows each tag.
	TrailerSize = 4
	// MaxBodySize is the largest body that the 24-bit length can state.
	MaxBodySize = 1<<24 - 1
)

// AppendFileHeader appends the header of an FLV file (annex E.2) with
// PreviousTagSize0, FileHeaderSize bytes in all.
func AppendFileHeader(dst []byte, audio, video bool) []byte {
	var flags byte
	if audio {
		flags |= 0x04
	}
	if video {
		flags |= 0x01
	}
	return append(dst, 'F', 'L', 'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0)
}

// PutHeader writes the header of a tag whose body has size bytes (0 to
// MaxBodySize) to dst[:HeaderSize].
//
//	+--------+----------------+-------------------+----------+--------------+
//	| type 8 | body size 24   | timestamp 24 low  | ts 8 high| stream id 24 |
//	+--------+----------------+-------------------+----------+--------------+
//
// The timestamp is in milliseconds modulo 2^32.
func PutHeader(dst []byte, t Type, size int, timestamp uint32) {
	_ = dst[HeaderSize-1]
	binary.BigEndian.PutUint32(dst, uint32(t)<<24|uint32(size))
	binary.BigEndian.PutUint32(dst[4:], timestamp<<8|timestamp>>24)
	dst[8], dst[9], dst[10] = 0, 0, 0
}

// AppendTag appends a whole tag: header, body and PreviousTagSize. The body may
// come in several parts. It must not exceed MaxBodySize in all.
func AppendTag(dst []byte, t Type, timestamp uint32, body ...[]byte) []byte {
	size := 0
	for _, part := range body {
		size += len(part)
	}
	var header [HeaderSize]byte
	PutHeader(header[:], t, size, timestamp)
	dst = append(dst, header[:]...)
	for _, part := range body {
		dst = append(dst, part...)
	}
	return binary.BigEndian.AppendUint32(dst, uint32(HeaderSize+size))
}
