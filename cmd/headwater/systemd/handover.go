package systemd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// A process hands its sockets over to the next one much as systemd does, and speaks with it over one more socket:
//
//	LISTEN_FDS=2 LISTEN_FDNAMES=rtmp:http    sockets, from descriptor 3 on
//	LISTEN_PID=parent:1234                   they come from the parent process, whose ID this is
//	LISTEN_HANDOVER=5                        descriptor of the connection to it
//	LISTEN_BOUND=http                        those that systemd had bound
//
//	next     before
//	prepared ──────▶      all that can be checked is right, and nothing is used yet that the other uses
//	         ◀────── go   it is not used any more
//	ready    ──────▶      everybody is served
//
// Each word is a line. The end of the connection is a failure. Connections that are in use go over another one:
// connections.go.
const (
	parentPrefix = "parent:"

	linePrepared = "prepared"
	lineGo       = "go"
	lineReady    = "ready"
)

// isForMe says whether sockets are meant for this process.
func isForMe(listenPID string) bool {
	if parent, ok := strings.CutPrefix(listenPID, parentPrefix); ok {
		return parent == strconv.Itoa(os.Getppid())
	}
	return listenPID == strconv.Itoa(os.Getpid())
}

// Before is the process before this one, which hands over.
type Before struct {
	conn  *os.File
	lines *bufio.Reader
	bound []string
	conns *net.UnixConn // over which connections come; nil if none do
	relay *net.UnixConn // see Relays; nil if there is none
}

// FromBefore returns the process that hands over to this one, nil if there is none. It must be asked for before
// [Inherit], which removes the variables.
func FromBefore() (*Before, error) {
	number := os.Getenv("LISTEN_HANDOVER")
	bound := os.Getenv("LISTEN_BOUND")
	connections := os.Getenv(connectionsVariable)
	for _, name := range []string{"LISTEN_HANDOVER", "LISTEN_BOUND", connectionsVariable} {
		_ = os.Unsetenv(name) // fails for impossible names only
	}
	if number == "" || !strings.HasPrefix(os.Getenv("LISTEN_PID"), parentPrefix) || !isForMe(os.Getenv("LISTEN_PID")) {
		return nil, nil
	}
	fd, err := strconv.Atoi(number)
	if err != nil || fd < firstSocket || fd > firstSocket+maxSockets {
		return nil, errors.New("take over from the process before: LISTEN_HANDOVER is not a descriptor")
	}
	conn, err := ownDescriptor(fd, "handover")
	if err != nil {
		return nil, fmt.Errorf("take over from the process before: %w", err)
	}
	b := &Before{conn: conn, lines: bufio.NewReaderSize(conn, maxLine), bound: strings.Split(bound, ":")}
	if fd := connectionsSocket(connections); fd > 0 {
		if b.conns, err = unixConn(fd); err != nil {
			return nil, fmt.Errorf("take over from the process before: %w", err)
		}
	}
	if b.relay, err = relaySocket(); err != nil {
		return nil, fmt.Errorf("take over from the process before: %w", err)
	}
	return b, nil
}

// BoundByOthers reports whether the socket of that name, which was passed, belongs to systemd: always, unless the
// process before has bound it.
func (b *Before) BoundByOthers(name string) bool { return b == nil || slices.Contains(b.bound, name) }

// TakeOver says that this process is prepared, and waits until the other has let go of everything.
func (b *Before) TakeOver() error {
	if b == nil {
		return nil
	}
	err := errors.Join(b.offerConnections(), b.offerRelay())
	if err == nil {
		_, err = io.WriteString(b.conn, linePrepared+"\n")
	}
	if err != nil {
		return fmt.Errorf("take over from the process before: %w", err)
	}
	if err := expect(b.lines, lineGo); err != nil {
		return fmt.Errorf("take over from the process before: %w", err)
	}
	return nil
}

// Ready says that everybody is served, and ends the connection.
func (b *Before) Ready() error {
	if b == nil {
		return nil
	}
	_, err := io.WriteString(b.conn, lineReady+"\n")
	if err = errors.Join(err, b.conn.Close()); err != nil {
		return fmt.Errorf("tell the process before that this one is ready: %w", err)
	}
	return nil
}

// maxLine bounds a line, which has a few bytes.
const maxLine = 64

// expect reads one line.
func expect(lines *bufio.Reader, want string) error {
	line, err := lines.ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("it ended before it said %q", want)
	case err != nil:
		return err
	case string(line) != want+"\n":
		return fmt.Errorf("it did not say %q", want)
	}
	return nil
}

// Next is the process to which this one hands over.
type Next struct {
	PID       int
	conn      *os.File
	relay     *net.UnixConn // see Dial
	relayTime time.Duration
	offered   bool        // the next process has said that it answers there
	answers   atomic.Bool // it has, and did not fail to, and nobody has called Silence
	lines     *bufio.Reader
	conns     *net.UnixConn // over which connections go
	takes     bool          // the next process has said that it takes them
	exited    chan struct{} // closed when the process has ended
	failure   error         // of the process, when it has ended
}

// Exited returns a channel that is closed when the next process has ended, which nobody else learns of before this one
// has.
func (n *Next) Exited() <-chan struct{} { return n.exited }

// Failure returns why the next process has ended; nil if it has not, or as it should.
func (n *Next) Failure() error {
	select {
	case <-n.exited:
		return n.failure
	default:
		return nil
	}
}

// AwaitPrepared waits until the next process is prepared.
func (n *Next) AwaitPrepared(within time.Duration) error {
	if err := n.await(linePrepared, within); err != nil {
		return err
	}
	n.heardOffer()
	n.heardRelayOffer()
	return nil
}

// AwaitReady waits until it serves everybody.
func (n *Next) AwaitReady(within time.Duration) error { return n.await(lineReady, within) }

// Go says that nothing is used any more that the next process wants.
func (n *Next) Go() error {
	if _, err := io.WriteString(n.conn, lineGo+"\n"); err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	return nil
}

func (n *Next) await(line string, within time.Duration) error {
	if err := n.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	if err := expect(n.lines, line); err != nil {
		return fmt.Errorf("hand over to process %d: %w", n.PID, err)
	}
	return nil
}

// Terminate asks the next process to end, as an operator would.
func (n *Next) Terminate() {
	if p, err := os.FindProcess(n.PID); err == nil {
		_ = p.Signal(syscall.SIGTERM) // it has ended by itself, or the system has no such signal
	}
}

// GiveUp ends the next process, and returns when it has ended.
func (n *Next) GiveUp() {
	n.Leave()
	_ = n.conns.Close()
	if p, err := os.FindProcess(n.PID); err == nil {
		_ = p.Kill()
	}
	<-n.exited
}
