//go:build !linux

package edge

import (
	"io"
	"net"
)

// sender sends by way of a buffer where there is no sendfile with an offset of its own.
type sender struct{}

func (sender) sendBody(conn *net.TCPConn, r io.Reader, _ inFile, _ int64) (int64, error) {
	return io.Copy(struct{ io.Writer }{conn}, r)
}
