package systemd

import (
	"os"
	"syscall"
	"testing"
)

// detach returns a duplicate of a descriptor that no finalizer closes, and closes f.
func detach(t *testing.T, f *os.File) int {
	t.Helper()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return fd
}
