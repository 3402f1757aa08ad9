package flv

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/headwater-live/headwater/remux/bytelog"
)

// output writes to a client.
type output interface {
	// tags writes bare bytes.
	tags([]byte) error
	// chunks writes whole HTTP chunks as they stand in the log.
	chunks([]byte) error
	// finish ends the response cleanly.
	finish() error
	close()
}

// newOutput sends the response header: over the connection itself for HTTP/1.1, where the
// log's chunks can be written as they are, else through w.
func newOutput(w http.ResponseWriter, r *http.Request) (output, error) {
	setHeaders(w.Header())
	hijacker, ok := w.(http.Hijacker)
	if !ok || r.ProtoMajor != 1 || r.ProtoMinor != 1 {
		w.WriteHeader(http.StatusOK)
		return &plainOutput{w: w, control: http.NewResponseController(w)}, nil
	}
	// What the client has sent after its request gets no answer: the response never ends
	// before the connection does.
	conn, _, err := hijacker.Hijack()
	if err != nil {
		return nil, fmt.Errorf("take over the connection: %w", err)
	}
	out := &rawOutput{conn: bytelog.Conn{Conn: conn}}
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
	return out, nil
}

// rawOutput writes to an HTTP/1.1 connection of its own.
type rawOutput struct{ conn bytelog.Conn }

func (o *rawOutput) chunks(b []byte) error { return o.conn.Send(b) }

func (o *rawOutput) tags(b []byte) error {
	framed := make([]byte, chunkHeader, chunkHeader+len(b)+chunkTrailer)
	putChunkHeader(framed, len(b))
	framed = append(framed, b...)
	return o.chunks(append(framed, '\r', '\n'))
}

func (o *rawOutput) finish() error { return o.chunks([]byte("0\r\n\r\n")) }

func (o *rawOutput) close() { _ = o.conn.Close() }

// maxKeptBuffer is how much memory a plain output keeps for its next write.
const maxKeptBuffer = 128 << 10

// plainOutput writes bare tags through net/http, which frames them: HTTP/2, and HTTP/1.0,
// where the end of the connection is the end of the response.
type plainOutput struct {
	w       http.ResponseWriter
	control *http.ResponseController
	buf     []byte
}

func (o *plainOutput) chunks(b []byte) error {
	o.buf = appendTags(o.buf[:0], b)
	err := o.tags(o.buf)
	if cap(o.buf) > maxKeptBuffer {
		o.buf = nil
	}
	return err
}

func (o *plainOutput) tags(b []byte) error {
	deadline := time.Now().Add(bytelog.StallTimeout)
	if err := o.control.SetWriteDeadline(deadline); err != nil && !errors.Is(err, http.ErrNotSupported) {
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
