//go:build amd64 || arm64 || loong64 || ppc64le || riscv64 || s390x

package edge

import (
	"os"
	"sync"
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
// waits for no disk.
func inMemory(fd int, offset, size int64) bool {
	flags, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFL, 0)
	if errno != 0 || flags&syscall.O_NOATIME == 0 || size <= 0 {
		return false
	}
	from := offset / pageSize
	pages := (offset+size-1)/pageSize - from + 1
	part, have := cachestatRange{uint64(offset), uint64(size)}, cachestat{}
	_, _, errno = syscall.RawSyscall6(sysCachestat, uintptr(fd),
		uintptr(unsafe.Pointer(&part)), uintptr(unsafe.Pointer(&have)), 0, 0, 0)
	if errno != 0 { // an older kernel, or a sandbox that does not know the call
		return mincore.inMemory(fd, from, pages)
	}
	return int64(have.cached) >= pages
}

// minedPages is of how many pages one mincore asks: 4 MiB, and a byte of the stack for each.
const minedPages = 1024

// mining is inMemory by way of a call that has to be found out first.
type mining struct {
	ask   func(fd int, from, pages int64) (bool, error)
	once  sync.Once
	tells bool
}

// mincore is what older kernels have.
var mincore = &mining{ask: pagesInMemory}

// beyond is how many pages behind the end of a file nothing is, even if somebody writes to it meanwhile.
const beyond = 1 << 18

// inMemory believes nothing that says of a page far behind the first file's end that it is in memory: a sandbox may
// know mincore by name only, and say so of all (gVisor).
func (m *mining) inMemory(fd int, from, pages int64) bool {
	m.once.Do(func() {
		var file syscall.Stat_t
		if err := syscall.Fstat(fd, &file); err != nil {
			return
		}
		there, err := m.ask(fd, file.Size/pageSize+beyond, 1)
		m.tells = err == nil && !there
	})
	if !m.tells {
		return false
	}
	there, err := m.ask(fd, from, pages)
	return err == nil && there
}

// pagesInMemory asks mincore, by way of a mapping that nobody touches. It takes some 20 µs for a segment, where cachestat
// takes 2, and sending it with the scheduler told takes 70 more.
//
// To whom a file does not belong, mincore says that all of it is there. It belongs to us: it could not have been opened
// with O_NOATIME otherwise.
func pagesInMemory(fd int, from, pages int64) (bool, error) {
	mapped, err := syscall.Mmap(fd, from*pageSize, int(pages*pageSize), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return false, err
	}
	defer func() { _ = syscall.Munmap(mapped) }() // it was mapped just now
	var there [minedPages]byte
	for at := int64(0); at < pages; at += minedPages {
		n := min(minedPages, pages-at)
		_, _, errno := syscall.Syscall(syscall.SYS_MINCORE, uintptr(unsafe.Pointer(&mapped[at*pageSize])), uintptr(n*pageSize),
			uintptr(unsafe.Pointer(&there)))
		if errno != 0 {
			return false, errno
		}
		for _, page := range there[:n] {
			if page&1 == 0 {
				return false, nil
			}
		}
	}
	return true, nil
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
