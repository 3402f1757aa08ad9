package storage_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/headwater-live/headwater/storage"
)

func TestAPrivateFileIsReplacedWholeAndIsNoBlob(t *testing.T) {
	folder := t.TempDir()
	d := openDir(t, folder, storage.Options{})
	defer d.Close() //nolint:errcheck // a test's folder
	if _, err := d.ReadPrivate(".list", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read what is not there: %v", err)
	}
	for _, content := range []string{"the first", "two"} {
		if err := d.PutPrivate(t.Context(), ".list", []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := d.ReadPrivate(".list", 100); err != nil || string(got) != content {
			t.Errorf("read %q, %v", got, err)
		}
	}
	if got, err := d.ReadPrivate(".list", 2); err != nil || string(got) != "tw" {
		t.Errorf("read beyond the limit: %q, %v", got, err)
	}
	info, err := os.Stat(filepath.Join(folder, ".list"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
	if blobs, err := d.List("."); err != nil || len(blobs) != 0 {
		t.Errorf("listed: %v, %v", blobs, err)
	}
	if n, err := d.Sweep(); n != 0 || err != nil {
		t.Errorf("swept: %d, %v", n, err)
	}
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if err := d.PutPrivate(t.Context(), ".list", []byte("again")); err != nil {
		t.Errorf("put after the folder was removed: %v", err)
	}
	wantFiles(t, folder, ".list")
}

func TestAPrivateFileIsKeptAside(t *testing.T) {
	folder := t.TempDir()
	d := openDir(t, folder, storage.Options{})
	defer d.Close() //nolint:errcheck // a test's folder
	for _, content := range []string{"one", "two"} {
		if err := d.PutPrivate(t.Context(), ".list", []byte(content)); err != nil {
			t.Fatal(err)
		}
		if err := d.KeepAside(".list", ".list.old"); err != nil {
			t.Fatal(err)
		}
		if err := d.PutPrivate(t.Context(), ".list", []byte("new")); err != nil {
			t.Fatal(err)
		}
		if got, err := d.ReadPrivate(".list.old", 100); err != nil || string(got) != content {
			t.Errorf("kept %q, %v", got, err)
		}
	}
	wantFiles(t, folder, ".list", ".list.old")
}

func TestPrivateNamesBeginWithADot(t *testing.T) {
	d := openDir(t, t.TempDir(), storage.Options{})
	defer d.Close() //nolint:errcheck // a test's folder
	for _, name := range []string{"", ".", "..", "list", ".a/b", "../.list", ".put-x.tmp", ".a\x00"} {
		if err := d.PutPrivate(t.Context(), name, nil); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("put %q: %v", name, err)
		}
		if _, err := d.ReadPrivate(name, 1); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("read %q: %v", name, err)
		}
		if err := d.KeepAside(".list", name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("keep as %q: %v", name, err)
		}
	}
}
