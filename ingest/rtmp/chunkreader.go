package rtmp

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// chunkReader turns a byte stream into messages (RTMP 1.0, section 5.3).
//
// It reads from its source into a slab and builds messages where they lie: a
// message of one chunk is a slice of the slab as it was read, and the chunks of
// a longer one are moved together over the headers between them. So a byte is
// moved at most once, and nothing is allocated per chunk or per message.
//
//	slab  | delivered payloads | message being built | header | unread | free |
//	      0                  kept                  floor      r        w     len
//
// Bytes below kept are payloads in use and are never written again. Only one
// message at a time is built in the slab, the one whose chunks come now. When
// another chunk stream interrupts it, or when it is long, it is built in an
// array of its own that grows as its bytes arrive.
type chunkReader struct {
	src io.Reader
	err error // of src, to be returned when the buffered bytes are used up

	buf     []byte
	r, w    int
	kept    int
	slab    int       // size of the newest slab, and of the first one after authorise
	renewed time.Time // when it was begun

	chunkSize int
	narrow    [64]*chunkStream // chunk streams 2 to 63
	wide      []*chunkStream   // the others, at most maxWideChunkStreams
	last      *chunkStream     // of the newest chunk
	building  *chunkStream     // whose message is being built in the slab, or nil
	clock     uint64           // counts headers, to find the least recently used

	open    int // chunk streams with a partial message
	partial int // bytes of all arrays that partial messages own
	largest int // longest message completed in an array of its own
	limits  readLimits
	keeps   bool // media payloads are kept by who gets them, not only looked at

	aggregate aggregate // messages of an aggregate that are still to be returned
	first     []message // and those before it that another reader had read
	// midway is the chunk stream whose newest chunk is not complete because reading has failed, or was suspended; left
	// bytes of it are to come. See ServerConn.Freeze.
	midway *chunkStream
	left   int
	stats  *counters
}

func newChunkReader(src io.Reader, stats *counters) *chunkReader {
	return &chunkReader{
		src:       src,
		buf:       make([]byte, unauthorisedBuffer),
		slab:      unauthorisedBuffer,
		chunkSize: defaultChunkSize,
		limits:    unauthorisedLimits,
		stats:     stats,
	}
}

// authorise raises the limits to those of a peer that may send media.
func (c *chunkReader) authorise(maxMessage, maxPartial int) {
	c.keeps = true
	c.limits = readLimits{
		message: maxMessage, partial: maxPartial,
		open: c.limits.open, wide: maxWideChunkStreams,
		minSlab: minSlab, maxSlab: maxSlab, firstPart: firstPart,
	}
	c.slab, c.renewed = minSlab, time.Time{}
}

// next returns the next complete message that is not for the chunk stream
// itself. It returns io.EOF only between messages, io.ErrUnexpectedEOF within.
func (c *chunkReader) next() (message, error) {
	for {
		if len(c.first) > 0 {
			m := c.first[0]
			c.first[0] = message{} // whoever gets it decides how long it is kept
			if c.first = c.first[1:]; len(c.first) == 0 {
				c.first = nil
			}
			c.stats.messages.Add(1)
			return m, nil
		}
		if m, ok := c.aggregate.next(); ok {
			c.stats.messages.Add(1)
			return m, nil
		}
		m, err := c.assemble()
		if err != nil {
			return message{}, err
		}
		switch m.kind {
		case typeSetChunkSize:
			if c.chunkSize, err = parseChunkSize(m.payload); err != nil {
				return message{}, err
			}
		case typeAbort:
			c.abort(m.payload)
		case typeAggregate:
			c.aggregate.split(m, c.stats)
		default:
			if _, known := sizeLimit(m.kind, 0); !known {
				c.stats.skip(SkipUnknownType)
				continue
			}
			c.stats.messages.Add(1)
			return m, nil
		}
	}
}

// assemble reads chunks until one completes a message.
func (c *chunkReader) assemble() (message, error) {
	for {
		s, left, err := c.nextChunk()
		if err != nil {
			if err == io.EOF && c.open > 0 {
				err = io.ErrUnexpectedEOF
			}
			return message{}, wrapRead("read chunk header", err)
		}
		if err := c.readChunk(s, left); err != nil {
			return message{}, wrapRead("read chunk payload", noEOF(err))
		}
		if c.building == s && s.got < s.length {
			c.readBuffered(s)
		}
		if s.got == s.length {
			return c.finish(s), nil
		}
	}
}

// nextChunk returns the chunk stream of the next chunk, and how many bytes of it are to come.
func (c *chunkReader) nextChunk() (s *chunkStream, left int, err error) {
	if s = c.midway; s != nil {
		c.midway = nil
		return s, c.left, nil
	}
	if s, err = c.readHeader(); err != nil {
		return nil, 0, err
	}
	return s, min(c.chunkSize, s.length-s.got), nil
}

// begin starts the message that the header of s announced.
func (c *chunkReader) begin(s *chunkStream) error {
	limit, known := sizeLimit(s.kind, c.limits.message)
	if known && s.length > limit {
		return fault(ReasonMessageTooLarge, "read chunk header",
			fmt.Sprintf("message of type %d has %d bytes, the limit is %d", s.kind, s.length, limit))
	}
	if c.open++; c.open > c.limits.open {
		return fault(ReasonPartialMessages, "read chunk header", "too many chunk streams with an unfinished message")
	}
	s.open, s.got, s.own = true, 0, nil
	switch {
	case !known:
		s.place = discarded
	case s.length <= c.slab/slabShare:
		c.reserve(s.length + maxHeader)
		s.place, s.start = inSlab, c.r
		c.building = s
	default:
		s.place = ownArray
	}
	return nil
}

// readChunk reads what is left of the payload of a chunk.
func (c *chunkReader) readChunk(s *chunkStream, left int) error {
	for left > 0 {
		n := min(left, c.w-c.r)
		if n == 0 {
			var err error
			if s.place == ownArray && left >= directRead {
				n, err = c.readDirect(s, left)
			} else {
				err = c.more()
			}
			if err != nil {
				c.midway, c.left = s, left
				return err
			}
			left -= n
			continue
		}
		switch s.place {
		case inSlab:
			end := s.start + s.got
			if end != c.r {
				copy(c.buf[end:], c.buf[c.r:c.r+n])
			}
		case ownArray:
			if err := c.grow(s, n); err != nil {
				return err
			}
			s.own = append(s.own, c.buf[c.r:c.r+n]...)
		}
		s.got += n
		c.r += n
		left -= n
	}
	return nil
}

// readBuffered moves together the type 3 chunks of the message being built that
// are in the slab already: the inner loop for peers with small chunks.
func (c *chunkReader) readBuffered(s *chunkStream) {
	if s.id > 63 || s.extended {
		return
	}
	marker := 0xc0 | byte(s.id)
	buf, r, w, end, stop, size := c.buf, c.r, c.w, s.start+s.got, s.start+s.length, c.chunkSize
	for end < stop {
		n := min(size, stop-end)
		if w-r <= n || buf[r] != marker {
			break
		}
		copy(buf[end:end+n], buf[r+1:r+1+n])
		end += n
		r += 1 + n
	}
	c.r, s.got = r, end-s.start
}

// finish hands over the message of s.
func (c *chunkReader) finish(s *chunkStream) message {
	m := message{kind: s.kind, streamID: s.streamID, timestamp: s.timestamp}
	switch s.place {
	case inSlab:
		end := s.start + s.length
		m.payload = c.buf[s.start:end:end]
		if isMedia(s.kind) && c.keeps {
			c.kept = end
		}
	case ownArray:
		m.payload = s.own
		c.largest = max(c.largest, s.length)
	}
	c.drop(s)
	return m
}

// drop forgets the message of s, complete or not.
func (c *chunkReader) drop(s *chunkStream) {
	if c.building == s {
		c.building = nil
	}
	c.partial -= cap(s.own)
	c.open--
	s.open, s.own, s.got = false, nil, 0
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// wrapRead says what was being read, except for an orderly end and for faults
// that say it themselves.
func wrapRead(op string, err error) error {
	var e *Error
	if err == io.EOF || errors.As(err, &e) {
		return err
	}
	return fmt.Errorf("%s: %w", op, err)
}
