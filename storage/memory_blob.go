package storage

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"sync"
	"time"
)

// blob is the content behind a name of [Memory]. It outlives the name as long as somebody has it open.
type blob struct {
	store *Memory

	mu      sync.RWMutex
	data    []byte
	modTime time.Time
	named   bool // its bytes count in the store
}

func (b *blob) state() (size int64, modTime time.Time) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return int64(len(b.data)), b.modTime
}

// unname gives the room back to the store. What open handles still hold is not counted: a file system would
// count it, but here it goes with the last viewer, and nobody could make room by removing more.
func (b *blob) unname() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.named = false
	b.store.used.Add(-int64(len(b.data)))
}

func (b *blob) write(record []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.named {
		return fmt.Errorf("the blob was removed: %w", fs.ErrNotExist)
	}
	if err := b.store.take(int64(len(record))); err != nil {
		return err
	}
	b.data = append(b.data, record...)
	b.modTime = time.Now()
	return nil
}

func (b *blob) truncate(size int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	grow := size - int64(len(b.data))
	if b.named {
		if err := b.store.take(grow); err != nil {
			return err
		}
	}
	if grow > 0 {
		b.data = append(b.data, make([]byte, grow)...)
	} else {
		b.data = slices.Clone(b.data[:size]) // so that the rest can be freed
	}
	b.modTime = time.Now()
	return nil
}

func (b *blob) readAt(p []byte, offset int64) int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if offset >= int64(len(b.data)) {
		return 0
	}
	return copy(p, b.data[offset:])
}

// memoryFile is a blob open for reading. Like a file, it sees what is appended meanwhile.
type memoryFile struct {
	name   string
	blob   *blob
	offset int64
	closed bool
}

func (f *memoryFile) Read(p []byte) (int, error) {
	if f.closed {
		return 0, fmt.Errorf("read %s: %w", f.name, fs.ErrClosed)
	}
	if len(p) == 0 {
		return 0, nil
	}
	n := f.blob.readAt(p, f.offset)
	if n == 0 {
		return 0, io.EOF
	}
	f.offset += int64(n)
	return n, nil
}

func (f *memoryFile) Seek(offset int64, whence int) (int64, error) {
	if f.closed {
		return 0, fmt.Errorf("seek %s: %w", f.name, fs.ErrClosed)
	}
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += f.offset
	case io.SeekEnd:
		size, _ := f.blob.state()
		offset += size
	default:
		return 0, fmt.Errorf("seek %s: %w", f.name, fs.ErrInvalid)
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek %s: %w", f.name, fs.ErrInvalid)
	}
	f.offset = offset
	return offset, nil
}

func (f *memoryFile) Stat() (fs.FileInfo, error) {
	if f.closed {
		return nil, fmt.Errorf("stat %s: %w", f.name, fs.ErrClosed)
	}
	size, modTime := f.blob.state()
	return memoryInfo{name: path.Base(f.name), size: size, modTime: modTime}, nil
}

func (f *memoryFile) Close() error {
	if f.closed {
		return fmt.Errorf("close %s: %w", f.name, fs.ErrClosed)
	}
	f.closed = true
	return nil
}

type memoryInfo struct {
	name    string
	size    int64
	modTime time.Time
}

func (i memoryInfo) Name() string       { return i.name }
func (i memoryInfo) Size() int64        { return i.size }
func (i memoryInfo) Mode() fs.FileMode  { return fileMode }
func (i memoryInfo) ModTime() time.Time { return i.modTime }
func (i memoryInfo) IsDir() bool        { return false }
func (i memoryInfo) Sys() any           { return nil }

// memoryAppender is a blob open for appending.
type memoryAppender struct {
	blob   *blob
	closed bool
}

func (a *memoryAppender) Write(record []byte) (int, error) {
	if a.closed {
		return 0, fmt.Errorf("append: %w", fs.ErrClosed)
	}
	if err := a.blob.write(record); err != nil {
		return 0, fmt.Errorf("append: %w", err)
	}
	return len(record), nil
}

func (a *memoryAppender) Truncate(size int64) error {
	if a.closed {
		return fmt.Errorf("truncate: %w", fs.ErrClosed)
	}
	if size < 0 {
		return fmt.Errorf("truncate: %w", fs.ErrInvalid)
	}
	if err := a.blob.truncate(size); err != nil {
		return fmt.Errorf("truncate: %w", err)
	}
	return nil
}

func (a *memoryAppender) Sync() error {
	if a.closed {
		return fmt.Errorf("sync: %w", fs.ErrClosed)
	}
	return nil
}

func (a *memoryAppender) Close() error {
	if a.closed {
		return fmt.Errorf("close: %w", fs.ErrClosed)
	}
	a.closed = true
	return nil
}
