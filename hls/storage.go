package hls

import (
	"context"
	"io"
	"io/fs"
	"time"
)

// Blob is a stored segment that is being read, at offset 0. Where it is an *os.File, it
// stays open between requests, which share it, and the kernel can send it.
type Blob = interface {
	io.ReadSeekCloser
	Stat() (fs.FileInfo, error)
}

// Appender is a blob that is open for records at its end. A Write is whole or not at
// all, unless the process dies in it.
type Appender = interface {
	io.WriteCloser
	Truncate(size int64) error
	Sync() error
}

// BlobInfo describes a blob.
type BlobInfo = struct {
	Name    string
	Size    int64 // bytes
	ModTime time.Time
}

// Storage keeps segments and journals. Names are slash paths below its root. It may be
// called from many goroutines, and may take as long as it likes: nobody who matters
// waits for it.
type Storage interface {
	// Put makes parts the content of a blob, as a whole or not at all, in place of
	// what it was. It may use parts only until it returns.
	Put(ctx context.Context, name string, parts [][]byte) error
	// Open opens a blob; the error wraps fs.ErrNotExist if there is none.
	Open(name string) (Blob, error)
	// Append opens a blob for records at its end, and makes it if it is missing.
	Append(name string) (Appender, error)
	// List returns all blobs beneath a folder, however deep; "." is everything.
	List(folder string) ([]BlobInfo, error)
	// Folders returns the names of the folders directly beneath a folder; "." is everything.
	Folders(folder string) ([]string, error)
	// Remove removes a blob.
	Remove(name string) error
	// RemoveAll removes all blobs beneath a folder.
	RemoveAll(folder string) error
}
