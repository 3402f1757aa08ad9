package storage

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Memory keeps blobs on the heap and forgets them with the process.
type Memory struct {
	limit int64        // bytes of all blobs that have a name; 0 is no limit
	used  atomic.Int64 // bytes of all blobs that have a name

	mu      sync.Mutex
	blobs   map[string]*blob
	folders map[string]int // how many blobs there are beneath each folder
}

// NewMemory makes an empty store for at most limit bytes of blobs; 0 is no limit.
func NewMemory(limit int64) *Memory {
	return &Memory{limit: limit, blobs: map[string]*blob{}, folders: map[string]int{}}
}

// Close ends the store and forgets its blobs. Open blobs stay open.
func (m *Memory) Close() error { return m.RemoveAll(".") }

// Put makes parts, one after the other, the content of a blob, as [Dir.Put] does.
func (m *Memory) Put(ctx context.Context, name string, parts [][]byte) error {
	if err := checkName("put", name); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	data := slices.Concat(parts...)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.checkPlace(name); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	// As on a disk, the new bytes need room while the old ones are still there.
	if err := m.take(int64(len(data))); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	m.forget(name)
	m.add(name, &blob{data: data, modTime: time.Now(), store: m, named: true})
	return nil
}

// checkPlace refuses names that a file system could not hold beside those there are: a blob with the name
// of a folder, or beneath another blob.
func (m *Memory) checkPlace(name string) error {
	if m.folders[name] > 0 {
		return syscall.EISDIR
	}
	for folder := range foldersOf(name) {
		if m.blobs[folder] != nil {
			return syscall.ENOTDIR
		}
	}
	return nil
}

// take reserves room for n more bytes.
func (m *Memory) take(n int64) error {
	if used := m.used.Add(n); m.limit > 0 && used > m.limit {
		m.used.Add(-n)
		return syscall.ENOSPC
	}
	return nil
}

// add and forget keep blobs and folders in step; m.mu is held.
func (m *Memory) add(name string, b *blob) {
	m.blobs[name] = b
	for folder := range foldersOf(name) {
		m.folders[folder]++
	}
}

func (m *Memory) forget(name string) {
	b := m.blobs[name]
	if b == nil {
		return
	}
	delete(m.blobs, name)
	for folder := range foldersOf(name) {
		if m.folders[folder]--; m.folders[folder] == 0 {
			delete(m.folders, folder)
		}
	}
	b.unname()
}

// foldersOf yields the folders above a name, the outermost first.
func foldersOf(name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := range len(name) {
			if name[i] == '/' && !yield(name[:i]) {
				return
			}
		}
	}
}

// Open opens a blob for reading.
func (m *Memory) Open(name string) (File, error) {
	if err := checkName("open", name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.blobs[name]
	if b == nil {
		return nil, fmt.Errorf("open blob: %w", &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist})
	}
	return &memoryFile{name: name, blob: b}, nil
}

// Append opens a blob for records at its end; it is made when it is missing.
func (m *Memory) Append(name string) (Appender, error) {
	if err := checkName("append", name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.blobs[name]
	if b == nil {
		if err := m.checkPlace(name); err != nil {
			return nil, fmt.Errorf("append %s: %w", name, err)
		}
		b = &blob{modTime: time.Now(), store: m, named: true}
		m.add(name, b)
	}
	return &memoryAppender{blob: b}, nil
}

// Remove removes a blob. Whoever has it open reads on.
func (m *Memory) Remove(name string) error {
	if err := checkName("remove", name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.blobs[name] == nil {
		return fmt.Errorf("remove blob: %w", &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist})
	}
	m.forget(name)
	return nil
}

// RemoveAll removes everything beneath a folder, as [Dir.RemoveAll] does.
func (m *Memory) RemoveAll(folder string) error {
	if err := checkFolder("remove all", folder); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.blobs {
		if beneath(folder, name) {
			m.forget(name)
		}
	}
	return nil
}

// List returns all blobs beneath a folder, as [Dir.List] does.
func (m *Memory) List(folder string) ([]Info, error) {
	if err := checkFolder("list", folder); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var blobs []Info
	for name, b := range m.blobs {
		if beneath(folder, name) {
			size, modTime := b.state()
			blobs = append(blobs, Info{Name: name, Size: size, ModTime: modTime})
		}
	}
	sortByName(blobs)
	return blobs, nil
}

// Folders returns the names of the folders directly beneath a folder, as [Dir.Folders] does.
func (m *Memory) Folders(folder string) ([]string, error) {
	if err := checkFolder("list folders", folder); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for name := range m.folders {
		if path.Dir(name) == folder {
			names = append(names, path.Base(name))
		}
	}
	slices.Sort(names)
	return names, nil
}

func beneath(folder, name string) bool {
	return folder == "." || len(name) > len(folder) && name[len(folder)] == '/' && strings.HasPrefix(name, folder)
}

func sortByName(blobs []Info) {
	slices.SortFunc(blobs, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
}

// Space returns the limit and what is left of it.
func (m *Memory) Space() (Space, error) {
	if m.limit == 0 {
		return Space{Free: math.MaxInt64, Total: math.MaxInt64}, nil
	}
	return Space{Free: m.limit - m.used.Load(), Total: m.limit}, nil
}
