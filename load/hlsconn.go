package load

import (
	"context"
	"io"
	"net"
	"strings"
)

const (
	// segmentBuffer is how much of a segment is read at once. Reads of at least discardFrom bytes are only
	// counted by a connection that discards: of all that net/http reads only bodies are asked for in such
	// pieces, and never beyond their end.
	segmentBuffer = 256 << 10
	discardFrom   = 64 << 10
)

// smallReads never asks for so much that it would be thrown away.
type smallReads struct{ r io.Reader }

func (s smallReads) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), discardFrom/2)]) }

// dialHLS makes a connection that counts.
func (v *viewer) dialHLS(ctx context.Context, _, addr string) (net.Conn, error) {
	conn, err := v.group.network.dial(ctx, addr, v.id)
	if err != nil {
		return nil, err
	}
	if !v.looks && strings.HasPrefix(v.url, "http://") {
		conn = discarding(conn)
	}
	return &countingConn{Conn: conn, viewer: v}, nil
}

// countingConn counts what is received.
type countingConn struct {
	net.Conn
	viewer *viewer
}

func (c *countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.viewer.received.Add(int64(n))
	c.viewer.group.meter.bytes.Add(int64(n))
	return n, err
}
