package live

import (
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/bytelog"
)

// The framing of each unit in a log (RFC 9112, 7.1): a chunk size of fixed width, so that it can
// be filled in afterwards.
const (
	chunkHeader  = len("00000000\r\n")
	chunkTrailer = len("\r\n")
	lastChunk    = "0\r\n\r\n"
)

// chunked puts each unit of a format into a chunk. What it joins with is bare.
type chunked struct{ bytelog.Format }

// Size implements bytelog.Format.
func (f chunked) Size(pkt *remux.Packet) int {
	n := f.Format.Size(pkt)
	if n == 0 {
		return 0
	}
	return chunkHeader + n + chunkTrailer
}

// Append implements bytelog.Format.
func (f chunked) Append(dst []byte, pkt *remux.Packet, start bool) []byte {
	return chunk(dst, func(dst []byte) []byte { return f.Format.Append(dst, pkt, start) })
}

// chunk appends a chunk with what render appends, nothing if that is nothing.
func chunk(dst []byte, render func([]byte) []byte) []byte {
	var header [chunkHeader]byte
	begin := len(dst)
	dst = render(append(dst, header[:]...))
	size := len(dst) - begin - chunkHeader
	if size == 0 {
		return dst[:begin]
	}
	putChunkHeader(dst[begin:], size)
	return append(dst, '\r', '\n')
}

// Begin implements bytelog.Beginner.
func (f chunked) Begin(tracks remux.Tracks) {
	if b, ok := f.Format.(bytelog.Beginner); ok {
		b.Begin(tracks)
	}
}

// EndSize implements bytelog.Ender.
func (f chunked) EndSize() int {
	if e, ok := f.Format.(bytelog.Ender); ok {
		if n := e.EndSize(); n > 0 {
			return chunkHeader + n + chunkTrailer
		}
	}
	return 0
}

// End implements bytelog.Ender.
func (f chunked) End(dst []byte, start bool) []byte {
	if e, ok := f.Format.(bytelog.Ender); ok {
		return chunk(dst, func(dst []byte) []byte { return e.End(dst, start) })
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
