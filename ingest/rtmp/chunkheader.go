package rtmp

import "encoding/binary"

// A chunk (RTMP 1.0, section 5.3.1):
//
//	| basic header 1-3 | message header 0-11 | extended timestamp 0/4 | payload |
//
//	basic header   fmt:2 csid:6                csid 2 to 63
//	               fmt:2 0:6 (csid-64):8       csid 64 to 319
//	               fmt:2 1:6 (csid-64):16 LE   csid 64 to 65599
//
//	fmt 0  | timestamp:24 | length:24 | type:8 | stream id:32 LE |
//	fmt 1  | delta:24     | length:24 | type:8 |
//	fmt 2  | delta:24     |
//	fmt 3  |
//
// A 24-bit timestamp or delta of 0xffffff says that 32 bits follow.
const (
	maxHeader        = 3 + 11 + 4
	extendedMark     = 0xffffff
	defaultChunkSize = 128
)

var headerSize = [4]int{11, 7, 3, 0}

// maxImpliedDelta is up to which timestamp, in milliseconds, a type 0 header is
// taken for a frame duration as well; see chunkStream.setAbsolute.
const maxImpliedDelta = 250

// placement says where the payload of a partial message is collected.
type placement uint8

const (
	inSlab placement = iota
	ownArray
	discarded
)

// chunkStream is what the headers of one chunk stream id refer back to, and the
// message that is being received on it.
type chunkStream struct {
	id   uint32
	used uint64 // chunkReader.clock at the newest header

	// The newest header.
	timestamp     uint32 // absolute, of the message
	delta         uint32
	length        int
	kind          uint8
	streamID      uint32
	extended      bool    // the header had an extended timestamp,
	extendedBytes [4]byte // and these were its bytes

	// The partial message; got of length bytes have come.
	open  bool
	place placement
	got   int
	start int    // inSlab: where in the slab it begins
	own   []byte // ownArray
}

// setAbsolute takes the timestamp of a type 0 header. A type 3 header that
// begins the next message repeats, by the specification, this timestamp as its
// delta; GStreamer means by it that no time passes. It can only be a delta
// where it could be the duration of a frame.
func (s *chunkStream) setAbsolute(t uint32) {
	s.timestamp, s.delta = t, 0
	if t <= maxImpliedDelta {
		s.delta = t
	}
}

// readHeader reads the header of the next chunk and begins a message if the
// chunk does. It returns the chunk stream.
func (c *chunkReader) readHeader() (*chunkStream, error) {
	if err := c.need(1); err != nil {
		return nil, err
	}
	format, id, size := c.buf[c.r]>>6, uint32(c.buf[c.r]&0x3f), 1
	if id < 2 {
		size += 1 + int(id)
		if err := c.need(size); err != nil {
			return nil, err
		}
		b := c.buf[c.r+1:]
		if id++; id == 2 {
			id = uint32(b[1]) << 8
		} else {
			id = 0
		}
		id += 64 + uint32(b[0])
	}
	s, err := c.stream(id, format)
	if err != nil {
		return nil, err
	}
	if c.building != nil && c.building != s {
		if err := c.evict(); err != nil {
			return nil, err
		}
	}
	if format == 3 {
		return s, c.continueMessage(s, size)
	}
	return s, c.beginMessage(s, format, size)
}

// continueMessage consumes a type 3 header. The extended timestamp is repeated
// in it by the specification, but not by librtmp before 2024: the next four
// bytes are it if they equal it.
func (c *chunkReader) continueMessage(s *chunkStream, size int) error {
	if s.extended {
		repeated := true
		for i := 0; i < 4 && repeated; i++ {
			// Byte by byte: without a repetition there may be nothing to wait for.
			if err := c.need(size + i + 1); err != nil {
				return noEOF(err)
			}
			repeated = c.buf[c.r+size+i] == s.extendedBytes[i]
		}
		if repeated {
			size += 4
		}
	}
	c.r += size
	if s.open {
		return nil
	}
	s.timestamp += s.delta
	return c.begin(s)
}

// beginMessage consumes a header of type 0, 1 or 2, which always begins a
// message: an unfinished one on the same chunk stream is given up.
func (c *chunkReader) beginMessage(s *chunkStream, format byte, size int) error {
	end := size + headerSize[format]
	if err := c.need(end); err != nil {
		return noEOF(err)
	}
	extended := uint24(c.buf[c.r+size:]) == extendedMark
	if extended {
		if err := c.need(end + 4); err != nil {
			return noEOF(err)
		}
	}
	// From here on it is there as a whole: of a part of it, which another reader may have to read again, nothing is kept.
	h := c.buf[c.r+size:]
	time := uint24(h)
	if format < 2 {
		s.length, s.kind = int(uint24(h[3:])), h[6]
	}
	if format == 0 {
		s.streamID = binary.LittleEndian.Uint32(h[7:])
	}
	if s.extended = extended; extended {
		copy(s.extendedBytes[:], c.buf[c.r+end:])
		time = binary.BigEndian.Uint32(s.extendedBytes[:])
		end += 4
	}
	if format == 0 {
		s.setAbsolute(time)
	} else {
		// An extended delta may be negative: librtmp sends 35 ms back as
		// 0xffffffdd. Addition modulo 2^32 is right for both.
		s.delta = time
		s.timestamp += time
	}
	c.r += end
	if s.open {
		c.stats.skip(SkipInterrupted)
		c.drop(s)
	}
	return c.begin(s)
}

// stream finds the state of a chunk stream, or makes one. librtmp begins chunk
// streams with type 1; the types 2 and 3 have nothing to refer back to.
func (c *chunkReader) stream(id uint32, format byte) (*chunkStream, error) {
	c.clock++
	if c.last != nil && c.last.id == id {
		c.last.used = c.clock
		return c.last, nil
	}
	s := c.find(id)
	if s == nil {
		if format > 1 {
			return nil, fault(ReasonChunkHeader, "read chunk header", "a chunk stream begins with a header of type 2 or 3")
		}
		var err error
		if s, err = c.remember(id); err != nil {
			return nil, err
		}
	}
	s.used = c.clock
	c.last = s
	return s, nil
}

func (c *chunkReader) find(id uint32) *chunkStream {
	if id < uint32(len(c.narrow)) {
		return c.narrow[id]
	}
	for _, s := range c.wide {
		if s.id == id {
			return s
		}
	}
	return nil
}

// remember makes the state of a new chunk stream, out of that of an idle one if there are many:
// however many ids a peer goes through, nothing is allocated for them.
func (c *chunkReader) remember(id uint32) (*chunkStream, error) {
	if id < uint32(len(c.narrow)) {
		c.narrow[id] = &chunkStream{id: id}
		return c.narrow[id], nil
	}
	if len(c.wide) < c.limits.wide {
		s := &chunkStream{id: id}
		c.wide = append(c.wide, s)
		return s, nil
	}
	var oldest *chunkStream
	for _, s := range c.wide {
		if !s.open && (oldest == nil || s.used < oldest.used) {
			oldest = s
		}
	}
	if oldest == nil {
		return nil, fault(ReasonPartialMessages, "read chunk header", "too many chunk streams with an unfinished message")
	}
	*oldest = chunkStream{id: id}
	return oldest, nil
}

func uint24(b []byte) uint32 {
	return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
}
