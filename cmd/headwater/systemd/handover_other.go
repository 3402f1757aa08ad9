//go:build !unix

package systemd

import (
	"errors"
	"net"
	"os"
)

func ownDescriptor(int, string) (*os.File, error) { return nil, errors.ErrUnsupported }

// Passed are listening sockets to be handed to another process, which this system cannot.
type Passed struct{}

// Add fails.
func (*Passed) Add(string, net.Listener, bool) error { return errors.ErrUnsupported }

// Close does nothing.
func (*Passed) Close() {}

func receiveFile(*net.UnixConn) (byte, net.Conn, error) { return 0, nil, errors.ErrUnsupported }

// Start fails.
func (*Passed) Start(string, []string) (*Next, error) { return nil, errors.ErrUnsupported }

// Pair fails.
func Pair() (a, b net.Conn, err error) { return nil, nil, errors.ErrUnsupported }

func sendDescriptor(*net.UnixConn, []byte, net.Conn) error { return errors.ErrUnsupported }

func receiveConnection(*net.UnixConn) (Connection, error) { return Connection{}, errors.ErrUnsupported }

func unixConn(int) (*net.UnixConn, error) { return nil, errors.ErrUnsupported }
