// Package storagetest says what a blob store does. Every store passes the same suite, so that whoever uses
// one may be given another.
package storagetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

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
	Folders(folder string) ([]string, error)
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
		{"folders are listed without what is in them", foldersAreListed},
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
		{"append to a blob that was removed says so", appendToRemovedFails},
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
