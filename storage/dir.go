package storage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sync"
	"sync/atomic"
	"syscall"
)

const (
	// Unfinished files are called .put-RANDOM.tmp and stand beside the blob they become: a rename within one
	// folder is atomic, and an element with a dot in front is never a blob's.
	tempPrefix = ".put-"
	tempSuffix = ".tmp"

	// writeChunk is how much is written between two looks at the context: some milliseconds of a slow disk.
	writeChunk = 1 << 20

	// maxCreateTries bounds how often Append and Put make a folder that others remove at the same moment.
	maxCreateTries = 16

	dirMode  = 0o755
	fileMode = 0o644
)

// Options are the choices of a [Dir].
type Options struct {
	// Sync makes Put return only when the blob would survive a power cut: the file is flushed before the
	// rename, the folder after it. An Appender then flushes each record. It is off by default. A process that is killed loses nothing either way,
	// since the kernel has the bytes; only a machine that loses power can then find the last seconds of
	// blobs empty or missing. Live segments are worth less than the flushes would cost.
	Sync bool
}

// Dir keeps every blob as a file of the same name beneath one folder. All access goes through an [os.Root]:
// no name and no symbolic link leads out of it.
type Dir struct {
	folder  string
	options Options

	// root is replaced, under mu, when the folder was removed and made again.
	root atomic.Pointer[os.Root]
	mu   sync.Mutex
	lock *os.File // nil without Lock
}

// OpenDir opens the store in a folder, which is made when it is missing.
func OpenDir(folder string, options Options) (*Dir, error) {
	if err := os.MkdirAll(folder, dirMode); err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	d := &Dir{folder: folder, options: options}
	d.root.Store(root)
	return d, nil
}

// Close ends the store. Open blobs stay open.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.root.Load().Close()
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
		d.lock = nil
	}
	return err
}

// Put makes parts, one after the other, the content of a blob, in place of what it was. The parts may be
// used again when it returns. On an error, and when ctx ends first, everything is as before.
func (d *Dir) Put(ctx context.Context, name string, parts [][]byte) error {
	if err := checkName("put", name); err != nil {
		return err
	}
	return d.write(ctx, name, parts, fileMode, d.options.Sync)
}

// write is Put for any name and mode. flush makes it return only when a power cut would not undo it.
func (d *Dir) write(ctx context.Context, name string, parts [][]byte, mode fs.FileMode, flush bool) error {
	temp := tempPrefix + rand.Text() + tempSuffix
	folder, f, err := d.createIn(path.Dir(name), temp, mode)
	if err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	defer func() { _ = folder.Close() }() // it was only used to find files
	err = writeParts(ctx, f, parts)
	if err == nil && flush {
		if err = f.Sync(); err == nil {
			err = ctx.Err() // a disk that hangs does so here, and nobody may want it any more
		}
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = folder.Rename(temp, path.Base(name))
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", name, errors.Join(err, discard(folder, temp)))
	}
	if flush {
		if err := d.syncFolder(path.Dir(name)); err != nil {
			return fmt.Errorf("put %s: %w", name, err)
		}
	}
	return nil
}

// createIn creates a file for writing in a folder, in which it can then be renamed without looking for the folder once
// more: that takes two system calls for each folder above.
func (d *Dir) createIn(name, file string, mode fs.FileMode) (folder *os.Root, f *os.File, err error) {
	err = d.making(name, func(root *os.Root) error {
		if folder, err = root.OpenRoot(name); err != nil {
			return err
		}
		if f, err = folder.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode); err != nil {
			_ = folder.Close() // it was only used to look for the file
		}
		return err
	})
	return folder, f, err
}

// create opens a file for writing.
func (d *Dir) create(name string, flags int) (f *os.File, err error) {
	err = d.making(path.Dir(name), func(root *os.Root) error {
		f, err = root.OpenFile(name, flags, fileMode)
		return err
	})
	return f, err
}

// making does something in a folder, and makes the folder when that is missing, and the store's own when somebody has
// removed it. Most folders exist, so it looks for them only after it failed.
func (d *Dir) making(folder string, do func(root *os.Root) error) error {
	for try := 1; ; try++ {
		err := do(d.root.Load())
		if err == nil || !errors.Is(err, fs.ErrNotExist) || try == maxCreateTries {
			return err
		}
		// Another goroutine may remove the folder while it is being made, which is no reason to fail.
		err = d.root.Load().MkdirAll(folder, dirMode)
		if errors.Is(err, fs.ErrNotExist) || err == nil && folder == "." { // which a removed folder still is to itself
			err = d.revive()
		}
		if err != nil {
			return err
		}
	}
}

// discard removes an unfinished file. It may be gone already, together with its folder.
func discard(folder *os.Root, temp string) error {
	if err := folder.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (d *Dir) syncFolder(folder string) error {
	f, err := d.root.Load().Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Open opens a blob for reading. The File is an *os.File. Reading it leaves no trace on the disk, where the system can
// do without: else whoever reads a blob first would wait for the disk although its bytes are in memory.
func (d *Dir) Open(name string) (File, error) {
	if err := checkName("open", name); err != nil {
		return nil, err
	}
	// Without O_NONBLOCK, opening a named pipe that somebody left there would wait for its writer.
	f, err := d.root.Load().OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|noATime, 0)
	if noATime != 0 && errors.Is(err, fs.ErrPermission) { // another user's file
		f, err = d.root.Load().OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("open blob: %w", absent(err))
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist} // a folder is no blob
	}
	if err != nil {
		return nil, fmt.Errorf("open blob: %w", errors.Join(err, f.Close()))
	}
	return f, nil
}

// absent makes one error of the two ways in which a blob can be missing: nothing has its name, or what
// should be a folder above it is itself a blob.
func absent(err error) error {
	if errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%w (%w)", fs.ErrNotExist, err)
	}
	return err
}

// Remove removes a blob, and the folders that held nothing else. Whoever has it open reads on.
func (d *Dir) Remove(name string) error {
	if err := checkName("remove", name); err != nil {
		return err
	}
	err := d.removeBlob(name)
	if err != nil {
		return fmt.Errorf("remove blob: %w", absent(err))
	}
	d.prune(path.Dir(name))
	return nil
}

func (d *Dir) removeBlob(name string) error {
	root := d.root.Load()
	folder, err := root.OpenRoot(path.Dir(name))
	if err != nil {
		if _, missing := root.Lstat(name); missing != nil {
			return missing // which says more: what should be a folder may be a blob
		}
		return err
	}
	defer func() { _ = folder.Close() }() // it was only used to find the blob
	info, err := folder.Lstat(path.Base(name))
	if err == nil && info.IsDir() {
		err = &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	if err != nil {
		return err
	}
	return folder.Remove(path.Base(name))
}
