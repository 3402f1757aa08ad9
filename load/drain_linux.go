package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// drains reads any number of flows with one goroutine for those that are only counted and one for those that
// are looked into, so that the latter are never late because of the former.
//
// A flow that is only counted is received with MSG_TRUNC: for TCP this makes the kernel drop the bytes
// without copying them (tcp(7)). One call takes everything that has come.
type drains struct {
	counting, seeing *epoll
}

func newDrains() (*drains, error) {
	counting, err := newEpoll()
	if err != nil {
		return nil, err
	}
	seeing, err := newEpoll()
	if err != nil {
		counting.close()
		return nil, err
	}
	return &drains{counting: counting, seeing: seeing}, nil
}

// run reads until ctx ends, and lets go of all flows then.
func (d *drains) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, e := range []*epoll{d.counting, d.seeing} {
		wg.Go(func() { e.run(ctx) })
	}
	wg.Wait()
}

// drain reads a flow to its end, or until ctx ends, and closes its connection.
func (d *drains) drain(ctx context.Context, f *flow) error {
	conn, ok := f.conn.(*net.TCPConn)
	if !ok {
		return drainByReading(ctx, f)
	}
	// What is looked at twice must not be watched by the Go runtime as well: a duplicate of the descriptor,
	// whose original is closed, is ours alone.
	own, err := duplicate(conn)
	_ = conn.Close()
	if err != nil {
		return fmt.Errorf("take over the connection: %w", err)
	}
	f.conn = own
	if err := f.begin(); err != nil {
		_ = own.Close()
		return err
	}
	e := d.counting
	if f.timed {
		e = d.seeing
	}
	return e.drain(f, own.fd)
}

// epoll is one loop over sockets.
type epoll struct {
	fd int

	mu    sync.Mutex
	flows map[int]*epollFlow // by descriptor
	over  bool
}

type epollFlow struct {
	*flow
	fd   int
	done chan error
}

func newEpoll() (*epoll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	return &epoll{fd: fd, flows: map[int]*epollFlow{}}, nil
}

func (e *epoll) close() { _ = unix.Close(e.fd) }

// drain hands a flow over and waits for its end.
func (e *epoll) drain(f *flow, fd int) error {
	ef := &epollFlow{flow: f, fd: fd, done: make(chan error, 1)}
	e.mu.Lock()
	if e.over {
		e.mu.Unlock()
		_ = f.conn.Close()
		return context.Canceled
	}
	e.flows[fd] = ef
	err := unix.EpollCtl(e.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	if err != nil {
		delete(e.flows, fd)
		_ = f.conn.Close()
		ef.done <- fmt.Errorf("epoll_ctl: %w", err)
	}
	e.mu.Unlock()
	return <-ef.done
}

const (
	// epollWait is how long the loop sleeps at most, in milliseconds: how late it sees a stall or its own end.
	epollWait = 100
	maxEvents = 512
)

func (e *epoll) run(ctx context.Context) {
	defer e.close()
	defer e.letGo()
	events := make([]unix.EpollEvent, maxEvents)
	buf := make([]byte, drainBuffer)
	var swept time.Time
	for ctx.Err() == nil {
		n, err := unix.EpollWait(e.fd, events, epollWait)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		for _, ev := range events[:max(n, 0)] {
			e.mu.Lock()
			f := e.flows[int(ev.Fd)]
			e.mu.Unlock()
			if f == nil {
				continue
			}
			if err := f.receive(buf); err != nil {
				e.end(f, err)
			}
		}
		if now := time.Now(); now.Sub(swept) >= epollWait*time.Millisecond {
			swept = now
			e.sweep(now)
		}
	}
}

// receive takes everything that has come on a flow.
func (f *epollFlow) receive(buf []byte) error {
	flags := unix.MSG_DONTWAIT
	if f.parser == nil {
		flags |= unix.MSG_TRUNC
	}
	n, _, err := unix.Recvfrom(f.fd, buf, flags)
	now := time.Now()
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return os.NewSyscallError("recvfrom", err)
	case n == 0:
		return errEnded
	case f.parser == nil:
		return f.received(nil, n, now)
	}
	return f.received(buf[:n], n, now)
}

// sweep counts the stalls of all flows.
func (e *epoll) sweep(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range e.flows {
		f.silence(now)
	}
}

func (e *epoll) end(f *epollFlow, err error) {
	e.mu.Lock()
	delete(e.flows, f.fd)
	e.mu.Unlock()
	_ = f.conn.Close()
	f.done <- err
}

// letGo ends all flows, at the end of the loop.
func (e *epoll) letGo() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.over = true
	for fd, f := range e.flows {
		delete(e.flows, fd)
		_ = f.conn.Close()
		f.done <- context.Canceled
	}
}

// ownConn is a socket of which the Go runtime knows nothing.
type ownConn struct {
	net.Conn // the original, which is closed, for its addresses
	fd       int
}

func duplicate(conn *net.TCPConn) (*ownConn, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	own := &ownConn{Conn: conn}
	var dup error
	if err := raw.Control(func(fd uintptr) { own.fd, dup = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, err
	}
	return own, dup
}

// Write writes without waiting: what does not fit is left out.
func (c *ownConn) Write(p []byte) (int, error) {
	n, err := unix.SendmsgN(c.fd, p, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	if errors.Is(err, unix.EAGAIN) {
		return n, os.ErrDeadlineExceeded
	}
	return n, err
}

func (c *ownConn) SetWriteDeadline(time.Time) error { return nil }
func (c *ownConn) Close() error                     { return unix.Close(c.fd) }
