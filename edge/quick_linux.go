package edge

import (
	"net"
	"sync"
	"syscall"
	"unsafe"
)

// maxQuick bounds what one quick system call copies, in bytes: some 50 µs.
const maxQuick = 128 << 10

// quick reads and writes a socket with system calls that do not wait and that the scheduler is not told of: they take
// some microseconds, and telling it costs a good part of that. Whatever is not plain success is done again by net.
type quick struct {
	// raw is set once, before anything else is called.
	raw   syscall.RawConn
	in    quickCall
	out   quickCall
	calls sync.Once
}

// quickCall is one direction. Its function is bound once, so that a call allocates nothing.
type quickCall struct {
	mu    sync.Mutex
	call  func(fd uintptr) bool
	b     []byte
	flags uintptr
	n     int
}

// open prepares for a connection; it returns false if that is closed.
func (q *quick) open(conn *net.TCPConn) bool {
	q.calls.Do(func() {
		q.in.call, q.out.call = q.in.receive, q.out.send
		q.raw, _ = conn.SyscallConn() // nil: net says why
	})
	return q.raw != nil
}

// read is conn.Read.
func (q *quick) read(conn *net.TCPConn, b []byte) (int, error) {
	if !q.open(conn) || len(b) == 0 {
		return conn.Read(b)
	}
	q.in.mu.Lock()
	q.in.b, q.in.n = b[:min(len(b), maxQuick)], 0
	err := q.raw.Read(q.in.call)
	n := q.in.n
	q.in.b = nil
	q.in.mu.Unlock()
	if err != nil || n == 0 {
		return conn.Read(b) // the end, or an error
	}
	return n, nil
}

// write is conn.Write. With more, what is written next follows at once and may share packets.
func (q *quick) write(conn *net.TCPConn, b []byte, more bool) (int, error) {
	if !q.open(conn) || len(b) == 0 || len(b) > maxQuick {
		return conn.Write(b)
	}
	q.out.mu.Lock()
	q.out.b, q.out.n, q.out.flags = b, 0, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL
	if more {
		q.out.flags |= syscall.MSG_MORE
	}
	err := q.raw.Write(q.out.call)
	n := q.out.n
	q.out.b = nil
	q.out.mu.Unlock()
	if err == nil && n == len(b) {
		return n, nil
	}
	rest, err := conn.Write(b[n:]) // the socket is full, or broken
	return n + rest, err
}

// receive returns false to be called again when there is something.
func (c *quickCall) receive(fd uintptr) bool {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd,
		uintptr(unsafe.Pointer(unsafe.SliceData(c.b))), uintptr(len(c.b)), syscall.MSG_DONTWAIT, 0, 0)
	if errno == 0 {
		c.n = int(n)
	}
	return errno != syscall.EAGAIN
}

func (c *quickCall) send(fd uintptr) bool {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd,
		uintptr(unsafe.Pointer(unsafe.SliceData(c.b))), uintptr(len(c.b)), c.flags, 0, 0)
	if errno == 0 {
		c.n = int(n)
	}
	return true
}
