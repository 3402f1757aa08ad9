package edge

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// open opens a file of a temporary folder anew.
func open(t *testing.T, name string, flags int) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDONLY|flags, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestOnlyWhatWaitsForNoDiskIsSentQuickly(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.ts")
	if err := os.WriteFile(name, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	f, noting := open(t, name, noATime), open(t, name, 0)
	if !inMemory(int(f.Fd()), 0, 1<<20) {
		t.Log("this kernel does not say what is in memory, or the file system has nothing there")
		return
	}
	if inMemory(int(f.Fd()), 1<<20-100, 8192) {
		t.Error("what is beyond the end is taken to be in memory")
	}
	if inMemory(int(noting.Fd()), 0, 100) {
		t.Error("reading this notes when it was read, and that may wait for the disk")
	}
	if inMemory(int(open(t, "/proc/version", noATime).Fd()), 0, 10) {
		t.Error("what is in no memory of files is sent quickly")
	}
}

func TestAFileOnItsWayIntoMemoryIsNotTakenToBeThere(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.ts")
	if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	fd := int(open(t, name, noATime).Fd())
	var n fileNote
	if onLocalDisk(fd) != n.isLocal(fd) {
		t.Error("a new file is not what its file system says")
	}
	(*atomic.Int32)(&n).Store(fileLocal)
	check := func(want bool, when string) {
		t.Helper()
		if n.isLocal(fd) != want {
			t.Errorf("%s: %v", when, !want)
		}
	}
	check(true, "at first")
	n.beginSlow()
	check(false, "while it is read")
	n.beginSlow()
	n.endSlow(true)
	check(false, "while another one reads it")
	n.endSlow(false)
	check(false, "when a part was read")
	n.beginSlow()
	n.endSlow(true)
	check(true, "when all of it was read")

	var remote fileNote
	if proc := int(open(t, "/proc/version", 0).Fd()); remote.isLocal(proc) {
		t.Error("/proc is taken for a local disk")
	}
	remote.beginSlow()
	remote.endSlow(true)
	if remote.isLocal(fd) {
		t.Error("what is not on a local disk is taken to be there when it was read")
	}
}
