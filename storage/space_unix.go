//go:build linux || darwin || freebsd

package storage

import (
	"fmt"
	"math"
	"syscall"
)

// Space returns the room of the file system that the folder is on, as far as this process may use it.
func (d *Dir) Space() (Space, error) {
	folder, err := d.root.Load().Open(".")
	if err != nil {
		return Space{}, fmt.Errorf("free space: %w", err)
	}
	defer folder.Close() //nolint:errcheck // only asked about
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(int(folder.Fd()), &st); err != nil {
		return Space{}, fmt.Errorf("free space: %w", err)
	}
	// The types of the fields differ from system to system. A full file system may report fewer than 0
	// blocks for ordinary users, which shows up as a huge number.
	block := uint64(st.Bsize)
	free := uint64(st.Bavail)
	if free > uint64(st.Blocks) {
		free = 0
	}
	return Space{Free: bytesOf(free, block), Total: bytesOf(uint64(st.Blocks), block)}, nil
}

func bytesOf(blocks, size uint64) int64 {
	if size != 0 && blocks > math.MaxInt64/size {
		return math.MaxInt64
	}
	return int64(blocks * size)
}
