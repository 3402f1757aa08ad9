package live

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/headwater-live/headwater/remux/bytelog"
)

const (
	// lastTime is how long a client may take over the last bytes of an answer that it has not
	// been sent yet, as long as it takes some.
	lastTime = 1 * time.Minute
	// closeTime is how long a WebSocket's client may take over its goodbye.
	closeTime = 2 * time.Second
)

// rawOutput is an output that has a connection of its own.
type rawOutput interface {
	bytelog.Output
	// start is called once the viewer has begun.
	start(v *bytelog.Viewer)
	// finish ends the answer and closes the connection. ended says that the stream is over,
	// else the viewer is, with or without its peer's consent.
	finish(ended bool)
}

// takeOver takes a connection over from net/http and starts its viewer.
func (v *viewing) takeOver(w http.ResponseWriter, r *http.Request, upgrade bool) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		limitRest(w)
		unavailable(w, http.StatusInternalServerError, "this needs a connection of its own")
		v.left(fmt.Errorf("take over the connection: %w", err))
		return
	}
	out := v.server.newRawOutput(conn, buffered.Reader, head(w.Header(), r, upgrade), r.ProtoMinor, upgrade)
	viewer := v.to(out)
	forget := v.watch(func() {
		_ = conn.Close()
		viewer.Stop()
	})
	viewer.Start(func(err error) {
		out.finish(err == nil)
		forget()
		v.left(err)
	})
	out.start(viewer)
}

func (s *Server) newRawOutput(nc net.Conn, early *bufio.Reader, head []byte, minor int, upgrade bool) rawOutput {
	conn := bytelog.NewConn(nc)
	conn.Tune()
	conn.Put(head)
	switch {
	case upgrade:
		// What the client has sent already, it should not have.
		sent, _ := early.Peek(min(early.Buffered(), maxEarly))
		return newSocketOutput(conn, sent, &s.flooded)
	case minor == 0:
		return &plainOutput{conn: conn}
	}
	return &chunkOutput{conn: conn}
}

// head is the header of an answer.
func head(h http.Header, r *http.Request, upgrade bool) []byte {
	var b bytes.Buffer
	switch {
	case upgrade:
		b.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
		h.Del("Content-Type")
	case r.ProtoMinor == 0:
		b.WriteString("HTTP/1.0 200 OK\r\n")
		h.Set("Connection", "close")
	default:
		b.WriteString("HTTP/1.1 200 OK\r\n")
		h.Set("Transfer-Encoding", "chunked")
		h.Set("Connection", "close")
	}
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	_ = h.Write(&b) // a bytes.Buffer takes everything
	b.WriteString("\r\n")
	return b.Bytes()
}

// plainOutput writes bare bytes: HTTP/1.0.
type plainOutput struct{ conn *bytelog.Conn }

func (o *plainOutput) start(*bytelog.Viewer) {}

// Begin implements bytelog.Output.
func (o *plainOutput) Begin(b []byte, _ bool) { o.conn.Put(b) }

// Step implements bytelog.Output.
func (o *plainOutput) Step(wait bool) (int, bool, error) { return o.conn.Step(wait) }

// Sweepable implements bytelog.Output.
func (o *plainOutput) Sweepable() bool { return o.conn.Sweepable() }

func (o *plainOutput) finish(bool) { _ = o.conn.Close() }

// chunkOutput writes chunks, as they stand in the log: HTTP/1.1.
type chunkOutput struct{ conn *bytelog.Conn }

func (o *chunkOutput) start(*bytelog.Viewer) {}

// Begin implements bytelog.Output.
func (o *chunkOutput) Begin(b []byte, prologue bool) {
	if !prologue {
		o.conn.Put(b)
		return
	}
	if len(b) == 0 {
		return // a chunk without a byte would be the last one
	}
	framed := make([]byte, chunkHeader, chunkHeader+len(b)+chunkTrailer)
	putChunkHeader(framed, len(b))
	o.conn.Put(append(append(framed, b...), '\r', '\n'))
}

// Step implements bytelog.Output.
func (o *chunkOutput) Step(wait bool) (int, bool, error) { return o.conn.Step(wait) }

// Sweepable implements bytelog.Output.
func (o *chunkOutput) Sweepable() bool { return o.conn.Sweepable() }

func (o *chunkOutput) finish(ended bool) {
	if ended {
		o.conn.Put([]byte(lastChunk))
		_ = o.conn.Flush(lastTime) // the client has gone: nothing is left to do
	}
	_ = o.conn.Close()
}
