package edge

import (
	"slices"
	"sync/atomic"
	"syscall"
)

// fileNote is what is known of a file: whether reading what is in memory of it waits for nobody. The lowest bits are
// one of the constants below, those above the number of sends that may be waiting for a disk.
//
// A file of which something was not in memory is on its way there in part, where the kernel does not tell it from what
// has arrived. So it is slow until one such send has seen all of it, and none is under way.
type fileNote atomic.Int32

const (
	fileUnknown = iota
	fileLocal
	fileSlow   // something of it may be on its way
	fileRemote // reading it may wait in any case

	fileState  = 3
	oneSending = 4
)

// isLocal reports whether reading what is in memory of the file waits for nobody.
func (n *fileNote) isLocal(fd int) bool {
	note := (*atomic.Int32)(n)
	if note.Load() == fileUnknown {
		found := int32(fileRemote)
		if onLocalDisk(fd) {
			found = fileLocal
		}
		note.CompareAndSwap(fileUnknown, found)
	}
	return note.Load() == fileLocal
}

// beginSlow notes a send that may wait for a disk.
func (n *fileNote) beginSlow() {
	n.change(func(v int32) int32 {
		if v&fileState != fileRemote {
			v = v&^fileState | fileSlow
		}
		return v + oneSending
	})
}

// endSlow notes its end. all: it has sent the whole file.
func (n *fileNote) endSlow(all bool) {
	n.change(func(v int32) int32 {
		v -= oneSending
		if v == fileSlow && all {
			v = fileLocal
		}
		return v
	})
}

func (n *fileNote) change(f func(int32) int32) {
	note := (*atomic.Int32)(n)
	for {
		v := note.Load()
		if note.CompareAndSwap(v, f(v)) {
			return
		}
	}
}

// Magic numbers of linux/magic.h and of the kernel's sources.
var localFileSystems = []uint32{
	0xEF53,     // ext4
	0x58465342, // XFS
	0x9123683E, // Btrfs
	0xF2F52010, // F2FS
	0x01021994, // tmpfs
}

// onLocalDisk reports whether a file is in a file system that gives out what is in memory without asking anybody: those
// on a network ask their server first whether it has changed.
func onLocalDisk(fd int) bool {
	var fs syscall.Statfs_t
	return syscall.Fstatfs(fd, &fs) == nil && slices.Contains(localFileSystems, uint32(fs.Type))
}
