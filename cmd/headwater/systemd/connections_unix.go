//go:build unix

package systemd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// Pair returns the two ends of a connection within this machine.
func Pair() (a, b net.Conn, err error) {
	file, fd, err := socketPair()
	if err != nil {
		return nil, nil, err
	}
	other := os.NewFile(uintptr(fd), "pair")
	defer file.Close()  //nolint:errcheck // the connections are duplicates
	defer other.Close() //nolint:errcheck // the same
	if a, err = net.FileConn(file); err != nil {
		return nil, nil, err
	}
	if b, err = net.FileConn(other); err != nil {
		return nil, nil, errors.Join(err, a.Close())
	}
	return a, b, nil
}

// sendDescriptor sends some bytes, and the descriptor of a connection with them.
func sendDescriptor(over *net.UnixConn, b []byte, conn net.Conn) error {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return fmt.Errorf("%w: it has no socket", errUnfit)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("%w: %w", errUnfit, err)
	}
	var n int
	var sendErr error
	if err := raw.Control(func(fd uintptr) {
		n, _, sendErr = over.WriteMsgUnix(b, syscall.UnixRights(int(fd)), nil)
	}); err != nil { // it is closed
		return fmt.Errorf("%w: %w", errUnfit, err)
	}
	if sendErr != nil {
		return sendErr
	}
	_, err = over.Write(b[n:])
	return err
}

// receiveConnection receives a connection; it is empty at the end of them. After errUnfit the next one can be received.
func receiveConnection(over *net.UnixConn) (c Connection, err error) {
	header, rights := make([]byte, recordHeader), make([]byte, syscall.CmsgSpace(4))
	n, m, flags, _, err := over.ReadMsgUnix(header, rights)
	if err != nil {
		return c, err
	}
	var unfit error
	switch {
	case flags&syscall.MSG_CTRUNC != 0:
		unfit = fmt.Errorf("%w: this process may have no more descriptors", errUnfit)
	case m > 0:
		if c.Conn, err = connectionOf(rights[:m]); err != nil {
			unfit = fmt.Errorf("%w: %w", errUnfit, err)
		}
	}
	defer func() {
		if err != nil && c.Conn != nil {
			_ = c.Close()
			c = Connection{}
		}
	}()
	if n == 0 { // which is how a connection ends that has messages
		return c, io.ErrUnexpectedEOF
	}
	if _, err = io.ReadFull(over, header[n:]); err != nil {
		return c, err
	}
	size := binary.BigEndian.Uint32(header)
	if size > maxState || (size == 0) != (c.Conn == nil && unfit == nil) {
		return c, errors.New("a record is no connection with a state")
	}
	if unfit != nil {
		if _, err = io.CopyN(io.Discard, over, int64(size)); err == nil {
			err = unfit
		}
		return c, err
	}
	c.State = make([]byte, size)
	_, err = io.ReadFull(over, c.State)
	return c, err
}

// connectionOf makes a connection of the descriptor in a control message.
func connectionOf(rights []byte) (net.Conn, error) {
	messages, err := syscall.ParseSocketControlMessage(rights)
	if err != nil || len(messages) != 1 {
		return nil, errors.New("a record has another control message than a descriptor")
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.New("a record has no descriptor")
	}
	file := os.NewFile(uintptr(fds[0]), "connection")
	defer file.Close() //nolint:errcheck // the connection is a duplicate
	return net.FileConn(file)
}

// unixConn makes a connection of a descriptor, which it takes.
func unixConn(fd int) (*net.UnixConn, error) {
	file, err := ownDescriptor(fd, "connections")
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // the connection is a duplicate
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.New("the descriptor is no Unix socket"), conn.Close())
	}
	return unix, nil
}
