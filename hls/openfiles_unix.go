//go:build unix

package hls

import "syscall"

// openFilesLimit returns how many files may stay open: most descriptors are for connections.
func openFilesLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(maxOpenFiles, uint64(limit.Cur)/8))
}
