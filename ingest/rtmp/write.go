package rtmp

import (
	"errors"
	"os"
	"time"
)

// Waiter is a connection that wants to know when the goroutine that reads it has to wait for one that writes.
type Waiter interface{ Waits() }

// lockWrite takes writeMu for the reading goroutine. Who has it may be waiting for the peer to read, so the
// connection is told before that is waited for.
func (t *transport) lockWrite() {
	if t.writeMu.TryLock() {
		return
	}
	if nc, ok := t.nc.(Waiter); ok {
		nc.Waits()
	}
	t.writeMu.Lock()
}

// send adds bytes to those written before the next read. An error of writing
// shows there.
func (t *transport) send(b []byte) {
	t.lockWrite()
	defer t.writeMu.Unlock()
	t.out = append(t.out, b...)
	t.pending.Store(true)
	switch {
	case len(t.out) <= maxPending:
	case t.halfway && t.writeErr == nil:
		t.writeErr = fault(ReasonWriteTimeout, "write", "the peer asks and does not read")
	default:
		_ = t.flushLocked() // kept in writeErr
	}
}

// flush writes what is pending.
func (t *transport) flush() error {
	t.lockWrite()
	defer t.writeMu.Unlock()
	return t.flushLocked()
}

// flushAndForget is flush, and gives the memory back: little follows.
func (t *transport) flushAndForget() error {
	t.lockWrite()
	defer t.writeMu.Unlock()
	err := t.flushLocked()
	if len(t.out) == 0 {
		t.out = nil
	}
	return err
}

func (t *transport) flushLocked() error {
	if t.halfway {
		return t.writeErr // after that
	}
	t.pending.Store(false)
	b := t.out
	if t.out = t.out[:0]; cap(t.out) > keepWriteBuffer {
		t.out = nil
	}
	return t.writeLocked(b)
}

// keepWriteBuffer is up to which size the array of a connection's pending
// output is kept for the next time.
const keepWriteBuffer = 64 << 10

// renewDeadline is how long a write deadline may have been in force before it
// is renewed: setting one costs more than a small write.
const renewDeadline = time.Second

// writeLocked writes complete messages. After an error, which may have broken
// one off, nothing is written any more.
func (t *transport) writeLocked(b []byte) error {
	if t.writeErr != nil || len(b) == 0 {
		return t.writeErr
	}
	if now := time.Now(); !t.closed.Load() && (!t.until || t.writeUntil.Sub(now) < t.writeTimeout) {
		t.writeUntil, t.until = now.Add(t.writeTimeout+renewDeadline), true
		if err := t.nc.SetWriteDeadline(t.writeUntil); err != nil {
			t.writeErr = wrapRead("write", err)
			return t.writeErr
		}
	}
	n, err := t.nc.Write(b)
	t.stats.bytesOut.Add(uint64(n))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fault(ReasonWriteTimeout, "write", "the peer does not read")
	}
	if err != nil {
		t.writeErr = wrapRead("write", err)
	}
	return t.writeErr
}

// writeMessage writes one message, after what is pending, in one Write.
func (t *transport) writeMessage(csid uint32, kind uint8, streamID, timestamp uint32, chunkSize int, payload []byte) error {
	t.writeMu.Lock()
	defer t.writeMu.Unlock()
	t.out = AppendMessage(t.out, csid, kind, streamID, timestamp, chunkSize, payload)
	return t.flushLocked()
}

// writeChunks writes bytes that are whole messages in chunks.
func (t *transport) writeChunks(b []byte) error {
	t.writeMu.Lock()
	defer t.writeMu.Unlock()
	if err := t.flushLocked(); err != nil {
		return err
	}
	return t.writeLocked(b)
}
