package ingest

import (
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux/bytelog"
)

// restTime is how long a publisher's connection rests between two reads while nobody watches the
// stream as it comes. An encoder sends some seventy messages a second, and to wake up for each
// costs more than all that is done with it; HLS notices nothing of 40 ms, and its first playlist
// may be five times as late. The socket's buffer takes what comes meanwhile.
const restTime = 40 * time.Millisecond

// restOf returns how long a connection rests. TLS returns a record at a time, at most 16 KiB and with many encoders
// 4 KiB, so a short read does not say that nothing else has come, and a rest for each would throttle the publisher.
func (s *Server) restOf(protocol string) time.Duration {
	if protocol == protocolSecure {
		return 0
	}
	return s.rest
}

// pacedConn is a connection that rests before it is read again when the last read has emptied
// it and resting says so. Until it publishes, what its peer sent is dealt with when it is its turn, and how much
// that may be is bounded: in all for strangers, by the second for who plays.
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
	// turns are those of all who do not publish; turn: this one has its turn. Only the session takes it, anybody
	// may end it.
	turns   turns
	turn    atomic.Bool
	trusted atomic.Bool
	// wishes bounds what who plays sends; nil for who has never played. It is the session's.
	wishes *bucket
}

const (
	// wishBurst and wishRate bound how many bytes, at once and by the second, somebody sends who plays and does not
	// publish. Acknowledgements are 16 bytes for every quarter of a megabyte or more, wishes to pause or seek a
	// hundred at a viewer's speed; and a single message may be as long as wishBurst.
	wishBurst = 64 << 10
	wishRate  = 8 << 10
)

// ReasonPlayerFlood is what a player is counted as who sends more than that.
const ReasonPlayerFlood = "player-flood"

var errPlayerFlood = &rtmp.Error{Reason: ReasonPlayerFlood, Op: "read", Text: "somebody who only plays sends too much"}

// turns bounds how many of those who do not publish are dealt with at once. A read gives each so much to do that
// hundreds that have come at once would keep publishers waiting for a CPU; so all of them
// together get half of the CPUs.
type turns chan struct{}

func newTurns() turns { return make(turns, max(1, runtime.GOMAXPROCS(0)/2)) }

// takeTurn waits for the turn, endTurn ends it: before anything else is waited for. Who closes the
// connection ends it as well, so none is taken from then on: what is still read is not dealt with.
func (c *pacedConn) takeTurn() {
	if c.turns == nil || c.trusted.Load() || c.closed.Load() || c.turn.Load() {
		return
	}
	c.turns <- struct{}{}
	c.turn.Store(true)
	if c.closed.Load() {
		c.endTurn()
	}
}

func (c *pacedConn) endTurn() {
	if c.turn.Swap(false) {
		<-c.turns
	}
}

// hurry lets reads rest no more: somebody else than the session reads from now on, to close the connection.
func (c *pacedConn) hurry() {
	c.closed.Store(true)
	c.endTurn()
}

// Waits implements rtmp.Waiter: to wait for a player's writer may take as long as the player likes.
func (c *pacedConn) Waits() { c.endTurn() }

// trust makes the peer one who publishes: it waits for no turn, and sends what it likes.
func (c *pacedConn) trust() {
	c.trusted.Store(true)
	c.endTurn()
}

// plays makes the peer one who plays and does not publish.
func (c *pacedConn) plays() {
	c.trusted.Store(false)
	if c.wishes == nil {
		c.wishes = &bucket{rate: wishRate, holds: wishBurst}
	}
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
	c.endTurn()
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
	if n > 0 {
		if c.flooded(n) {
			return 0, errPlayerFlood
		}
		c.takeTurn()
	}
	c.emptied.Store(n < len(p))
	return n, err
}

// flooded counts bytes that were read, and reports whether they are too many. Who closes the connection reads on
// another goroutine, and nothing that it reads is dealt with.
func (c *pacedConn) flooded(n int) bool {
	return !c.closed.Load() && !c.trusted.Load() && c.wishes != nil && c.wishes.overflows(float64(n), time.Now())
}

// Write implements net.Conn.
func (c *pacedConn) Write(p []byte) (int, error) {
	c.endTurn()
	return c.Conn.Write(p)
}

// Close implements net.Conn.
func (c *pacedConn) Close() error {
	c.hurry()
	return c.Conn.Close()
}

// Stepper implements rtmp.Stepping.
func (c *pacedConn) Stepper() rtmp.Stepper {
	if !c.steps.Sweepable() {
		return nil
	}
	return c.steps
}

// CloseWrite ends our direction, where the connection can do that. There is no rest after it:
// who closes reads what still comes, on any goroutine, and resting is for the session's.
func (c *pacedConn) CloseWrite() error {
	c.hurry()
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
