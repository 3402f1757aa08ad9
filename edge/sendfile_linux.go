package edge

import (
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

const (
	// quickPiece is how many bytes in memory one sendfile sends: it takes some 100 µs, in which neither the collector
	// nor another goroutine gets the processor.
	quickPiece = 1 << 20
	// slowPiece is how many bytes one sendfile sends that may wait for a disk. One that lasts longer than some 20 µs
	// loses its processor to another thread, which costs more than to call again.
	slowPiece = 128 << 10
)

// sender sends files. It belongs to the goroutine that answers a connection's requests.
type sender struct {
	raw syscall.RawConn
	// send is bound once, so that calling it allocates nothing.
	send func(fd uintptr) bool

	// The arguments and results of sendFile.
	source int
	note   *fileNote
	quick  bool
	offset int64
	left   int64
	errno  syscall.Errno
	// untried: what quick says was found out just now.
	untried bool
}

func (s *sender) open(conn *net.TCPConn) error {
	if s.raw != nil {
		return nil
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	s.raw, s.send = raw, s.sendFile
	return nil
}

// sendBody sends a body that stands in a file, up to the write deadline.
func (s *sender) sendBody(conn *net.TCPConn, _ io.Reader, body inFile, size int64) (int64, error) {
	if size <= 0 {
		return 0, nil
	}
	if err := s.open(conn); err != nil {
		return 0, err
	}
	file, offset, note := body.InFile()
	source, err := descriptor(file)
	if err != nil {
		return 0, err
	}
	s.source, s.offset, s.left, s.errno, s.untried = source, offset, size, 0, true
	s.note = (*fileNote)(note)
	s.quick = s.isQuick(size)
	whole := !s.quick && offset == 0
	if !s.quick {
		s.note.beginSlow()
	}
	err = s.raw.Write(s.send)
	if !s.quick {
		s.note.endSlow(whole && s.left == 0 && s.atEnd(file, size))
	}
	if s.errno != 0 {
		err = os.NewSyscallError("sendfile", s.errno)
	}
	if err == nil && s.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		err = fmt.Errorf("send a file: %w", err)
	}
	return size - s.left, err
}

// isQuick reports whether the next bytes can be sent without waiting for a disk.
func (s *sender) isQuick(size int64) bool {
	return s.note.isLocal(s.source) && inMemory(s.source, s.offset, size)
}

// atEnd reports whether a file is no longer than what was sent.
func (s *sender) atEnd(file *os.File, size int64) bool {
	info, err := file.Stat()
	return err == nil && info.Size() <= size
}

// descriptor returns the number of a file's descriptor, which is good for as long as the file is open.
func descriptor(file *os.File) (fd int, err error) {
	raw, err := file.SyscallConn()
	if err == nil {
		err = raw.Control(func(n uintptr) { fd = int(n) })
	}
	return fd, err
}

// sendFile makes the system calls; it returns false to be called again when there is room.
//
// The rest may have left the memory since, where the client made it wait: then it goes on the slow way.
func (s *sender) sendFile(fd uintptr) bool {
	again := !s.untried
	s.untried = false
	for s.left > 0 {
		if s.quick && again && !s.isQuick(min(s.left, quickPiece)) {
			s.quick = false
			s.note.beginSlow()
		}
		n, errno := s.sendPiece(int(fd))
		switch {
		case errno == syscall.EAGAIN:
			return false
		case errno == syscall.EINTR:
		case errno != 0:
			s.errno = errno
			return true
		case n == 0: // somebody has cut the file
			return true
		}
		s.left -= int64(n)
	}
	return true
}

// sendPiece sends as much as one system call may, and moves the offset on. The scheduler is told of those that may
// wait for a disk.
func (s *sender) sendPiece(fd int) (n int, errno syscall.Errno) {
	if s.quick {
		return sendQuickly(fd, s.source, &s.offset, int(min(s.left, quickPiece)))
	}
	n, err := syscall.Sendfile(fd, s.source, &s.offset, int(min(s.left, slowPiece)))
	if err != nil {
		errno, ok := err.(syscall.Errno)
		if !ok {
			errno = syscall.EIO
		}
		return 0, errno
	}
	return n, 0
}
