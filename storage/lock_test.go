package storage_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/headwater-live/headwater/storage"
)

func TestALockedFolderIsRefusedToOthersWhoLockUntilItIsClosed(t *testing.T) {
	folder := t.TempDir()
	first, second := openDir(t, folder, storage.Options{}), openDir(t, folder, storage.Options{})
	defer second.Close() //nolint:errcheck // a test's folder
	if err := errors.Join(first.Lock(), first.Lock()); err != nil {
		t.Fatalf("lock, and lock again: %v", err)
	}
	if err := second.Lock(); !errors.Is(err, storage.ErrLocked) || !strings.Contains(err.Error(), folder) {
		t.Errorf("a second lock: %v", err)
	}
	if err := first.Put(t.Context(), "live/a", [][]byte{[]byte("a")}); err != nil {
		t.Fatal(err)
	}
	if blobs, err := second.List("."); err != nil || len(blobs) != 1 {
		t.Errorf("reading without the lock: %v, %v", blobs, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := second.Lock(); err != nil {
		t.Errorf("after the first has closed: %v", err)
	}
	wantFiles(t, folder, "live/a")
}

func TestAFolderThatIsRemovedIsMadeAnewAndStaysLocked(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	d := openDir(t, folder, storage.Options{})
	defer d.Close() //nolint:errcheck // a test's folder
	if err := d.Lock(); err != nil {
		t.Fatal(err)
	}
	journal, err := d.Append("live/test/journal")
	if err != nil {
		t.Fatal(err)
	}
	defer journal.Close() //nolint:errcheck // its file is gone
	for range 2 {
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		if _, err := journal.Write([]byte("lost")); err == nil {
			t.Error("a record for a journal that is gone was taken")
		}
		if err := d.Put(t.Context(), "live/test/1.ts", [][]byte{[]byte("x")}); err != nil {
			t.Fatalf("put: %v", err)
		}
		wantFiles(t, folder, "live/test/1.ts")
	}
	other := openDir(t, folder, storage.Options{})
	defer other.Close() //nolint:errcheck // a test's folder
	if err := other.Lock(); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("the new folder: %v", err)
	}
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	taken := openDir(t, folder, storage.Options{})
	defer taken.Close() //nolint:errcheck // a test's folder
	if err := taken.Lock(); err != nil {
		t.Fatal(err)
	}
	if err := d.Put(t.Context(), "live/test/2.ts", nil); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("put into a folder that another process has made and locked: %v", err)
	}
}

// folders lists the folders beneath a folder.
func folders(t *testing.T, folder string) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"*", "*/*", "*/*/*"} {
		names, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if info, err := os.Stat(name); err == nil && info.IsDir() {
				found = append(found, strings.TrimPrefix(name, folder+"/"))
			}
		}
	}
	return found
}

func TestFoldersGoWithTheirLastBlob(t *testing.T) {
	folder := t.TempDir()
	d := openDir(t, folder, storage.Options{})
	defer d.Close() //nolint:errcheck // a test's folder
	for _, name := range []string{"live/one/a/1.ts", "live/one/b/1.ts", "live/two/a/1.ts"} {
		if err := d.Put(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		remove func() error
		want   string
	}{
		{func() error { return d.RemoveAll("live/one/a") }, "live live/one live/two live/one/b live/two/a"},
		{func() error { return d.Remove("live/one/b/1.ts") }, "live live/two live/two/a"},
		{func() error { return d.RemoveAll("live/two/a") }, ""},
		{func() error { return d.RemoveAll("live/two/a") }, ""},
	} {
		if err := step.remove(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(folders(t, folder), " "); got != step.want {
			t.Errorf("folders: %q, want %q", got, step.want)
		}
	}
}

func TestAStreamThatBeginsWhileAnotherOfItsNameGoesLosesNothing(t *testing.T) {
	d := openDir(t, t.TempDir(), storage.Options{})
	defer d.Close() //nolint:errcheck // a test's folder
	ctx, stop := context.WithCancel(t.Context())
	var remover sync.WaitGroup
	remover.Go(func() {
		for ctx.Err() == nil {
			if err := errors.Join(d.Put(t.Context(), "live/test/old/1.ts", nil), d.RemoveAll("live/test/old")); err != nil {
				t.Errorf("the old one: %v", err)
				return
			}
		}
	})
	for range 300 {
		if err := d.Put(t.Context(), "live/test/new/1.ts", [][]byte{[]byte("x")}); err != nil {
			t.Errorf("the new one: %v", err)
		}
		f, err := d.Open("live/test/new/1.ts")
		if err != nil {
			t.Fatalf("what was put is gone: %v", err)
		}
		_ = f.Close()
		if err := d.RemoveAll("live/test/new"); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	remover.Wait()
}
