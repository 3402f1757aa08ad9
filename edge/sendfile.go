package edge

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
)

// inFile is a body that stands in a file, from an offset on, and that others may read at the same time. note is for
// what whoever sends it has found out about the file, 0 at first.
type inFile interface {
	InFile() (file *os.File, offset int64, note *atomic.Int32)
}

// bodyInFile returns where a body stands that is read from r, and how long it is; false if that is not in a file.
func bodyInFile(r io.Reader) (body inFile, size int64, ok bool) {
	limited, ok := r.(*io.LimitedReader) // as http.ServeContent has it
	if !ok {
		return nil, 0, false
	}
	body, ok = limited.R.(inFile)
	return body, limited.N, ok
}

// connKey is the key of a request's connection in its context.
type connKey struct{}

func withConn(ctx context.Context, c net.Conn, server *http.Server) context.Context {
	if tcp, ok := c.(*limitedTCP); ok {
		ctx = context.WithValue(ctx, connKey{}, tcp)
	}
	return withExchange(ctx, c, server)
}

// fileWriter is a ResponseWriter for an answer whose body may stand in a file. Over plain TCP the kernel then sends it,
// together with the header.
type fileWriter struct {
	http.ResponseWriter
	conn *limitedTCP
}

// newFileWriter returns the writer for an answer. What has no plain TCP connection of its own, such as a stream of
// HTTP/2, is written to as ever.
func newFileWriter(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	conn, ok := r.Context().Value(connKey{}).(*limitedTCP)
	if !ok {
		return w
	}
	return &fileWriter{w, conn}
}

// Unwrap lets http.ResponseController find the connection.
func (w *fileWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ReadFrom implements io.ReaderFrom. The header goes first: otherwise net/http reads the first 512 bytes of the body to
// send them along.
func (w *fileWriter) ReadFrom(r io.Reader) (int64, error) {
	if _, _, ok := bodyInFile(r); ok {
		w.conn.more = true
		err := http.NewResponseController(w.ResponseWriter).Flush()
		w.conn.more = false
		if err != nil {
			return 0, err
		}
	}
	return io.Copy(w.ResponseWriter, r)
}

// ReadFrom implements io.ReaderFrom, through which net/http hands over a body.
func (c *limitedTCP) ReadFrom(r io.Reader) (int64, error) {
	body, size, ok := bodyInFile(r)
	if !ok {
		return c.TCPConn.ReadFrom(r)
	}
	return c.sender.sendBody(c.TCPConn, r, body, size)
}
