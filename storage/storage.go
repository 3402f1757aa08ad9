// Package storage keeps blobs: the segments and journals of HLS channels, and later recordings.
//
// A blob has a name, which is a slash path such as "live/test/7f3a/0000012.ts", and bytes. It is written
// whole with Put, or grown record by record through Append. There are no folders of their own: a folder
// exists as long as there is a blob beneath it, and Put makes the ones it needs.
//
// Two stores behave alike, as the suite in storagetest says: [Dir] keeps blobs as files, [Memory] forgets
// them with the process. What holds for both:
//
//   - Put is atomic. A reader finds the whole blob or the one before it; a Put that fails or is cancelled
//     leaves nothing behind.
//   - An open blob stays readable, with the bytes it had, while its name is removed or put again.
//   - All methods may be called from any goroutine. The handles they return belong to one at a time.
//   - Errors wrap [fs.ErrNotExist] and [fs.ErrInvalid] where these apply, and syscall.ENOSPC when the store
//     is full.
//
// Consumers don't import this package. They declare the few methods they need themselves, and because
// [File], [Appender] and [Info] are aliases, an interface that spells the same methods is satisfied:
//
//	type segmentStore interface {
//		Put(ctx context.Context, name string, parts [][]byte) error
//		Remove(name string) error
//	}
package storage

import (
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"
)

// File is an open blob, at offset 0. The one that [Dir] returns is an *os.File, so that the kernel can
// send it, with sendfile.
type File = interface {
	io.ReadSeekCloser
	Stat() (fs.FileInfo, error)
}

// Appender is a blob that is open for records at its end.
//
// A Write is whole or not at all: when the disk fills up in the middle, the blob is cut back to what it was.
// It fails when the blob was removed meanwhile: nobody would find the record.
// Only the death of the process or the machine can leave a part of a record, so a reader must be able to
// tell, and Truncate is there to cut it off. Sync returns when the bytes would survive a power cut.
type Appender = interface {
	io.WriteCloser
	Truncate(size int64) error
	Sync() error
}

// Info describes a blob.
type Info = struct {
	Name    string
	Size    int64 // bytes
	ModTime time.Time
}

// Space is the room of a store, in bytes.
type Space struct {
	Free  int64 // what may still be written
	Total int64
}

const (
	// maxName and maxElement bound a name and what stands between its slashes: the key length of S3 and the
	// file name length of every common file system. What one store takes, all take.
	maxName    = 1024
	maxElement = 255
)

// checkName says whether a store takes a name. An element that begins with a dot is refused: such names
// belong to the store itself, for unfinished files.
func checkName(op, name string) error {
	if name == "." || !fs.ValidPath(name) || len(name) > maxName || strings.ContainsRune(name, 0) {
		return fmt.Errorf("%s %q: %w", op, name, fs.ErrInvalid)
	}
	for element := range strings.SplitSeq(name, "/") {
		if element[0] == '.' || len(element) > maxElement {
			return fmt.Errorf("%s %q: %w", op, name, fs.ErrInvalid)
		}
	}
	return nil
}

// checkFolder is checkName for a folder; "." is everything there is.
func checkFolder(op, folder string) error {
	if folder == "." {
		return nil
	}
	return checkName(op, folder)
}
