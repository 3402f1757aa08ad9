package ingest

import (
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/remux/bytelog"
)

// restTime is how long a publisher's connection rests between two reads while nobody watches the
// stream as it comes. An encoder sends some seventy messages a second, and to wake up for each
// costs more than all that is done with it; HLS notices nothing of 40 ms, and its first playlist
// may be five times as late. The socket's buffer takes what comes meanwhile.
const restTime = 40 * time.Millisecond

// pacedConn is a connection that rests before it is read again when the last read has emptied
// it and resting says so.
type pacedConn struct {
	net.Conn
	resting func() bool
	rest    time.Duration
	steps   *bytelog.Conn
	// emptied: the last read got less than it had room for. Closing reads as well, so that a
	// refusal arrives, and not on the session's goroutine.
	emptied atomic.Bool
	closed  atomic.Bool
	// budget is how many more bytes are read, below 0 as many as come; over: somebody wanted more.
	budget atomic.Int64
	over   atomic.Bool
}

// limit bounds what is read from now on; 0 is no bound.
func (c *pacedConn) limit(n int) {
	if n <= 0 {
		n = -1
	}
	c.budget.Store(int64(n))
}

// exhausted reports whether the connection was broken off for sending more than it may.
func (c *pacedConn) exhausted() bool { return c.over.Load() }

// Read implements net.Conn.
func (c *pacedConn) Read(p []byte) (int, error) {
	if c.emptied.Load() && !c.closed.Load() && c.resting() {
		time.Sleep(c.rest)
	}
	left := c.budget.Load()
	switch {
	case left == 0:
		c.over.Store(true)
		return 0, io.ErrUnexpectedEOF
	case left > 0:
		p = p[:min(int64(len(p)), left)]
	}
	n, err := c.Conn.Read(p)
	if left > 0 {
		c.budget.CompareAndSwap(left, left-int64(n))
	}
	c.emptied.Store(n < len(p))
	return n, err
}

// Close implements net.Conn.
func (c *pacedConn) Close() error {
	c.closed.Store(true)
	return c.Conn.Close()
}

// CanStep implements rtmp.Stepper.
func (c *pacedConn) CanStep() bool { return c.steps.Sweepable() }

// WriteStep implements rtmp.Stepper.
func (c *pacedConn) WriteStep(b []byte, wait bool) (n int, err error) {
	return c.steps.WriteStep(b, wait)
}

// CloseWrite ends our direction, where the connection can do that.
func (c *pacedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
