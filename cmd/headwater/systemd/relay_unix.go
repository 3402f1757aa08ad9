//go:build unix

package systemd

import (
	"io"
	"net"
	"syscall"
)

// receiveFile receives a byte, and the connection whose descriptor came with it, if one did.
func receiveFile(over *net.UnixConn) (kind byte, conn net.Conn, err error) {
	var b [1]byte
	rights := make([]byte, syscall.CmsgSpace(4))
	n, m, _, _, err := over.ReadMsgUnix(b[:], rights)
	if err != nil {
		return 0, nil, err
	}
	if m > 0 {
		if conn, err = connectionOf(rights[:m]); err != nil {
			return 0, nil, err
		}
	}
	if n == 0 {
		return 0, nil, io.EOF
	}
	return b[0], conn, nil
}
