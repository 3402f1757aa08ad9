package storage

import (
	"context"
	"io"
	"os"
	"syscall"
	"unsafe"
)

// maxVector is how many parts one system call writes, of which Linux takes up to 1024: those of writeChunk are few.
const maxVector = 64

// writeParts writes parts, many with one system call: so the kernel caches them in larger pieces, which makes writing
// a segment a third cheaper, and removing it, too.
func writeParts(ctx context.Context, f *os.File, parts [][]byte) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var v vector
	for {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if parts = v.fill(parts); v.size == 0 {
			return nil
		}
		for v.size > 0 {
			var n int
			var errno syscall.Errno
			if err := raw.Write(func(fd uintptr) bool {
				n, errno = v.write(fd)
				return true
			}); err != nil {
				return err
			}
			switch {
			case errno == syscall.EINTR:
			case errno != 0:
				return os.NewSyscallError("writev", errno)
			case n == 0:
				return io.ErrShortWrite
			}
			v.skip(n)
		}
	}
}

// vector is what one system call writes.
type vector struct {
	room  [maxVector]syscall.Iovec
	iov   []syscall.Iovec // what is left of room
	size  int             // bytes in iov
	first []byte          // the rest of a part that was cut
}

// fill takes parts up to writeChunk bytes and returns the others.
func (v *vector) fill(parts [][]byte) [][]byte {
	v.iov = v.room[:0]
	for len(v.iov) < maxVector && v.size < writeChunk {
		if len(v.first) == 0 {
			if len(parts) == 0 {
				break
			}
			v.first, parts = parts[0], parts[1:]
			continue
		}
		n := min(len(v.first), writeChunk-v.size)
		iov := syscall.Iovec{Base: unsafe.SliceData(v.first)}
		iov.SetLen(n)
		v.iov, v.first, v.size = append(v.iov, iov), v.first[n:], v.size+n
	}
	return parts
}

func (v *vector) write(fd uintptr) (int, syscall.Errno) {
	n, _, errno := syscall.Syscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(unsafe.SliceData(v.iov))), uintptr(len(v.iov)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// skip takes off what was written.
func (v *vector) skip(n int) {
	v.size -= n
	for n > 0 {
		first := &v.iov[0]
		if size := int(first.Len); n >= size {
			n -= size
			v.iov = v.iov[1:]
			continue
		}
		first.Base = (*byte)(unsafe.Add(unsafe.Pointer(first.Base), n))
		first.SetLen(int(first.Len) - n)
		return
	}
}
