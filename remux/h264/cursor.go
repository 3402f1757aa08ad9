package h264

// Cursor walks over the NALUs of an AVCC access unit. It allocates nothing and keeps
// a reference to the access unit.
//
//	for c := h264.NALUs(au, 4); c.Next(); {
//		use(c.NALU())
//	}
//
// Empty NALUs are passed over. The walk ends before a NALU that reaches past the end
// of the access unit; Truncated tells that from a clean end.
type Cursor struct {
	rest, nalu []byte
	lengthSize int
	truncated  bool
}

// NALUs returns a Cursor before the first NALU. A lengthSize that is not 1 to 4 is
// taken as 4.
func NALUs(au []byte, lengthSize int) Cursor {
	if lengthSize < 1 || lengthSize > 4 {
		lengthSize = 4
	}
	return Cursor{rest: au, lengthSize: lengthSize}
}

// Next moves to the next NALU that is not empty and reports whether there is one.
func (c *Cursor) Next() bool {
	for len(c.rest) >= c.lengthSize {
		var n uint64
		for _, b := range c.rest[:c.lengthSize] {
			n = n<<8 | uint64(b)
		}
		body := c.rest[c.lengthSize:]
		if n > uint64(len(body)) {
			break
		}
		c.nalu, c.rest = body[:n:n], body[n:]
		if n > 0 {
			return true
		}
	}
	c.truncated = len(c.rest) > 0
	c.nalu, c.rest = nil, nil
	return false
}

// NALU returns the current NALU: at least its one-byte header. It aliases the
// access unit.
func (c *Cursor) NALU() []byte { return c.nalu }

// Truncated reports, after Next has returned false, whether bytes were left over
// that are no whole NALU.
func (c *Cursor) Truncated() bool { return c.truncated }
