package storage_test

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"syscall"
	"testing"

	"github.com/headwater-live/headwater/storage"
	"github.com/headwater-live/headwater/storage/storagetest"
)

func TestDirPassesTheSuite(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storagetest.Store { return openDir(t, t.TempDir(), storage.Options{}) })
}

func TestDirWithSyncPassesTheSuite(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storagetest.Store {
		return openDir(t, t.TempDir(), storage.Options{Sync: true})
	})
}

func TestMemoryPassesTheSuite(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storagetest.Store { return storage.NewMemory(0) })
}

func TestMemoryWithALimitPassesTheSuite(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storagetest.Store { return storage.NewMemory(64 << 20) })
}

func openDir(t *testing.T, folder string, o storage.Options) *storage.Dir {
	t.Helper()
	d, err := storage.OpenDir(folder, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestMemoryCountsEveryByteItNames(t *testing.T) {
	const limit = 1000
	m := storage.NewMemory(limit)
	wantFree := func(want int64) {
		t.Helper()
		if space, err := m.Space(); err != nil || space.Free != want || space.Total != limit {
			t.Fatalf("space: %+v, %v; want %d of %d free", space, err, want, limit)
		}
	}
	put := func(name string, n int) error {
		return m.Put(t.Context(), name, [][]byte{bytes.Repeat([]byte("x"), n)})
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(put("a", 400))
	must(put("b", 500))
	if err := put("c", 101); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("put beyond the limit: %v", err)
	}
	wantFree(100)
	must(put("b", 50)) // fits beside the old one
	wantFree(550)
	journal, err := m.Append("j")
	must(err)
	_, err = journal.Write(make([]byte, 500))
	must(err)
	if _, err := journal.Write(make([]byte, 51)); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("append beyond the limit: %v", err)
	}
	wantFree(50)
	must(journal.Truncate(100))
	wantFree(450)
	must(m.Remove("j"))
	if _, err := journal.Write(make([]byte, 10)); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("append to what was removed: %v", err)
	}
	must(journal.Close())
	wantFree(550)
	must(m.RemoveAll("."))
	wantFree(limit)
	if space, err := storage.NewMemory(0).Space(); err != nil || space.Free != math.MaxInt64 {
		t.Errorf("space without a limit: %+v, %v", space, err)
	}
}
