package load

import (
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// discardConn lets the kernel drop what large reads ask for. Their buffers stay as they are.
type discardConn struct {
	net.Conn
	raw syscall.RawConn
}

func discarding(conn net.Conn) net.Conn {
	if tcp, ok := conn.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			return &discardConn{Conn: conn, raw: raw}
		}
	}
	return conn
}

func (c *discardConn) Read(p []byte) (n int, err error) {
	if len(p) < discardFrom {
		return c.Conn.Read(p)
	}
	waited := c.raw.Read(func(fd uintptr) bool {
		n, _, err = unix.Recvfrom(int(fd), p, unix.MSG_DONTWAIT|unix.MSG_TRUNC)
		return err != unix.EAGAIN && err != unix.EINTR
	})
	switch {
	case waited != nil:
		return 0, waited
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}
