package storage_test

import (
	"bytes"
	"errors"
	"math"
	"os/signal"
	"syscall"
	"testing"

	"github.com/headwater-live/headwater/storage"
)

// smallDisk returns a folder where no more than about a megabyte fits, and how to lift that limit. It is a
// file system of that size where the test may mount one. An ordinary user may not; there the kernel's limit
// on the size of a file does it, which fails in the middle of a write in the same way.
func smallDisk(t *testing.T) (folder string, full error) {
	t.Helper()
	folder = t.TempDir()
	err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=1m")
	if err == nil {
		t.Cleanup(func() {
			if err := syscall.Unmount(folder, 0); err != nil {
				t.Errorf("unmount: %v", err)
			}
		})
		return folder, syscall.ENOSPC
	}
	if !errors.Is(err, syscall.EPERM) {
		t.Fatalf("mount tmpfs: %v", err)
	}
	limitFileSize(t, 768<<10)
	return folder, syscall.EFBIG
}

func limitFileSize(t *testing.T, n uint64) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Error(err)
		}
		signal.Reset(syscall.SIGXFSZ)
	})
}

func TestAFullDiskLeavesNothingHalf(t *testing.T) {
	folder, full := smallDisk(t)
	leavesNothingHalf(t, folder, full)
}

func TestAFileSizeLimitLeavesNothingHalf(t *testing.T) {
	folder := t.TempDir()
	limitFileSize(t, 768<<10)
	leavesNothingHalf(t, folder, syscall.EFBIG)
}

func leavesNothingHalf(t *testing.T, folder string, full error) {
	t.Helper()
	d := openDir(t, folder, storage.Options{})
	defer d.Close() //nolint:errcheck // a test's folder
	part := bytes.Repeat([]byte("x"), 100<<10)

	if err := d.Put(t.Context(), "live/first", [][]byte{part, part, part}); err != nil {
		t.Fatal(err)
	}
	journal, err := d.Append("live/journal")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := journal.Write([]byte("first\n")); err != nil {
		t.Fatal(err)
	}

	tooMuch := [][]byte{part, part, part, part, part, part, part, part}
	for _, name := range []string{"live/second", "live/first"} {
		if err := d.Put(t.Context(), name, tooMuch); !errors.Is(err, full) {
			t.Errorf("put %s on a full disk: %v", name, err)
		}
	}
	record := bytes.Repeat([]byte("y"), 1<<20)
	if n, err := journal.Write(record); n != 0 || !errors.Is(err, full) {
		t.Errorf("append on a full disk: %d, %v", n, err)
	}
	wantFiles(t, folder, "live/first", "live/journal")

	if err := d.Remove("live/first"); err != nil {
		t.Fatal(err)
	}
	if err := d.Put(t.Context(), "live/second", [][]byte{part, part, part, part, part}); err != nil {
		t.Errorf("put after room was made: %v", err)
	}
	if _, err := journal.Write([]byte("second\n")); err != nil {
		t.Errorf("append after room was made: %v", err)
	}
	if err := journal.Close(); err != nil {
		t.Error(err)
	}
	blobs, err := d.List(".")
	if err != nil || len(blobs) != 2 || blobs[0].Name != "live/journal" || blobs[0].Size != int64(len("first\nsecond\n")) {
		t.Errorf("list: %+v, %v", blobs, err)
	}
}

func TestSpaceFollowsTheDisk(t *testing.T) {
	folder := t.TempDir()
	d := openDir(t, folder, storage.Options{})
	defer d.Close() //nolint:errcheck // a test's folder
	space, err := d.Space()
	if err != nil {
		t.Fatal(err)
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(folder, &st); err != nil {
		t.Fatal(err)
	}
	if want := int64(st.Blocks) * st.Bsize; space.Total != want {
		t.Errorf("total: %d, want %d", space.Total, want)
	}
	// Others write to the same disk meanwhile.
	if free := int64(st.Bavail) * st.Bsize; math.Abs(float64(space.Free-free)) > float64(space.Total)/4 {
		t.Errorf("free: %d, want about %d", space.Free, free)
	}
}

func TestAFullDiskLeavesAPrivateFileAsItWas(t *testing.T) {
	folder := t.TempDir()
	d := openDir(t, folder, storage.Options{})
	defer d.Close() //nolint:errcheck // a test's folder
	if err := d.PutPrivate(t.Context(), ".list", []byte("before")); err != nil {
		t.Fatal(err)
	}
	limitFileSize(t, 64<<10)
	if err := d.PutPrivate(t.Context(), ".list", bytes.Repeat([]byte("x"), 100<<10)); err == nil {
		t.Error("put more than fits")
	}
	if got, err := d.ReadPrivate(".list", 100); err != nil || string(got) != "before" {
		t.Errorf("read %q, %v", got, err)
	}
	wantFiles(t, folder, ".list")
}
