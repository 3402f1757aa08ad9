package rtmp

import (
	"fmt"
	"io"
	"time"
)

const (
	// minSlab and maxSlab are how much is read into before a new array is made.
	// Larger slabs are cheaper by the byte, for less of them is wasted at the
	// end and more is read at once, and a packet that is kept pins more. So how
	// large they are depends on how fast they fill; see the package comment.
	minSlab = 128 << 10
	maxSlab = 512 << 10

	// A slab that was full in less than slabShort is followed by one of twice
	// its size, one that lasted longer than slabLong by one of half its size.
	// They are far enough apart that a steady stream stays with one size:
	// minSlab up to 4 Mbit/s, maxSlab from 8 Mbit/s on.
	slabShort = 250 * time.Millisecond
	slabLong  = time.Second

	// slabShare is the part of a slab that one message may take: what is left
	// at a slab's end because the next message does not fit is wasted.
	slabShare = 4

	// firstPart is what an authorised peer gets for a long message before any
	// of its bytes came.
	firstPart = 64 << 10

	// directRead is from how many missing bytes on a payload with an array of
	// its own is read past the slab, straight into place.
	directRead = 4 << 10

	// minRead is the free space in a slab below which a new one is begun rather
	// than reading in small pieces.
	minRead = 2 << 10
)

// need makes n bytes available at buf[r:]. The error is io.EOF if not one is
// there, io.ErrUnexpectedEOF if some are.
func (c *chunkReader) need(n int) error {
	for c.w-c.r < n {
		if err := c.more(); err != nil {
			if c.w > c.r {
				err = noEOF(err)
			}
			return err
		}
	}
	return nil
}

// more reads at least one byte into the slab, or fails.
func (c *chunkReader) more() error {
	if c.err != nil {
		return c.err
	}
	least := min(minRead, c.slab/slabShare)
	if c.r == c.w || len(c.buf)-c.w < least {
		c.slide()
	}
	if c.building == nil && len(c.buf)-c.w < least {
		c.renew()
	}
	for range 100 {
		n, err := c.src.Read(c.buf[c.w:])
		c.w += n
		c.err = err
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// reserve makes room for n bytes from r on, of which some may be read already.
// It must not be called while a message is being built.
func (c *chunkReader) reserve(n int) {
	switch {
	case len(c.buf)-c.r >= n:
	case len(c.buf)-c.kept >= n:
		c.slide()
	default:
		c.renew()
	}
}

// slide moves the unread bytes down to where nothing is in use.
func (c *chunkReader) slide() {
	floor := c.kept
	if c.building != nil {
		floor = c.building.start + c.building.got
	}
	c.w = floor + copy(c.buf[floor:], c.buf[c.r:c.w])
	c.r = floor
}

// shrink makes do with small slabs from now on, unless the peer may publish.
func (c *chunkReader) shrink() {
	if c.keeps {
		return
	}
	c.slab, c.limits.minSlab, c.limits.maxSlab = playerBuffer, playerBuffer, playerBuffer
	if c.building == nil && c.w-c.r <= playerBuffer/2 {
		c.renew()
	}
}

// renew begins a slab, leaving the old one to those who hold its payloads. What is
// unread fits into it: less than the longest message that is built in a slab, of
// which even a slab of half the size could hold two.
func (c *chunkReader) renew() {
	now := time.Now()
	switch lasted := now.Sub(c.renewed); {
	case lasted < slabShort:
		c.slab = min(2*c.slab, c.limits.maxSlab)
	case lasted > slabLong:
		c.slab = max(c.slab/2, c.limits.minSlab)
	}
	c.renewed = now
	fresh := make([]byte, c.slab)
	c.w = copy(fresh, c.buf[c.r:c.w])
	c.buf, c.r, c.kept = fresh, 0, 0
}

// readDirect reads up to n bytes of a long message from the source into place.
func (c *chunkReader) readDirect(s *chunkStream, n int) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if err := c.grow(s, 1); err != nil {
		return 0, err
	}
	n, err := c.src.Read(s.own[s.got:min(cap(s.own), s.got+n)])
	s.got += n
	s.own = s.own[:s.got]
	c.err = err
	if n > 0 {
		err = nil
	}
	return n, err
}

// grow makes room for n more bytes in the array of s. It doubles what came, but
// an authorised peer that has sent a long message before gets as much at once.
func (c *chunkReader) grow(s *chunkStream, n int) error {
	if s.got+n <= cap(s.own) {
		return nil
	}
	size := min(s.length, max(s.got+n, 2*cap(s.own), c.limits.firstPart, c.largest))
	if c.partial+size-cap(s.own) > c.limits.partial {
		return fault(ReasonPartialBytes, "read chunk payload",
			fmt.Sprintf("unfinished messages need more than %d bytes", c.limits.partial))
	}
	c.partial += size - cap(s.own)
	s.own = append(make([]byte, 0, size), s.own...)
	return nil
}

// evict moves the message that is being built in the slab to an array of its
// own, because another chunk stream comes in between.
func (c *chunkReader) evict() error {
	s := c.building
	got := s.got
	s.got = 0
	if err := c.grow(s, got); err != nil {
		return err
	}
	s.own = append(s.own, c.buf[s.start:s.start+got]...)
	s.got, s.place = got, ownArray
	c.building = nil
	return nil
}
