//go:build unix

package systemd

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ownDescriptor makes a file of a descriptor that was passed, which no child inherits.
func ownDescriptor(fd int, name string) (*os.File, error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		return nil, err
	}
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), name), nil
}

// Passed are duplicates of listening sockets, to be handed to another process. The sockets stay open until Close, even
// if the listeners are closed: who connects waits until somebody accepts.
type Passed struct {
	names []string
	bound []string // of these, those that somebody else had bound
	fds   []int
}

// Add adds a listener under its name; bound says that somebody else had bound it.
func (p *Passed) Add(name string, l net.Listener, bound bool) error {
	tcp, ok := l.(syscall.Conn)
	if !ok {
		return fmt.Errorf("hand over the %s listener: it has no socket", name)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return fmt.Errorf("hand over the %s listener: %w", name, err)
	}
	// Not net.TCPListener.File, whose Fd makes the socket block for everybody who has it.
	var dup int
	var dupErr error
	err = raw.Control(func(fd uintptr) {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		if dup, dupErr = syscall.Dup(int(fd)); dupErr == nil {
			syscall.CloseOnExec(dup)
		}
	})
	if err := errors.Join(err, dupErr); err != nil {
		return fmt.Errorf("hand over the %s listener: %w", name, err)
	}
	p.names, p.fds = append(p.names, name), append(p.fds, dup)
	if bound {
		p.bound = append(p.bound, name)
	}
	return nil
}

// Close closes the duplicates.
func (p *Passed) Close() {
	for _, fd := range p.fds {
		_ = syscall.Close(fd)
	}
	p.names, p.fds = nil, nil
}

// Start starts a program with this process's environment and the sockets. Its first argument is args[0].
func (p *Passed) Start(program string, args []string) (*Next, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("hand over: %w", err)
	}
	conns, theirConns, err := connectionsPair()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("hand over: %w", err), ours.Close(), syscall.Close(theirs))
	}
	relay, theirRelay, err := connectionsPair()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("hand over: %w", err), ours.Close(), syscall.Close(theirs), conns.Close(), syscall.Close(theirConns))
	}
	files := []uintptr{0, 1, 2}
	for _, fd := range append(p.fds[:len(p.fds):len(p.fds)], theirs, theirConns, theirRelay) {
		files = append(files, uintptr(fd))
	}
	var environ []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "LISTEN_") {
			environ = append(environ, v)
		}
	}
	environ = append(environ,
		"LISTEN_PID="+parentPrefix+strconv.Itoa(os.Getpid()), "LISTEN_FDS="+strconv.Itoa(len(p.fds)),
		"LISTEN_FDNAMES="+strings.Join(p.names, ":"), "LISTEN_HANDOVER="+strconv.Itoa(firstSocket+len(p.fds)),
		"LISTEN_BOUND="+strings.Join(p.bound, ":"),
		fmt.Sprintf("%s=%d:%d", connectionsVariable, firstSocket+len(p.fds)+1, connectionsFormat),
		relayVariable+"="+strconv.Itoa(firstSocket+len(p.fds)+2))
	pid, err := syscall.ForkExec(program, args, &syscall.ProcAttr{Env: environ, Files: files})
	_, _, _ = syscall.Close(theirs), syscall.Close(theirConns), syscall.Close(theirRelay)
	if err != nil {
		_, _, _ = ours.Close(), conns.Close(), relay.Close()
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	n := &Next{
		PID: pid, conn: ours, lines: bufio.NewReaderSize(ours, maxLine), conns: conns, relay: relay, relayTime: relayTime,
		exited: make(chan struct{}),
	}
	go func() { // it ends with the process, or with this one
		defer close(n.exited)
		if process, err := os.FindProcess(pid); err == nil {
			if state, err := process.Wait(); err == nil && !state.Success() {
				n.failure = fmt.Errorf("process %d: %s", pid, state)
			}
		}
	}()
	return n, nil
}

// connectionsPair makes the two ends of what connections go over.
func connectionsPair() (ours *net.UnixConn, theirs int, err error) {
	file, theirs, err := socketPair()
	if err != nil {
		return nil, 0, err
	}
	defer file.Close() //nolint:errcheck // the connection is a duplicate
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, 0, errors.Join(err, syscall.Close(theirs))
	}
	return conn.(*net.UnixConn), theirs, nil
}

// socketPair makes two ends of a connection. The first can have deadlines.
func socketPair() (ours *os.File, theirs int, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, 0, fmt.Errorf("make a pair of sockets: %w", err)
	}
	if err := syscall.SetNonblock(fds[0], true); err != nil {
		return nil, 0, errors.Join(err, syscall.Close(fds[0]), syscall.Close(fds[1]))
	}
	return os.NewFile(uintptr(fds[0]), "handover"), fds[1], nil
}
