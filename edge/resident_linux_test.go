package edge

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
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
		t.Log("the file system has nothing in memory")
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

func TestAKernelWithoutCachestatSaysWhatIsInMemoryToo(t *testing.T) {
	const pages = 3 * minedPages / 2
	name := filepath.Join(t.TempDir(), "a.ts")
	w, err := os.Create(name)
	if err == nil {
		_, err = w.Write(make([]byte, pages*pageSize-100))
	}
	if err = errors.Join(err, w.Sync(), w.Close()); err != nil {
		t.Fatal(err)
	}
	f := open(t, name, noATime)
	fd := int(f.Fd())
	if !mincore.inMemory(fd, 0, pages) || !mincore.inMemory(fd, pages-1, 1) {
		t.Error("what was written just now is not in memory")
	}
	if mincore.inMemory(fd, 1, pages) {
		t.Error("what is beyond the end is taken to be in memory")
	}
	const dontNeed = 4 // POSIX_FADV_DONTNEED
	for _, page := range []int64{pages - 1, 0} {
		// Whole large folios go, or nothing does.
		if _, _, errno := syscall.Syscall6(syscall.SYS_FADVISE64, f.Fd(), uintptr(page*pageSize), uintptr((pages-page)*pageSize), dontNeed, 0, 0); errno != 0 {
			t.Fatal(errno)
		}
		if all, part := mincore.inMemory(fd, 0, pages), inMemory(fd, 0, pages*pageSize-100); all != part {
			t.Errorf("from page %d on it is not needed: cachestat says %v, mincore %v", page, part, all)
		}
	}
	if mincore.inMemory(fd, 0, pages) {
		t.Log("the kernel keeps it in memory")
	}
}

func TestASandboxThatCallsEveryPageResidentIsNotBelieved(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.ts")
	if err := os.WriteFile(name, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	fd := int(open(t, name, noATime).Fd())
	for what, said := range map[string]error{"that page is there": nil, "it cannot be mapped": syscall.EINVAL} {
		asked := 0
		m := &mining{ask: func(_ int, from, _ int64) (bool, error) {
			asked++
			if from > 0 {
				return said == nil, said
			}
			return true, nil
		}}
		for range 3 {
			if m.inMemory(fd, 0, 1) {
				t.Errorf("who says of a page behind the end that %s is believed", what)
			}
		}
		if asked != 1 {
			t.Errorf("it was asked %d times", asked)
		}
	}
	if there, err := pagesInMemory(fd, beyond, 1); there || err != nil {
		t.Errorf("of a page behind the end this kernel says %v, %v", there, err)
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

func TestWhatLeavesTheMemoryMeanwhileIsSentAsIfItWaitedForADisk(t *testing.T) {
	const size = 24 << 20
	name := filepath.Join(t.TempDir(), "a.ts")
	w, err := os.Create(name)
	if err == nil {
		_, err = w.Write(make([]byte, size))
	}
	if err = errors.Join(err, w.Sync(), w.Close()); err != nil {
		t.Fatal(err)
	}
	f := open(t, name, noATime)
	conn, peer := connect(t)
	if err := errors.Join(peer.SetReadBuffer(16<<10), conn.SetWriteBuffer(64<<10), peer.SetDeadline(time.Now().Add(30*time.Second))); err != nil {
		t.Fatal(err)
	}
	s := &conn.sender
	if err := s.open(conn.TCPConn); err != nil {
		t.Fatal(err)
	}
	var note atomic.Int32
	s.note, s.source, s.left, s.untried = (*fileNote)(&note), int(f.Fd()), size, true
	if s.quick = s.isQuick(size); s.quick != (onLocalDisk(s.source) && inMemory(s.source, 0, size)) {
		t.Fatal("what is in memory is not sent quickly")
	}
	if !s.quick {
		t.Log("the file system is none of a local disk")
		return
	}
	once := func() {
		if err := s.raw.Control(func(fd uintptr) { s.sendFile(fd) }); err != nil {
			t.Fatal(err)
		}
	}
	if once(); !s.quick || s.left == size || s.left == 0 {
		t.Fatalf("at first: quick %v, %d of %d bytes left", s.quick, s.left, size)
	}
	const dontNeed = 4 // POSIX_FADV_DONTNEED
	if _, _, errno := syscall.Syscall6(syscall.SYS_FADVISE64, f.Fd(), 0, 0, dontNeed, 0, 0); errno != 0 {
		t.Fatal(errno)
	}
	s.offset, s.left = s.offset+size/2, s.left-size/2 // what is about to be sent may be kept
	if inMemory(s.source, s.offset, min(s.left, quickPiece)) {
		t.Log("the kernel keeps it in memory")
		return
	}
	if once(); s.quick || note.Load() == 0 {
		t.Error("what has left the memory is sent as if it were there")
	}
}
