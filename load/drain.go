package load

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// flow is a connection on which a stream comes in without an end.
type flow struct {
	conn   net.Conn
	begun  []byte // what has been read beyond the answer
	parser parser // nil only counts, and then the kernel may throw the bytes away
	meter  *meter
	total  *atomic.Int64 // bytes of the viewer
	timed  bool          // delays are measured: it must be read at once
	plays  bool          // RTMP through a client: a stall shows while it lasts
	acks   bool          // RTMP: tell the server now and then how much came

	// Of the goroutine that reads.
	last    time.Time // when the newest bytes came
	stalled time.Time // until when the silence since then has been counted as a stall
	got     int64     // bytes on this connection
	acked   int64
	ackedAt time.Time
}

const (
	// drainBuffer is how much is read at once. Where the kernel throws the bytes away it is never touched.
	drainBuffer = 1 << 20

	// ackBytes and ackEvery are how often an RTMP server is told what came. It is also a sign of life, without
	// which some servers give a player up.
	ackBytes = rtmp.DefaultWindowAckSize
	ackEvery = 3 * time.Second
)

// received takes note of n bytes; p is what they are, or nil.
func (f *flow) received(p []byte, n int, now time.Time) error {
	f.silence(now)
	f.meter.bytes.Add(int64(n))
	f.total.Add(int64(n))
	f.got += int64(n)
	f.last, f.stalled = now, time.Time{}
	if f.acks && (f.got-f.acked >= ackBytes || now.Sub(f.ackedAt) >= ackEvery) {
		f.acked, f.ackedAt = f.got, now
		if err := f.write(acknowledgement(f.got)); err != nil {
			return err
		}
	}
	if f.parser == nil || p == nil {
		return nil
	}
	return f.parser.parse(p, now)
}

// silence counts a stall when nothing came for too long.
func (f *flow) silence(now time.Time) {
	switch {
	case now.Sub(f.last) < f.meter.stallAfter:
		return
	case f.stalled.IsZero():
		f.meter.stall(1, now.Sub(f.last))
	default:
		f.meter.stall(0, now.Sub(f.stalled))
	}
	f.stalled = now
}

// write sends the few bytes that a viewer has to say. They always fit the socket's buffer, unless the server
// never reads, and then it has only itself to blame.
func (f *flow) write(p []byte) error {
	_ = f.conn.SetWriteDeadline(time.Now().Add(time.Millisecond))
	if _, err := f.conn.Write(p); err != nil && !isTimeout(err) {
		return err
	}
	return nil
}

// acknowledgement is an RTMP message of that name (RTMP 1.0, section 5.4.3).
func acknowledgement(bytes int64) []byte {
	const chunkStream, kind, chunkSize = 2, 3, 128
	payload := binary.BigEndian.AppendUint32(nil, uint32(bytes))
	return rtmp.AppendMessage(nil, chunkStream, kind, 0, 0, chunkSize, payload)
}

// begin takes note of what came together with the answer.
func (f *flow) begin() error {
	begun := f.begun
	f.begun = nil
	if len(begun) == 0 {
		return nil
	}
	return f.received(begun, len(begun), time.Now())
}

// drainByReading reads a flow to its end with a goroutine of its own: where there is no better way, and for
// TLS. It closes the connection.
func drainByReading(ctx context.Context, f *flow) error {
	defer f.conn.Close() //nolint:errcheck // only read
	defer context.AfterFunc(ctx, func() { _ = f.conn.Close() })()
	if err := f.begin(); err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	for {
		_ = f.conn.SetReadDeadline(time.Now().Add(f.meter.stallAfter / 4))
		n, err := f.conn.Read(buf)
		if n > 0 {
			if err := f.received(buf[:n], n, time.Now()); err != nil {
				return err
			}
		}
		switch {
		case err == nil:
		case isTimeout(err):
			f.silence(time.Now())
		case errors.Is(err, io.EOF):
			return errEnded
		default:
			return err
		}
	}
}
