package rtmp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// idlePing is how long a peer may be silent before it is pinged, and idleGone before
	// it is taken to be gone: half-open connections are found within 15 s.
	idlePing = 4 * time.Second
	idleGone = 12 * time.Second
	// renewDeadline is how old a read deadline may get before it is set again, which
	// costs more than some reads.
	renewDeadline = 1 * time.Second
	// writeTimeout bounds a write of commands or media: a peer that takes nothing for so
	// long is gone.
	writeTimeout = 10 * time.Second
	// ackWindow is the window we ask for and acknowledge by, in bytes (section 5.4.4).
	ackWindow = 2_500_000
	// sendChunkSize is the chunk size we announce, for commands and media alike: a
	// keyframe in one or two chunks. ffmpeg takes it over for its own.
	sendChunkSize = 65_536
)

// transport is what both sides of a connection share: messages in, with the control
// messages among them dealt with, and bytes out.
type transport struct {
	nc     net.Conn
	chunks *chunkReader

	// Of the reading goroutine.

	window   uint32
	acked    uint64
	heard    time.Time // when bytes last came
	deadline time.Time // the read deadline in force
	// phaseEnd is a time at which reading ends whatever comes, phaseErr why; zero is
	// never.
	phaseEnd time.Time
	phaseErr error
	pinged   bool
	ignored  atomic.Uint64

	// writing guards the connection's other direction.
	writing       sync.Mutex
	writeDeadline time.Time
}

func newTransport(nc net.Conn) *transport {
	t := &transport{nc: nc, window: ackWindow, heard: time.Now()}
	t.chunks = newChunkReader(t)
	return t
}

// Read reads from the connection for the chunk reader. A peer that is silent is pinged; one
// that stays silent is gone.
func (t *transport) Read(p []byte) (int, error) {
	for {
		if err := t.renew(time.Now()); err != nil {
			return 0, err
		}
		n, err := t.nc.Read(p)
		if n > 0 {
			t.heard, t.pinged = time.Now(), false
			return n, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, err
		}
		if err := t.silent(time.Now()); err != nil {
			return 0, err
		}
	}
}

// renew sets the read deadline, unless the one in force is new enough.
func (t *transport) renew(now time.Time) error {
	next := now.Add(idlePing)
	if !t.phaseEnd.IsZero() && t.phaseEnd.Before(next) {
		next = t.phaseEnd
		if !next.After(now) {
			return t.phaseErr
		}
	}
	if next.Sub(t.deadline) < renewDeadline && t.deadline.After(now) {
		return nil
	}
	t.deadline = next
	return t.nc.SetReadDeadline(next)
}

// silent decides what to do about a peer from which nothing has come.
func (t *transport) silent(now time.Time) error {
	if !t.phaseEnd.IsZero() && !t.phaseEnd.After(now) {
		return t.phaseErr
	}
	quiet := now.Sub(t.heard)
	if quiet >= idleGone {
		return ErrIdle
	}
	if quiet >= idlePing-renewDeadline && !t.pinged {
		t.pinged = true
		return t.write(appendUserControl(nil, eventPingRequest, uint32(now.UnixMilli())))
	}
	return nil
}

// phase bounds the time until something has to have happened; a zero time ends that.
func (t *transport) phase(end time.Time, err error) {
	t.phaseEnd, t.phaseErr = end, err
	t.deadline = time.Time{}
}

// next returns the next message that is none of the protocol's own.
func (t *transport) next() (Message, error) {
	for {
		m, err := t.chunks.read()
		if err != nil {
			return m, err
		}
		if received := t.chunks.stats.Bytes; received-t.acked >= uint64(t.window) {
			t.acked = received
			if err := t.write(appendControl32(nil, TypeAck, uint32(received))); err != nil {
				return m, err
			}
		}
		mine, err := t.control(m)
		if err != nil {
			return m, err
		}
		if !mine {
			return m, nil
		}
	}
}

// control deals with protocol control and user control messages, on whatever chunk stream
// they come (sections 5.4 and 7.1.7).
func (t *transport) control(m Message) (mine bool, err error) {
	switch m.Type {
	case TypeSetChunkSize, TypeAbort, TypeAck, TypeWindowAckSize, TypePeerBandwidth:
		if len(m.Payload) < 4 {
			return true, fmt.Errorf("read control message of type %d: %w", m.Type, ErrControl)
		}
	case TypeUserControl:
		return true, t.userControl(m.Payload)
	default:
		return false, nil
	}
	v := binary.BigEndian.Uint32(m.Payload)
	switch m.Type {
	case TypeSetChunkSize:
		if v == 0 || v > 0x7fffffff {
			return true, fmt.Errorf("%w: %#x", ErrChunkSize, v)
		}
		t.chunks.chunkSize = int(min(v, maxUsedChunkSize))
	case TypeAbort:
		t.chunks.abort(v)
	case TypeWindowAckSize:
		// A window of a few bytes would make us answer every chunk.
		t.window = max(v, readBuffer)
	case TypePeerBandwidth:
		return true, t.write(appendControl32(nil, TypeWindowAckSize, ackWindow))
	}
	return true, nil
}

func (t *transport) userControl(p []byte) error {
	if len(p) < 6 || binary.BigEndian.Uint16(p) != eventPingRequest {
		return nil
	}
	return t.write(appendUserControl(nil, eventPingResponse, binary.BigEndian.Uint32(p[2:])))
}

// write sends bytes that are already chunks.
func (t *transport) write(b []byte) error {
	t.writing.Lock()
	defer t.writing.Unlock()
	if now := time.Now(); t.writeDeadline.Sub(now) < writeTimeout-renewDeadline {
		t.writeDeadline = now.Add(writeTimeout)
		if err := t.nc.SetWriteDeadline(t.writeDeadline); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	if _, err := t.nc.Write(b); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// appendCommand appends a command message on the command chunk stream.
func appendCommand(dst []byte, streamID uint32, values ...Value) []byte {
	return AppendMessage(dst, csidCommand, Message{
		Type: TypeCommand, StreamID: streamID, Payload: AppendAMF0(nil, values...),
	}, sendChunkSize)
}
