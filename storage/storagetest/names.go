package storagetest

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"
)

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

func foldersAreListed(t *testing.T, s Store) {
	want := func(folder string, want ...string) {
		t.Helper()
		if got, err := s.Folders(folder); err != nil || !slices.Equal(got, want) {
			t.Errorf("folders of %s: %q, %v, want %q", folder, got, err, want)
		}
	}
	want(".")
	for _, name := range []string{"b", "a/z", "a-b/x", "a/b/c/d", "a/e/f", "a0/g/h"} {
		put(t, s, name, name)
	}
	want(".", "a", "a-b", "a0")
	want("a", "b", "e")
	want("a/b", "c")
	want("a/b/c")
	want("b")
	want("nothing")
	if err := s.RemoveAll("a/b"); err != nil {
		t.Fatal(err)
	}
	want("a", "e")
	_, err := s.Folders("../a")
	wantError(t, err, fs.ErrInvalid)
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
