//go:build amd64 || arm64 || loong64 || ppc64le || riscv64 || s390x

package edge

import (
	"os"
	"syscall"
	"unsafe"
)

// sysCachestat is cachestat of Linux 6.5, which has the same number on all these.
const sysCachestat = 451

// cachestatRange and cachestat are struct cachestat_range and struct cachestat of linux/mman.h.
type (
	cachestatRange struct{ offset, length uint64 }
	cachestat      struct{ cached, dirty, writeback, evicted, recentlyEvicted uint64 }
)

var pageSize = int64(os.Getpagesize())

// inMemory reports whether a part of a file is in memory, and can be read without noting when, so that reading it
// waits for no disk. A kernel that cannot say so has answered no.
func inMemory(fd int, offset, size int64) bool {
	flags, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFL, 0)
	if errno != 0 || flags&syscall.O_NOATIME == 0 {
		return false
	}
	part, have := cachestatRange{uint64(offset), uint64(size)}, cachestat{}
	_, _, errno = syscall.RawSyscall6(sysCachestat, uintptr(fd),
		uintptr(unsafe.Pointer(&part)), uintptr(unsafe.Pointer(&have)), 0, 0, 0)
	pages := (offset+size-1)/pageSize - offset/pageSize + 1
	return errno == 0 && int64(have.cached) >= pages
}

// sendQuickly is sendfile without a word to the scheduler, which takes the processor away from calls that last.
func sendQuickly(to, from int, offset *int64, size int) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDFILE, uintptr(to), uintptr(from),
		uintptr(unsafe.Pointer(offset)), uintptr(size), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
