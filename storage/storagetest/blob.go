package storagetest

import (
	"io"
	"io/fs"
	"testing"
	"time"
)

func putJoinsParts(t *testing.T, s Store) {
	put(t, s, "live/test/1.ts", "abc", "", "de", "f")
	wantContent(t, s, "live/test/1.ts", "abcdef")
	wantNames(t, s, ".", "live/test/1.ts:6")
	info, err := open(t, s, "live/test/1.ts").Stat()
	if err != nil {
		t.Fatalf("stat: %v", err)
	}
	if info.Name() != "1.ts" || info.Size() != 6 || info.IsDir() || !info.Mode().IsRegular() {
		t.Errorf("stat: %s, %d bytes, %v", info.Name(), info.Size(), info.Mode())
	}
	if age := time.Since(info.ModTime()); age < -time.Minute || age > time.Hour {
		t.Errorf("stat: modified %v ago", age)
	}
}

func putTakesEmptyBlob(t *testing.T, s Store) {
	put(t, s, "empty")
	wantContent(t, s, "empty", "")
	wantNames(t, s, ".", "empty:0")
}

func putCopiesParts(t *testing.T, s Store) {
	part := []byte("before")
	if err := s.Put(t.Context(), "a", [][]byte{part}); err != nil {
		t.Fatal(err)
	}
	copy(part, "after!")
	wantContent(t, s, "a", "before")
}

func putReplaces(t *testing.T, s Store) {
	put(t, s, "a", "a long first version")
	put(t, s, "a", "short")
	wantContent(t, s, "a", "short")
	wantNames(t, s, ".", "a:5")
}

func openBlobOutlivesName(t *testing.T, s Store) {
	put(t, s, "x/a", "first")
	removed := open(t, s, "x/a")
	if err := s.Remove("x/a"); err != nil {
		t.Fatal(err)
	}
	wantNames(t, s, ".", "")
	if got := content(t, removed); got != "first" {
		t.Errorf("after the removal: %q", got)
	}

	put(t, s, "x/a", "second")
	replaced := open(t, s, "x/a")
	half := make([]byte, 3)
	if _, err := io.ReadFull(replaced, half); err != nil {
		t.Fatal(err)
	}
	put(t, s, "x/a", "third, and longer")
	if got := string(half) + content(t, replaced); got != "second" {
		t.Errorf("after the replacement: %q", got)
	}
	swept := open(t, s, "x/a")
	if err := s.RemoveAll("x"); err != nil {
		t.Fatal(err)
	}
	if got := content(t, swept); got != "third, and longer" {
		t.Errorf("after the removal of all: %q", got)
	}
}

func fileSeeks(t *testing.T, s Store) {
	put(t, s, "a", "0123456789")
	f := open(t, s, "a")
	for _, step := range []struct {
		offset int64
		whence int
		at     int64
		rest   string
	}{
		{4, io.SeekStart, 4, "456789"}, {-3, io.SeekEnd, 7, "789"}, {-10, io.SeekCurrent, 0, "0123456789"},
		{0, io.SeekEnd, 10, ""}, {5, io.SeekEnd, 15, ""},
	} {
		at, err := f.Seek(step.offset, step.whence)
		if err != nil || at != step.at {
			t.Errorf("seek %d from %d: at %d, %v; want %d", step.offset, step.whence, at, err, step.at)
		}
		if got := content(t, f); got != step.rest {
			t.Errorf("seek %d from %d: rest %q, want %q", step.offset, step.whence, got, step.rest)
		}
	}
	if _, err := f.Seek(-1, io.SeekStart); err == nil {
		t.Error("seek before the start: no error")
	}
	if _, err := f.Seek(0, 99); err == nil {
		t.Error("seek from nowhere: no error")
	}
}

func missingBlob(t *testing.T, s Store) {
	put(t, s, "there/a", "x")
	for _, name := range []string{"a", "there/b", "no/where/at/all"} {
		_, err := s.Open(name)
		wantError(t, err, fs.ErrNotExist)
		wantError(t, s.Remove(name), fs.ErrNotExist)
	}
	wantNames(t, s, "no/where", "")
	if err := s.RemoveAll("no/where"); err != nil {
		t.Errorf("remove all of nothing: %v", err)
	}
}

func folderIsNoBlob(t *testing.T, s Store) {
	put(t, s, "folder/a", "x")
	_, err := s.Open("folder")
	wantError(t, err, fs.ErrNotExist)
	wantError(t, s.Remove("folder"), fs.ErrNotExist)
	if err := s.Put(t.Context(), "folder", nil); err == nil {
		t.Error("put over a folder: no error")
	}
	if _, err := s.Append("folder"); err == nil {
		t.Error("append to a folder: no error")
	}
	wantNames(t, s, ".", "folder/a:1")
}

func blobIsNoFolder(t *testing.T, s Store) {
	put(t, s, "a", "x")
	if err := s.Put(t.Context(), "a/b", nil); err == nil {
		t.Error("put beneath a blob: no error")
	}
	if _, err := s.Append("a/b"); err == nil {
		t.Error("append beneath a blob: no error")
	}
	_, err := s.Open("a/b")
	wantError(t, err, fs.ErrNotExist)
	wantError(t, s.Remove("a/b"), fs.ErrNotExist)
	wantNames(t, s, "a", "")
	if err := s.RemoveAll("a"); err != nil {
		t.Errorf("remove all beneath a blob: %v", err)
	}
	wantNames(t, s, ".", "a:1")
}
