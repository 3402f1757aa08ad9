package rtmp

import (
	"net"
	"time"
)

// Stepper writes to a connection without waiting.
type Stepper interface {
	// WriteStep writes what the connection takes of b. With wait it waits until that is
	// something, for about a second, and then returns 0. It leaves no write deadline.
	WriteStep(b []byte, wait bool) (n int, err error)
}

// Stepping is a connection that has a Stepper, or nil.
type Stepping interface{ Stepper() Stepper }

// WriteSome writes some of what WriteChunks would write whole. The rest must be given to it
// again before anything else: nothing is sent in between. With wait it waits for the peer, but
// may return 0 after a second or so; without, which needs CanStep, it never waits. It is called
// by one goroutine at a time, which must have the turn if there are others.
func (c *ServerConn) WriteSome(b []byte, wait bool) (n int, err error) { return c.writeSome(b, wait) }

// Whole reports whether WriteSome has ended all that it began, so that something else can follow.
func (c *ServerConn) Whole() bool { return c.whole() }

// TakeTurn has others wait who write with WriteSome, for a connection that plays several streams. It
// returns false if that would take waiting, unless it may wait. PassTurn is to follow.
func (c *ServerConn) TakeTurn(wait bool) bool {
	if wait {
		c.turn.Lock()
		return true
	}
	return c.turn.TryLock()
}

// PassTurn lets others write.
func (c *ServerConn) PassTurn() { c.turn.Unlock() }

// CanStep reports whether WriteSome can do without waiting: the connection must have a Stepper.
func (c *ServerConn) CanStep() bool { return c.steps != nil }

// maxStep is how much writeSome writes at once where it cannot see how far it has got.
const maxStep = 16 << 10

// writeSome writes some of b, which is whole messages in chunks or the rest of such as it left it
// before. Without wait, which needs a Stepper, it writes what can be written at once; otherwise it
// may return 0 after a while.
func (t *transport) writeSome(b []byte, wait bool) (n int, err error) {
	if wait {
		t.writeMu.Lock()
	} else if !t.writeMu.TryLock() {
		return 0, nil
	}
	defer t.writeMu.Unlock()
	if t.pending.Load() && !t.halfway {
		if !wait {
			return 0, nil
		}
		_ = t.flushLocked() // kept in writeErr
	}
	switch {
	case t.writeErr != nil:
		return 0, t.writeErr
	case t.closed.Load():
		return 0, net.ErrClosed
	case t.steps == nil:
		n = min(len(b), maxStep)
		err = t.writeLocked(b[:n])
	default:
		n, err = t.step(b, wait)
	}
	t.halfway = n < len(b)
	return n, err
}

// whole reports whether writeSome has ended what it began.
func (t *transport) whole() bool {
	t.writeMu.Lock()
	defer t.writeMu.Unlock()
	return !t.halfway
}

// step writes what the connection takes.
func (t *transport) step(b []byte, wait bool) (n int, err error) {
	if t.until {
		t.until = false
		if err := t.nc.SetWriteDeadline(time.Time{}); err != nil {
			return 0, wrapRead("write", err)
		}
	}
	n, err = t.steps.WriteStep(b, wait)
	t.stepped.Add(uint64(n))
	if err != nil {
		t.writeErr = wrapRead("write", err)
		err = t.writeErr
	}
	return n, err
}
