//go:build !linux

package bytelog

import (
	"errors"
	"net"
)

// direct writes to a socket without waiting, where the system is Linux.
type direct struct{}

func (*direct) open(net.Conn) {}

func (*direct) tune() {}

func (*direct) usable() bool { return false }

func (*direct) write([][]byte, bool) (int, error) { return 0, errors.ErrUnsupported }
