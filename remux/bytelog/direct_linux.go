package bytelog

import (
	"net"
	"runtime"
	"syscall"
	"unsafe"
)

// direct writes to a socket with one system call that does not wait and that the scheduler is
// not told of: it takes some microseconds, and telling it costs a good part of that.
type direct struct {
	raw syscall.RawConn
	// once and call are send, bound once so that writing allocates nothing.
	once func(fd uintptr)
	call func(fd uintptr) bool

	// The arguments and results of send.
	bufs  [][]byte
	wait  bool
	n     int
	errno syscall.Errno
}

// open prepares writing to a socket, or to what wraps one as it is. Others, such as TLS, stay unusable.
func (d *direct) open(nc net.Conn) {
	socket, ok := nc.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return // it is closed: writing to it will say so
	}
	d.raw, d.once, d.call = raw, d.sendOnce, d.send
}

// Options of TCP for a viewer; docs/decisions/0008-fanout-writers.md has the measurements.
const (
	// tcpNotSentLowat is TCP_NOTSENT_LOWAT of linux/tcp.h, and notSent how many bytes the
	// kernel keeps for a viewer beyond those on their way: what waits in the log waits once
	// for all viewers, and a viewer that jumps has less that is old before it.
	tcpNotSentLowat = 25
	notSent         = 256 << 10
	// tcpUserTimeout is TCP_USER_TIMEOUT: a viewer that has vanished without a word is found
	// out even while the kernel still takes what is written to it.
	tcpUserTimeout = 18
)

// tune sets the options of a viewer's connection. A system that does not know one does without.
func (d *direct) tune() {
	if d.raw == nil {
		return
	}
	_ = d.raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotSentLowat, notSent)
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(StallTimeout.Milliseconds()))
	})
}

func (d *direct) usable() bool { return d.raw != nil }

// write writes what the socket has room for. With wait it waits until there is some, or the
// write deadline.
func (d *direct) write(bufs [][]byte, wait bool) (n int, err error) {
	d.bufs, d.wait, d.n, d.errno = bufs, wait, 0, 0
	if wait {
		err = d.raw.Write(d.call)
	} else {
		err = d.raw.Control(d.once) // Write would also prepare to wait
	}
	d.bufs = nil
	if d.errno != 0 {
		return 0, d.errno
	}
	return d.n, err
}

func (d *direct) sendOnce(fd uintptr) { d.send(fd) }

const (
	sendFlags = syscall.MSG_DONTWAIT | syscall.MSG_NOSIGNAL
	// maxParts is how many pieces are written at once.
	maxParts = 4
)

// send makes the system call; it returns false to be called again when there is room.
func (d *direct) send(fd uintptr) bool {
	var n uintptr
	var errno syscall.Errno
	for {
		if len(d.bufs) == 1 {
			b := d.bufs[0]
			n, _, errno = syscall.RawSyscall6(syscall.SYS_SENDTO, fd,
				uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), sendFlags, 0, 0)
		} else {
			n, errno = sendParts(fd, d.bufs[:min(len(d.bufs), maxParts)])
		}
		if errno != syscall.EINTR {
			break
		}
	}
	switch errno {
	case 0:
		d.n = int(n)
	case syscall.EAGAIN:
		return !d.wait
	default:
		d.errno = errno
	}
	return true
}

// sendParts writes up to maxParts pieces. Not with writev: that goes the way of files, and costs 4 % more. Nor is
// what it takes kept with the connection: the stack is in the cache, what belongs to one of many viewers is not.
func sendParts(fd uintptr, parts [][]byte) (n uintptr, errno syscall.Errno) {
	var vector [maxParts]syscall.Iovec
	for i, b := range parts {
		vector[i].Base = unsafe.SliceData(b)
		vector[i].SetLen(len(b))
	}
	message := syscall.Msghdr{Iov: &vector[0]}
	setLength(&message.Iovlen, len(parts))
	n, _, errno = syscall.RawSyscall(syscall.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&message)), sendFlags)
	runtime.KeepAlive(&vector)
	return n, errno
}

// setLength sets a length, which has as many bits as the system's addresses.
func setLength[T uint32 | uint64](to *T, n int) { *to = T(n) }
