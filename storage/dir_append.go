package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
)

// Append opens a blob for records at its end; it is made when it is missing.
func (d *Dir) Append(name string) (Appender, error) {
	if err := checkName("append", name); err != nil {
		return nil, err
	}
	f, err := d.create(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND)
	if err != nil {
		return nil, fmt.Errorf("append: %w", err)
	}
	info, err := f.Stat()
	if err == nil && d.options.Sync {
		err = d.syncFolder(path.Dir(name)) // the file may be new, and its name must survive as well
	}
	if err != nil {
		return nil, fmt.Errorf("append: %w", errors.Join(err, f.Close()))
	}
	return &dirAppender{dir: d, name: name, file: f, info: info, size: info.Size(), sync: d.options.Sync}, nil
}

// dirAppender knows how long the file is, so that half a record can be taken back.
type dirAppender struct {
	dir  *Dir
	name string
	file *os.File
	info fs.FileInfo // as it was opened
	size int64
	sync bool // each record
}

func (a *dirAppender) Write(record []byte) (int, error) {
	n, err := a.file.Write(record)
	if err == nil && !a.named() {
		return 0, fmt.Errorf("append: the blob was removed: %w", fs.ErrNotExist)
	}
	if err == nil && a.sync {
		err = a.file.Sync()
	}
	if err != nil {
		err = fmt.Errorf("append: %w", err)
		if n > 0 {
			err = errors.Join(err, a.file.Truncate(a.size))
		}
		return 0, err
	}
	a.size += int64(n)
	return n, nil
}

// named reports whether the file still has its name. Whoever removed it with others' tools, or gave it or a
// folder above it another name, took the records with it, and nobody would find the next ones.
func (a *dirAppender) named() bool {
	info, err := a.dir.root.Load().Lstat(a.name)
	if err != nil {
		return !errors.Is(absent(err), fs.ErrNotExist)
	}
	return os.SameFile(info, a.info)
}

func (a *dirAppender) Truncate(size int64) error {
	if err := a.file.Truncate(size); err != nil {
		return fmt.Errorf("truncate: %w", err)
	}
	a.size = size
	return nil
}

func (a *dirAppender) Sync() error  { return a.file.Sync() }
func (a *dirAppender) Close() error { return a.file.Close() }
