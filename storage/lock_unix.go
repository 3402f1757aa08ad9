//go:build linux || darwin || freebsd

package storage

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lockFile takes a lock that the kernel releases with the last descriptor of the file: when the process is
// killed, too. Go opens files so that no child process inherits one.
func lockFile(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EWOULDBLOCK):
			return ErrLocked
		case errors.Is(err, syscall.ENOLCK), errors.Is(err, syscall.EBADF), errors.Is(err, errors.ErrUnsupported):
			// NFS locks no folder: it wants a file that is open for writing.
			return fmt.Errorf("%w (%w)", errors.ErrUnsupported, err)
		}
		return err
	}
}
