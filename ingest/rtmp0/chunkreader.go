package rtmp

import (
	"encoding/binary"
	"fmt"
	"io"
)

// The chunk stream (RTMP 1.0, section 5.3.1):
//
//	basic header    | fmt 2 | csid 6 |            csid 2 to 63
//	                | fmt 2 | 0 | csid-64 8 |     64 to 319
//	                | fmt 2 | 1 | csid-64 16 LE | 64 to 65599
//	fmt 0           | timestamp 24 | length 24 | type 8 | stream id 32 LE |
//	fmt 1           | delta 24     | length 24 | type 8 |
//	fmt 2           | delta 24     |
//	fmt 3           nothing: continues a message, or begins one like the last
//	extended        | timestamp or delta 32 |     if the 24 bits are 0xffffff

const (
	// readBuffer is the size of the buffer headers are read through; a payload that
	// is not in it already is read past it, into place. 16 KiB take what arrives of
	// a 2.6 Mbit/s stream in 50 ms.
	readBuffer = 16 << 10
	// slabBytes is the size of the slabs that payloads are cut from, and maxFromSlab
	// the largest that is, so that little is wasted at a slab's end.
	slabBytes   = 64 << 10
	maxFromSlab = 16 << 10
	// firstGrant is the most that is taken for a message before its bytes come.
	firstGrant = 64 << 10
	// maxDelta is the longest time, in ms, that a type 3 chunk after a type 0 chunk
	// may take for a frame's duration; see begin.
	maxDelta = 250
	extended = 0xffffff
)

// chunkStream is the state of one chunk stream id.
type chunkStream struct {
	known     bool
	timestamp uint32 // absolute, of the newest message
	delta     uint32
	ext       uint32 // the extended field of the newest header
	hasExt    bool
	length    int
	typ       Type
	streamID  uint32

	partial bool
	payload []byte // what has come of a partial message
}

// ReaderStats count what a chunk reader passed over.
type ReaderStats struct {
	// Bytes is all that was read.
	Bytes uint64
	// Restarted counts messages given up because another began on their chunk
	// stream.
	Restarted uint64
	// Aborted counts messages given up by Abort.
	Aborted uint64
}

// chunkReader reads messages from chunks. It allocates as bytes arrive.
type chunkReader struct {
	src        io.Reader
	buf        []byte
	r, w       int
	chunkSize  int
	maxMessage int
	maxHeld    int // bytes that partial messages may hold together
	low        [64]chunkStream
	high       map[uint32]*chunkStream
	used       int // chunk streams seen
	partial    int // chunk streams with a partial message
	held       int // bytes reserved for partial messages
	slab       []byte
	stats      ReaderStats
}

func newChunkReader(src io.Reader) *chunkReader {
	return &chunkReader{
		src:        src,
		buf:        make([]byte, readBuffer),
		chunkSize:  defaultChunkSize,
		maxMessage: maxCommand,
		maxHeld:    maxPartialBefore,
	}
}

// read returns the next complete message. Errors of the source are wrapped.
func (c *chunkReader) read() (Message, error) {
	for {
		m, complete, err := c.chunk()
		if err != nil || complete {
			return m, err
		}
	}
}

// chunk reads one chunk.
func (c *chunkReader) chunk() (m Message, complete bool, err error) {
	if err := c.fill(1); err != nil {
		if err == io.EOF && c.r == c.w {
			return m, false, io.EOF
		}
		return m, false, fmt.Errorf("read chunk header: %w", err)
	}
	format, csid, err := c.basicHeader()
	if err != nil {
		return m, false, fmt.Errorf("read chunk header: %w", err)
	}
	s, err := c.stream(csid)
	if err != nil {
		return m, false, err
	}
	if err := c.messageHeader(s, format); err != nil {
		return m, false, fmt.Errorf("read chunk header: %w", err)
	}
	if err := c.body(s); err != nil {
		return m, false, fmt.Errorf("read chunk: %w", err)
	}
	if len(s.payload) < s.length {
		return m, false, nil
	}
	m = Message{Type: s.typ, ChunkStreamID: csid, StreamID: s.streamID, Timestamp: s.timestamp, Payload: s.payload}
	c.drop(s)
	return m, true, nil
}

func (c *chunkReader) basicHeader() (format byte, csid uint32, err error) {
	b := c.buf[c.r]
	format, csid = b>>6, uint32(b&0x3f)
	c.r++
	switch csid {
	case 0:
		if err := c.fill(1); err != nil {
			return 0, 0, err
		}
		csid = 64 + uint32(c.buf[c.r])
		c.r++
	case 1:
		if err := c.fill(2); err != nil {
			return 0, 0, err
		}
		csid = 64 + uint32(c.buf[c.r]) + uint32(c.buf[c.r+1])<<8
		c.r += 2
	}
	return format, csid, nil
}

// stream returns the state of a chunk stream id, bounding how many there are.
func (c *chunkReader) stream(csid uint32) (*chunkStream, error) {
	if csid < uint32(len(c.low)) {
		return &c.low[csid], nil
	}
	if s := c.high[csid]; s != nil {
		return s, nil
	}
	if c.used++; c.used > maxChunkStreams {
		return nil, ErrTooManyChunks
	}
	if c.high == nil {
		c.high = make(map[uint32]*chunkStream)
	}
	s := &chunkStream{}
	c.high[csid] = s
	return s, nil
}

var headerSizes = [4]int{11, 7, 3, 0}

// messageHeader reads what follows the basic header and begins a message unless the
// chunk continues one.
func (c *chunkReader) messageHeader(s *chunkStream, format byte) error {
	if !s.known && format >= 2 {
		return ErrChunkFormat
	}
	if format == 3 {
		if s.hasExt {
			if err := c.skipRepeated(s.ext); err != nil {
				return err
			}
		}
		if s.partial {
			return nil
		}
		s.timestamp += s.delta
		return c.begin(s)
	}
	size := headerSizes[format]
	if err := c.fill(size); err != nil {
		return err
	}
	h := c.buf[c.r : c.r+size]
	c.r += size
	value := uint32(h[0])<<16 | uint32(h[1])<<8 | uint32(h[2])
	if format <= 1 {
		s.length = int(h[3])<<16 | int(h[4])<<8 | int(h[5])
		s.typ = Type(h[6])
	}
	if format == 0 {
		s.streamID = binary.LittleEndian.Uint32(h[7:])
	}
	if s.hasExt = value == extended; s.hasExt {
		if err := c.fill(4); err != nil {
			return err
		}
		value = binary.BigEndian.Uint32(c.buf[c.r:])
		s.ext = value
		c.r += 4
	}
	s.known = true
	if s.partial {
		c.stats.Restarted++
		c.drop(s)
	}
	if format == 0 {
		s.timestamp = value
		// By the specification a type 3 chunk that begins a message now would add
		// the timestamp itself; GStreamer means that nothing is added. It is a
		// delta only where it can be a frame's duration.
		if s.delta = value; value > maxDelta {
			s.delta = 0
		}
	} else {
		s.delta = value
		s.timestamp += value
	}
	return c.begin(s)
}

// skipRepeated steps over the extended timestamp of a type 3 chunk. The specification
// has it there; old librtmp leaves it out. So it is one only if it is the same again.
func (c *chunkReader) skipRepeated(ext uint32) error {
	var want [4]byte
	binary.BigEndian.PutUint32(want[:], ext)
	for i, b := range want {
		if err := c.fill(i + 1); err != nil {
			return err
		}
		if c.buf[c.r+i] != b {
			return nil
		}
	}
	c.r += 4
	return nil
}

// begin starts a message of s.length bytes.
func (c *chunkReader) begin(s *chunkStream) error {
	limit := c.maxMessage
	switch s.typ {
	case TypeCommand, TypeCommandAMF3, TypeData, TypeDataAMF3:
		limit = min(limit, maxCommand)
	}
	if s.length > limit {
		return fmt.Errorf("%w: %d bytes of type %d, the limit is %d", ErrMessageSize, s.length, s.typ, limit)
	}
	s.payload = nil
	if s.length == 0 {
		s.partial = true
		c.partial++
		return nil
	}
	grant := min(s.length, firstGrant)
	if c.held+grant > c.maxHeld || c.partial >= maxPartial {
		return ErrTooMuchPartial
	}
	s.payload = c.allocate(grant)
	s.partial = true
	c.partial++
	c.held += cap(s.payload)
	return nil
}

// allocate returns an empty slice of capacity n.
func (c *chunkReader) allocate(n int) []byte {
	if n > maxFromSlab {
		return make([]byte, 0, n)
	}
	if len(c.slab) < n {
		c.slab = make([]byte, slabBytes)
	}
	b := c.slab[:0:n]
	c.slab = c.slab[n:]
	return b
}

// drop ends a message, complete or not.
func (c *chunkReader) drop(s *chunkStream) {
	if s.partial {
		c.held -= cap(s.payload)
		c.partial--
	}
	s.partial, s.payload = false, nil
}

// abort gives up the partial message of a chunk stream (section 5.4.2).
func (c *chunkReader) abort(csid uint32) {
	s := c.high[csid]
	if csid < uint32(len(c.low)) {
		s = &c.low[csid]
	}
	if s != nil && s.partial {
		c.stats.Aborted++
		c.drop(s)
	}
}

// body reads the payload bytes of one chunk into place.
func (c *chunkReader) body(s *chunkStream) error {
	n := min(s.length-len(s.payload), c.chunkSize)
	for n > 0 {
		if len(s.payload) == cap(s.payload) {
			if err := c.growPayload(s); err != nil {
				return err
			}
		}
		at := len(s.payload)
		part := min(n, cap(s.payload)-at)
		into := s.payload[at : at+part]
		got := copy(into, c.buf[c.r:c.w])
		c.r += got
		if got < part {
			if err := c.readFull(into[got:]); err != nil {
				return err
			}
		}
		s.payload = s.payload[:at+part]
		n -= part
	}
	return nil
}

// growPayload doubles what a message may hold, now that so much of it has come.
func (c *chunkReader) growPayload(s *chunkStream) error {
	size := min(s.length, 2*cap(s.payload))
	if c.held+size-cap(s.payload) > c.maxHeld {
		return ErrTooMuchPartial
	}
	c.held += size - cap(s.payload)
	s.payload = append(make([]byte, 0, size), s.payload...)
	c.held += cap(s.payload) - size
	return nil
}

// fill makes at least n bytes available in the buffer.
func (c *chunkReader) fill(n int) error {
	if c.w-c.r >= n {
		return nil
	}
	if c.r == c.w {
		c.r, c.w = 0, 0
	} else if c.r+n > len(c.buf) {
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	}
	for c.w-c.r < n {
		got, err := c.src.Read(c.buf[c.w:])
		c.w += got
		c.stats.Bytes += uint64(got)
		if err != nil && c.w-c.r < n {
			if err == io.EOF && c.w > c.r {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// readFull reads into p, past the buffer where p wants more than one.
func (c *chunkReader) readFull(p []byte) error {
	for len(p) > 0 {
		if len(p) < readBuffer {
			// What follows the payload is welcome too: one read for many chunks.
			if err := c.fill(1); err != nil {
				return noEOF(err)
			}
			n := copy(p, c.buf[c.r:c.w])
			c.r += n
			p = p[n:]
			continue
		}
		n, err := c.src.Read(p)
		c.stats.Bytes += uint64(n)
		p = p[n:]
		if err != nil && len(p) > 0 {
			return noEOF(err)
		}
	}
	return nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
