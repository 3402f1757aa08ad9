package flv

import (
	"encoding/binary"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/bytelog"
	"github.com/headwater-live/headwater/remux/flvtag"
)

// The framing of each tag in a log (RFC 9112, 7.1): a chunk size of fixed width, so that
// outputs that want the bare tags can step over it.
const (
	chunkHeader  = len("00000000\r\n")
	chunkTrailer = len("\r\n")
)

// chunked is FLV in HTTP chunks. What it joins with is bare.
type chunked struct {
	// tracks are announced where the stream's are not known.
	tracks remux.Tracks
}

// Size implements bytelog.Format.
func (chunked) Size(pkt *remux.Packet) int {
	return chunkHeader + flvtag.HeaderSize + len(pkt.Payload) + flvtag.TrailerSize + chunkTrailer
}

// Append implements bytelog.Format.
func (chunked) Append(dst []byte, pkt *remux.Packet) []byte {
	size := flvtag.HeaderSize + len(pkt.Payload)
	var head [chunkHeader + flvtag.HeaderSize]byte
	putChunkHeader(head[:], size+flvtag.TrailerSize)
	flvtag.PutHeader(head[chunkHeader:], pkt.TagType(), len(pkt.Payload), uint32(pkt.DTS))
	dst = append(dst, head[:]...)
	dst = append(dst, pkt.Payload...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(size))
	return append(dst, '\r', '\n')
}

// Join implements bytelog.Format.
func (f chunked) Join(dst []byte, j bytelog.Join) []byte {
	if j.First {
		tracks := j.Tracks
		if !tracks.Audio && !tracks.Video {
			tracks = f.tracks
		}
		dst = flvtag.AppendFileHeader(dst, tracks.Audio, tracks.Video)
	}
	for _, pkt := range j.Configs {
		dst = flvtag.AppendTag(dst, pkt.TagType(), uint32(j.DTS), pkt.Payload)
	}
	return dst
}

// putChunkHeader writes a chunk size of eight hexadecimal digits.
func putChunkHeader(dst []byte, size int) {
	const digits = "0123456789abcdef"
	for i := 7; i >= 0; i-- {
		dst[i] = digits[size&0xf]
		size >>= 4
	}
	dst[8], dst[9] = '\r', '\n'
}

// appendTags appends the bare tags of a run of whole chunks.
func appendTags(dst, chunks []byte) []byte {
	for len(chunks) >= chunkHeader {
		size := 0
		for _, d := range chunks[:8] {
			if d >= 'a' {
				d -= 'a' - 10 - '0'
			}
			size = size<<4 | int(d-'0')
		}
		chunks = chunks[chunkHeader:]
		dst = append(dst, chunks[:size]...)
		chunks = chunks[size+chunkTrailer:]
	}
	return dst
}
