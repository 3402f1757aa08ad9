package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ErrLocked says that another process uses a folder.
var ErrLocked = errors.New("another process uses the folder")

// Lock makes sure that no other process has locked the folder, and keeps others from it until Close or the
// end of the process, however that comes. The error wraps [ErrLocked] if one has, and errors.ErrUnsupported
// where the file system or the operating system has no locks.
//
// It is for those who write: reading a store that somebody else has locked is allowed.
func (d *Dir) Lock() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lock != nil {
		return nil
	}
	lock, err := lockFolder(d.root.Load())
	if err != nil {
		return fmt.Errorf("lock %s: %w", d.folder, err)
	}
	d.lock = lock
	return nil
}

// Unlock lets another process lock the folder. Reading is still allowed.
func (d *Dir) Unlock() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lock == nil {
		return nil
	}
	lock := d.lock
	d.lock = nil
	return lock.Close()
}

// lockFolder locks the folder itself: that leaves no file behind, and works on a full disk.
func lockFolder(root *os.Root) (*os.File, error) {
	f, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// revive makes the folder anew, or takes the one that somebody has made, if what was opened is no longer at
// its path.
func (d *Dir) revive() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.root.Load()
	was, err := old.Stat(".")
	if err != nil {
		return err
	}
	is, err := os.Stat(d.folder)
	if err == nil && os.SameFile(was, is) || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(d.folder, dirMode); err != nil {
		return err
	}
	root, err := os.OpenRoot(d.folder)
	if err != nil {
		return err
	}
	if d.lock != nil {
		lock, err := lockFolder(root)
		if err != nil {
			return errors.Join(err, root.Close())
		}
		_ = d.lock.Close() // of a folder that is gone
		d.lock = lock
	}
	d.root.Store(root)
	_ = old.Close() // likewise
	return nil
}
