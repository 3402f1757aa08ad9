package hls

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

var errSeek = errors.New("seek before the beginning of a segment")

// slabSize is a multiple of the 188 bytes of a transport packet, near 128 KiB: few
// enough pieces for one writev, small enough that an open segment of a small stream
// does not hold much more memory than it has bytes.
const slabSize = 188 * 697

var slabPool = sync.Pool{New: func() any { return new([slabSize]byte) }}

// slabs is a growing run of bytes in pieces of fixed size from a pool, so that sixty
// open segments cost what is in them and not what the largest of them needed.
type slabs struct {
	parts [][]byte
	size  int
}

// tail returns an empty slice with room for at least need bytes, to append to and
// then extend by, or nil where so many would waste too much of a slab.
func (s *slabs) tail(need int) []byte {
	if n := len(s.parts); n > 0 {
		if last := s.parts[n-1]; slabSize-len(last) >= need {
			return last[len(last):slabSize][:0]
		}
	}
	if need > slabSize/4 {
		return nil
	}
	s.grow()
	return s.parts[len(s.parts)-1]
}

// extend takes n bytes that were written to tail.
func (s *slabs) extend(n int) {
	i := len(s.parts) - 1
	s.parts[i] = s.parts[i][:len(s.parts[i])+n]
	s.size += n
}

// write copies b to the end.
func (s *slabs) write(b []byte) {
	s.size += len(b)
	for len(b) > 0 {
		if len(s.parts) == 0 || len(s.parts[len(s.parts)-1]) == slabSize {
			s.grow()
		}
		i := len(s.parts) - 1
		last := s.parts[i]
		n := copy(last[len(last):slabSize], b)
		s.parts[i] = last[:len(last)+n]
		b = b[n:]
	}
}

func (s *slabs) grow() {
	s.parts = append(s.parts, slabPool.Get().(*[slabSize]byte)[:0])
}

// fit lets what is much smaller than a slab take no more memory than it has bytes. Nothing may be added any more.
func (s *slabs) fit() {
	if len(s.parts) == 1 && s.size <= slabSize/2 {
		slab := s.parts[0]
		s.parts[0] = bytes.Clone(slab)
		slabPool.Put((*[slabSize]byte)(slab[:slabSize]))
	}
}

// release gives the memory back. Nobody may read it any more.
func (s *slabs) release() {
	for _, p := range s.parts {
		if cap(p) == slabSize { // see fit
			slabPool.Put((*[slabSize]byte)(p[:slabSize]))
		}
	}
	s.parts, s.size = nil, 0
}

// reader reads the bytes from their beginning. The slabs must not be released while
// it is in use.
func (s *slabs) reader() io.ReadSeeker { return &slabReader{slabs: s} }

type slabReader struct {
	slabs *slabs
	at    int64
}

// Read implements io.Reader.
func (r *slabReader) Read(b []byte) (int, error) {
	at := r.at
	for _, part := range r.slabs.parts {
		if at < int64(len(part)) {
			n := copy(b, part[at:])
			r.at += int64(n)
			return n, nil
		}
		at -= int64(len(part))
	}
	return 0, io.EOF
}

// Seek implements io.Seeker.
func (r *slabReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += int64(r.slabs.size)
	}
	if offset < 0 {
		return 0, errSeek
	}
	r.at = offset
	return offset, nil
}
