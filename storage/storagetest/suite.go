// Package storagetest says what a blob store does. Every store passes the same suite, so that whoever uses
// one may be given another.
package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/storage"
)

// Store is what the suite asks of a store.
type Store interface {
	Put(ctx context.Context, name string, parts [][]byte) error
	Open(name string) (storage.File, error)
	Append(name string) (storage.Appender, error)
	Remove(name string) error
	RemoveAll(folder string) error
	List(folder string) ([]storage.Info, error)
	Space() (storage.Space, error)
	Close() error
}

// Run runs the suite. The function returns a new, empty store each time.
func Run(t *testing.T, open func(*testing.T) Store) {
	tests := []struct {
		name string
		run  func(*testing.T, Store)
	}{
		{"put joins the parts in order", putJoinsParts},
		{"put takes an empty blob", putTakesEmptyBlob},
		{"put copies the parts", putCopiesParts},
		{"put replaces a blob whole", putReplaces},
		{"an open blob outlives its removal and replacement", openBlobOutlivesName},
		{"a file seeks and ends as files do", fileSeeks},
		{"a missing blob is fs.ErrNotExist", missingBlob},
		{"a folder is not a blob", folderIsNoBlob},
		{"a blob is not a folder", blobIsNoFolder},
		{"names that lead astray are refused", namesAreChecked},
		{"list is sorted, deep and complete", listIsSorted},
		{"remove all takes one folder and no neighbour", removeAllTakesOneFolder},
		{"a cancelled put leaves nothing", cancelledPutLeavesNothing},
		{"a cancelled replacement leaves the old blob", cancelledReplacementKeepsOld},
		{"append grows a blob and is seen at once", appendGrows},
		{"append cuts and goes on", appendTruncates},
		{"append goes on where it ended", appendReopens},
		{"closed handles say so", closedHandles},
		{"space is told", spaceIsTold},
		{"everything at once", everythingAtOnce},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			test.run(t, s)
		})
	}
}

func put(t *testing.T, s Store, name string, parts ...string) {
	t.Helper()
	raw := make([][]byte, len(parts))
	for i, p := range parts {
		raw[i] = []byte(p)
	}
	if err := s.Put(t.Context(), name, raw); err != nil {
		t.Fatalf("put: %v", err)
	}
}

func open(t *testing.T, s Store, name string) storage.File {
	t.Helper()
	f, err := s.Open(name)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = f.Close() }) // some tests close it themselves
	return f
}

func content(t *testing.T, f io.Reader) string {
	t.Helper()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return string(data)
}

func wantContent(t *testing.T, s Store, name, want string) {
	t.Helper()
	if got := content(t, open(t, s, name)); got != want {
		t.Errorf("%s has %q, want %q", name, got, want)
	}
}

func names(t *testing.T, s Store, folder string) string {
	t.Helper()
	blobs, err := s.List(folder)
	if err != nil {
		t.Fatalf("list %s: %v", folder, err)
	}
	var b strings.Builder
	for _, blob := range blobs {
		fmt.Fprintf(&b, "%s:%d ", blob.Name, blob.Size)
	}
	return strings.TrimSpace(b.String())
}

func wantNames(t *testing.T, s Store, folder, want string) {
	t.Helper()
	if got := names(t, s, folder); got != want {
		t.Errorf("list %s: %q, want %q", folder, got, want)
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v, want %v", err, want)
	}
}

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

func namesAreChecked(t *testing.T, s Store) {
	put(t, s, "live/keep", "x")
	for _, name := range []string{
		"", ".", "..", "/", "/etc/passwd", "../a", "live/../../a", "live/..", "live/./a", "live//a", "live/",
		".hidden", "live/.put-x.tmp", "live/.hidden/a", "a\x00b", "\xff\xfe",
		strings.Repeat("a", 256), "live/" + strings.Repeat("é", 128), strings.Repeat("abcdefg/", 128) + "a",
	} {
		wantError(t, s.Put(t.Context(), name, nil), fs.ErrInvalid)
		_, err := s.Open(name)
		wantError(t, err, fs.ErrInvalid)
		_, err = s.Append(name)
		wantError(t, err, fs.ErrInvalid)
		wantError(t, s.Remove(name), fs.ErrInvalid)
		if name == "." {
			continue // the whole store, for the two below
		}
		wantError(t, s.RemoveAll(name), fs.ErrInvalid)
		_, err = s.List(name)
		wantError(t, err, fs.ErrInvalid)
	}
	wantNames(t, s, ".", "live/keep:1")
	longest := strings.Repeat("a", 255)
	put(t, s, longest+"/"+longest, "x")
	wantContent(t, s, longest+"/"+longest, "x")
}

func listIsSorted(t *testing.T, s Store) {
	for _, name := range []string{"b", "a/z", "a-b", "a/b/c/d", "a/b.ts", "a0"} {
		put(t, s, name, name)
	}
	wantNames(t, s, ".", "a-b:3 a/b.ts:6 a/b/c/d:7 a/z:3 a0:2 b:1")
	wantNames(t, s, "a", "a/b.ts:6 a/b/c/d:7 a/z:3")
	wantNames(t, s, "a/b", "a/b/c/d:7")
	wantNames(t, s, "b", "")
	blobs, err := s.List("a")
	if err != nil {
		t.Fatal(err)
	}
	for _, blob := range blobs {
		if age := time.Since(blob.ModTime); age < -time.Minute || age > time.Hour {
			t.Errorf("%s: modified %v ago", blob.Name, age)
		}
	}
}

func removeAllTakesOneFolder(t *testing.T, s Store) {
	for _, name := range []string{"a/1", "a/b/2", "ab/3", "a.b/4", "5"} {
		put(t, s, name, "x")
	}
	if err := s.RemoveAll("a"); err != nil {
		t.Fatal(err)
	}
	wantNames(t, s, ".", "5:1 a.b/4:1 ab/3:1")
	put(t, s, "a/1", "again")
	wantContent(t, s, "a/1", "again")
	if err := s.RemoveAll("."); err != nil {
		t.Fatal(err)
	}
	wantNames(t, s, ".", "")
	put(t, s, "a/1", "and again")
	wantContent(t, s, "a/1", "and again")
}

// fuse is a context that ends when it has been asked a number of times, so that an operation is cancelled in
// its middle without a clock.
type fuse struct {
	context.Context
	left int
}

func (f *fuse) Err() error {
	if f.left--; f.left < 0 {
		return context.Canceled
	}
	return nil
}

func cancelledPutLeavesNothing(t *testing.T, s Store) {
	big := bytes.Repeat([]byte("x"), 3<<20)
	for left := range 3 {
		ctx := &fuse{t.Context(), left}
		err := s.Put(ctx, "folder/a", [][]byte{big, big})
		if ctx.left >= 0 {
			continue // a store that looks less often has stored it, which is its right
		}
		wantError(t, err, context.Canceled)
		wantNames(t, s, ".", "")
		_, err = s.Open("folder/a")
		wantError(t, err, fs.ErrNotExist)
	}
	ended, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("the stream has ended")
	cancel(reason)
	err := s.Put(ended, "folder/b", nil)
	wantError(t, err, reason)
	_, err = s.Open("folder/b")
	wantError(t, err, fs.ErrNotExist)
}

func cancelledReplacementKeepsOld(t *testing.T, s Store) {
	put(t, s, "a", "old")
	err := s.Put(&fuse{t.Context(), 0}, "a", [][]byte{[]byte("new")})
	wantError(t, err, context.Canceled)
	wantContent(t, s, "a", "old")
}
