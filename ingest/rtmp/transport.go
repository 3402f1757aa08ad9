package rtmp

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// transport is what both ends of a connection need: messages in, with the
// control messages among them dealt with, and bytes out.
type transport struct {
	// What writeSome looks at stands together in one cache line: with hundreds of players its cost is
	// that of fetching this from memory.
	turn     sync.Mutex    // see TakeTurn
	writeMu  sync.Mutex    // for all of writing
	steps    Stepper       // nil if nc has none
	stepped  atomic.Uint64 // bytes that it has taken
	pending  atomic.Bool   // out is not empty
	closed   atomic.Bool
	until    bool // a write deadline is in force
	halfway  bool // WriteSome has begun what it has not ended
	writeErr error

	nc      net.Conn
	stats   counters
	parting atomic.Bool // the read deadline is the last one

	suspended atomic.Bool // see ServerConn.Suspend

	// Of the reading goroutine.
	chunks *chunkReader
	watch  watchdog
	window uint64 // the peer wants an acknowledgement every so many bytes
	acked  uint64 // bytes acknowledged
	wanted uint32 // the window that the peer was last told
	unread []byte // read by somebody else before; see ResumeServerConn

	// Writing. Answers are collected in out and written before the next read.
	out          []byte
	writeTimeout time.Duration
	writeUntil   time.Time // the write deadline in force, if until says so
}

// init sets up a transport, once.
func (t *transport) init(nc net.Conn, writeTimeout time.Duration) {
	t.nc, t.window, t.writeTimeout = nc, DefaultWindowAckSize, writeTimeout
	if stepping, ok := nc.(Stepping); ok {
		t.steps = stepping.Stepper()
	}
	t.chunks = newChunkReader(readerFunc(t.read), &t.stats)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// read reads from the connection, for the chunk reader. Before it waits it
// writes what is pending; while it waits it watches over the peer.
func (t *transport) read(p []byte) (int, error) {
	for {
		if t.closed.Load() {
			return 0, net.ErrClosed
		}
		if len(t.unread) > 0 {
			n := copy(p, t.unread)
			if t.unread = t.unread[n:]; len(t.unread) == 0 {
				t.unread = nil
			}
			return n, nil
		}
		if t.suspended.Load() {
			return 0, ErrSuspended
		}
		if t.pending.Load() {
			// A peer that has left without waiting for the answer may have sent
			// more before: only one that does not read ends the connection here.
			if err := t.flush(); Reason(err) == ReasonWriteTimeout {
				return 0, err
			}
		}
		n, err := t.nc.Read(p)
		if n > 0 {
			t.stats.bytesIn.Add(uint64(n))
			t.acknowledge()
			return n, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || t.parting.Load() {
			return 0, err
		}
		if err := t.tick(time.Now()); err != nil {
			return 0, err
		}
	}
}

// acknowledge says what has come when the peer wants to hear of it.
func (t *transport) acknowledge() {
	if in := t.stats.bytesIn.Load(); in-t.acked >= t.window {
		t.acked = in
		t.send(appendControl(nil, typeAck, uint32(in))) // modulo 2^32
	}
}

// control deals with the control messages that are not for the chunk reader
// (sections 5.4 and 7.1.7). It reports whether m is one.
func (t *transport) control(m message) bool {
	switch m.kind {
	case typeAck, typeUserControl, typeWindowAckSize, typePeerBandwidth:
	default:
		return false
	}
	if m.kind == typeUserControl {
		if len(m.payload) < 2 {
			t.stats.skip(SkipMalformedControl)
		} else if len(m.payload) >= 6 && binary.BigEndian.Uint16(m.payload) == eventPingRequest {
			t.send(appendEvent(nil, eventPingResponse, binary.BigEndian.Uint32(m.payload[2:])))
		}
		return true
	}
	if len(m.payload) < 4 {
		t.stats.skip(SkipMalformedControl)
		return true
	}
	size := binary.BigEndian.Uint32(m.payload)
	switch m.kind {
	case typeWindowAckSize:
		if size > 0 {
			t.window = uint64(max(size, minAckWindow))
		}
	case typePeerBandwidth:
		if size != t.wanted {
			t.wanted = size
			t.send(appendControl(nil, typeWindowAckSize, size))
		}
	}
	return true
}

const (
	// closeFlush is how long closing waits for what is still to be written,
	closeFlush = time.Second
	// and lingerTime and lingerBytes bound how much of what a refused peer
	// still sends is read, so that closing does not reset the connection
	// before the refusal has been read.
	lingerTime  = 2 * time.Second
	lingerBytes = 4 << 20
)

// close ends the connection once; further calls do nothing. It writes what is
// pending and the last bytes, and with linger gives the peer the time to read them.
func (t *transport) close(last []byte, linger bool) error {
	if t.closed.Swap(true) {
		return nil
	}
	t.parting.Store(true)
	// Also wakes a writer that waits for the peer, and so frees the lock.
	_ = t.nc.SetWriteDeadline(time.Now().Add(closeFlush))
	t.writeMu.Lock()
	_ = t.nc.SetWriteDeadline(time.Now().Add(closeFlush)) // that writer may have lifted it
	t.out = append(t.out, last...)
	_ = t.flushLocked() // the connection ends anyway
	t.writeMu.Unlock()
	if half, ok := t.nc.(interface{ CloseWrite() error }); ok && linger && half.CloseWrite() == nil {
		t.drain()
	}
	return t.nc.Close()
}

// drain reads and forgets what the peer still sends.
func (t *transport) drain() {
	if t.nc.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	buf := make([]byte, unauthorisedBuffer)
	for left := lingerBytes; left > 0; {
		n, err := t.nc.Read(buf)
		if err != nil {
			return
		}
		left -= n
	}
}
