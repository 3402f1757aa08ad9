package flv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

const (
	// stallTimeout is how long a write may make no progress.
	stallTimeout = 10 * time.Second
	// renewDeadline is how old a write deadline may get before it is set again:
	// setting it at every write would cost more than some writes.
	renewDeadline = 1 * time.Second
	// maxJumps in jumpWindow are as often as a viewer may fall behind.
	maxJumps   = 5
	jumpWindow = time.Minute
	// bareBuffer is how many bytes of bare tags are gathered for one write.
	bareBuffer = 64 << 10
)

var errTooSlow = errors.New("fell behind again and again")

// viewer is one response. It belongs to the goroutine of its request.
type viewer struct {
	server  *Server
	log     *Log
	out     output
	configs uint64
	jumps   []time.Time
}

// output writes to a client. The bytes are whole HTTP chunks, or bare tags, as the
// output wants them.
type output interface {
	// chunks writes whole chunks as they stand in the log.
	chunks([]byte) error
	// tags writes bare bytes.
	tags([]byte) error
	// finish ends the response cleanly.
	finish() error
	close()
}

// newViewer sends the response header: over a connection of its own for HTTP/1.1,
// where the log's chunks can be written as they are, else through w.
func newViewer(w http.ResponseWriter, r *http.Request) (*viewer, error) {
	setHeaders(w.Header())
	if r.ProtoMajor == 1 && r.ProtoMinor == 1 {
		if hijacker, ok := w.(http.Hijacker); ok {
			conn, buffered, err := hijacker.Hijack()
			if err != nil {
				return nil, fmt.Errorf("take over the connection: %w", err)
			}
			_ = buffered // a client that sends more after its request gets no answer
			out := &rawOutput{conn: conn}
			var head bytes.Buffer
			head.WriteString("HTTP/1.1 200 OK\r\n")
			h := w.Header()
			h.Set("Transfer-Encoding", "chunked")
			h.Set("Connection", "close")
			h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
			_ = h.Write(&head) // a bytes.Buffer takes everything
			head.WriteString("\r\n")
			if err := out.chunks(head.Bytes()); err != nil {
				out.close()
				return nil, fmt.Errorf("write response header: %w", err)
			}
			return &viewer{out: out}, nil
		}
	}
	w.WriteHeader(http.StatusOK)
	return &viewer{out: &plainOutput{w: w, control: http.NewResponseController(w)}}, nil
}

// run sends the stream until it or the viewer ends, and says why.
func (v *viewer) run(ctx context.Context) (reason string) {
	defer v.out.close()
	if conn, ok := v.out.(*rawOutput); ok {
		defer context.AfterFunc(ctx, func() { _ = conn.conn.Close() })()
	}
	prologue, at, configs := v.log.join(nil, 0, true)
	v.configs = configs
	if err := v.out.tags(prologue); err != nil {
		return v.failed(err)
	}
	for {
		now := v.log.state()
		if now.end-at.offset() > int64(v.server.config.MaxBacklog) {
			if err := v.jump(&at); err != nil {
				return v.failed(err)
			}
		}
		wrote := false
		for b := at.read(); b != nil; b = at.read() {
			if err := v.out.chunks(b); err != nil {
				return v.failed(err)
			}
			at.at += len(b)
			v.server.metrics.BytesSent.Add(uint64(len(b)))
			wrote = true
			if v.log.behind(at) > int64(v.server.config.MaxBacklog) {
				break
			}
		}
		if wrote {
			continue
		}
		if now.closed {
			if err := v.out.finish(); err != nil {
				return v.failed(err)
			}
			return "stream ended"
		}
		select {
		case <-now.wake:
		case <-ctx.Done():
			return "gone"
		}
	}
}

// jump moves a viewer that is too far behind to the newest keyframe, unless it has
// fallen behind too often.
func (v *viewer) jump(at *position) error {
	now := time.Now()
	for len(v.jumps) > 0 && now.Sub(v.jumps[0]) > jumpWindow {
		v.jumps = v.jumps[1:]
	}
	if len(v.jumps) >= maxJumps {
		return errTooSlow
	}
	prologue, to, configs := v.log.join(nil, v.configs, false)
	if to.offset() <= at.offset() {
		return nil // the GOP itself is larger than the limit: there is nowhere to go
	}
	v.jumps = append(v.jumps, now)
	v.server.metrics.Jumps.Add(1)
	*at, v.configs = to, configs
	return v.out.tags(prologue)
}

func (v *viewer) failed(err error) string {
	if errors.Is(err, errTooSlow) || isTimeout(err) {
		v.server.metrics.SlowClosed.Add(1)
		return "too slow"
	}
	return "gone"
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// rawOutput writes to an HTTP/1.1 connection of its own.
type rawOutput struct {
	conn     net.Conn
	deadline time.Time
}

func (o *rawOutput) chunks(b []byte) error {
	if now := time.Now(); o.deadline.Sub(now) < stallTimeout {
		o.deadline = now.Add(stallTimeout + renewDeadline)
		if err := o.conn.SetWriteDeadline(o.deadline); err != nil {
			return err
		}
	}
	_, err := o.conn.Write(b)
	return err
}

func (o *rawOutput) tags(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	framed := make([]byte, chunkHeader, chunkHeader+len(b)+chunkTrailer)
	putChunkHeader(framed, len(b))
	framed = append(framed, b...)
	return o.chunks(append(framed, "\r\n"...))
}

func (o *rawOutput) finish() error { return o.chunks([]byte("0\r\n\r\n")) }

func (o *rawOutput) close() { _ = o.conn.Close() }

// plainOutput writes bare tags through net/http, which frames them: HTTP/2, and
// HTTP/1.0, where the end of the connection is the end of the response.
type plainOutput struct {
	w       http.ResponseWriter
	control *http.ResponseController
	buf     []byte
}

func (o *plainOutput) chunks(b []byte) error {
	o.buf = appendTags(o.buf[:0], b)
	err := o.tags(o.buf)
	if cap(o.buf) > 2*bareBuffer {
		o.buf = nil
	}
	return err
}

func (o *plainOutput) tags(b []byte) error {
	if err := o.control.SetWriteDeadline(time.Now().Add(stallTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := o.w.Write(b); err != nil {
		return err
	}
	return o.control.Flush()
}

func (o *plainOutput) finish() error { return nil }

func (o *plainOutput) close() {}

func setHeaders(h http.Header) {
	h.Set("Content-Type", "video/x-flv")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
}

func unavailable(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // the client has gone: nothing is left to do
}
