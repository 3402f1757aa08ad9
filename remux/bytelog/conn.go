package bytelog

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// StallTimeout is how long a viewer may take nothing of what is written to it.
	StallTimeout = 10 * time.Second
	// stepTime bounds one step of a write, so that a viewer that waits for its peer sees in
	// between how far behind it is.
	stepTime = 1 * time.Second
	// piece is how much is written at once where a write cannot be watched while it waits:
	// a record of TLS.
	piece = 16 << 10
	// renewDeadline is how old the deadline of such writes may get: setting it at each would
	// cost more than some writes.
	renewDeadline = 1 * time.Second
)

// Conn writes to a connection in steps. Over TCP a step takes what the socket has room for,
// in one system call, and need not wait. It is used by one goroutine at a time.
type Conn struct {
	net.Conn
	// left is what is still to be written.
	left     [][]byte
	room     [3][]byte // the memory of left, mostly
	direct   direct
	deadline time.Time // in force; zero is none
}

// NewConn returns a Conn with nothing to write.
func NewConn(nc net.Conn) *Conn {
	c := &Conn{Conn: nc}
	c.left = c.room[:0]
	c.direct.open(nc)
	return c
}

// Tune prepares a TCP connection for a viewer: the kernel keeps little that is not on its way, and
// ends the connection when the peer has acknowledged nothing for StallTimeout.
func (c *Conn) Tune() {
	if secure, ok := c.Conn.(interface{ NetConn() net.Conn }); ok { // TLS
		var socket direct
		socket.open(secure.NetConn())
		socket.tune()
		return
	}
	c.direct.tune()
}

// Put adds bytes to what is to be written. They must stay as they are until they have been.
func (c *Conn) Put(b ...[]byte) {
	for _, part := range b {
		if len(part) > 0 {
			c.left = append(c.left, part)
		}
	}
}

// Sweepable reports whether Step can do without waiting.
func (c *Conn) Sweepable() bool { return c.direct.usable() }

// Step writes some of what is left. If it may wait it does, for up to stepTime where the wait
// can be resumed, else for StallTimeout, after which it fails. It returns how many bytes were
// taken, and whether nothing is left.
func (c *Conn) Step(wait bool) (n int, done bool, err error) {
	switch {
	case len(c.left) == 0:
		return 0, true, nil
	case !c.direct.usable():
		n, err = c.writePiece()
	default:
		n, err = c.direct.write(c.left, false)
		if n == 0 && err == nil && wait {
			n, err = c.writeWaiting()
		}
	}
	c.skip(n)
	return n, len(c.left) == 0, err
}

// WriteStep writes some of b, as Step does with what was Put.
func (c *Conn) WriteStep(b []byte, wait bool) (n int, err error) {
	if !wait && c.direct.usable() {
		c.room[0] = b
		n, err = c.direct.write(c.room[:1], false)
		c.room[0] = nil
		return n, err
	}
	c.Put(b)
	n, _, err = c.Step(wait)
	clear(c.left)
	c.left = c.room[:0]
	return n, err
}

// writeWaiting waits until the socket takes something. Taking nothing for stepTime is no error.
func (c *Conn) writeWaiting() (n int, err error) {
	if err := c.SetWriteDeadline(time.Now().Add(stepTime)); err != nil {
		return 0, err
	}
	n, err = c.direct.write(c.left, true)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	if clearErr := c.SetWriteDeadline(time.Time{}); err == nil {
		err = clearErr
	}
	return n, err
}

var pieces = sync.Pool{New: func() any { return new([piece]byte) }}

// writePiece writes up to a record, whole.
func (c *Conn) writePiece() (n int, err error) {
	if now := time.Now(); c.deadline.Sub(now) < StallTimeout {
		c.deadline = now.Add(StallTimeout + renewDeadline)
		if err := c.SetWriteDeadline(c.deadline); err != nil {
			return 0, err
		}
	}
	b := c.left[0]
	if len(c.left) > 1 && len(b) < piece {
		joined := pieces.Get().(*[piece]byte)
		defer pieces.Put(joined)
		for _, part := range c.left {
			n += copy(joined[n:], part)
		}
		b = joined[:n]
	}
	return c.Write(b[:min(len(b), piece)])
}

// skip takes what was written off what is left.
func (c *Conn) skip(n int) {
	for n > 0 {
		first := c.left[0]
		if n < len(first) {
			c.left[0] = first[n:]
			return
		}
		n -= len(first)
		c.left[0] = nil
		c.left = c.left[1:]
	}
	if len(c.left) == 0 {
		c.left = c.room[:0]
	}
}

// Idle reports whether nothing is left to be written.
func (c *Conn) Idle() bool { return len(c.left) == 0 }

// Flush writes all that is left, as long as the peer takes some of it every StallTimeout, and
// within the limit.
func (c *Conn) Flush(limit time.Duration) error {
	began := time.Now()
	progress := began
	for {
		n, done, err := c.Step(true)
		if done || err != nil {
			return err
		}
		now := time.Now()
		if n > 0 {
			progress = now
		}
		if now.Sub(began) > limit || now.Sub(progress) > StallTimeout {
			return ErrStalled
		}
	}
}
