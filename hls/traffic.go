package hls

import (
	"io"
	"net/http"
	"sync/atomic"
)

// counted counts the body bytes of an answer. It keeps the way open for sendfile: io.Copy finds its
// ReadFrom, which hands the file on to the connection.
type counted struct {
	http.ResponseWriter
	bytes *atomic.Uint64
}

// count returns a writer that adds what an answer sends to the metrics.
func (s *Server) count(w http.ResponseWriter) http.ResponseWriter {
	return &counted{ResponseWriter: w, bytes: &s.metrics.BytesSent}
}

// Write implements io.Writer.
func (c *counted) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.bytes.Add(uint64(n))
	return n, err
}

// ReadFrom implements io.ReaderFrom.
func (c *counted) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(c.ResponseWriter, r)
	c.bytes.Add(uint64(n))
	return n, err
}

// Unwrap lets http.ResponseController find the connection.
func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }
