package storage

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
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
	// rename, the folder after it. It is off by default. A process that is killed loses nothing either way,
	// since the kernel has the bytes; only a machine that loses power can then find the last seconds of
	// blobs empty or missing. Live segments are worth less than the flushes would cost.
	Sync bool
}

// Dir keeps every blob as a file of the same name beneath one folder. All access goes through an [os.Root]:
// no name and no symbolic link leads out of it.
type Dir struct {
	root    *os.Root
	options Options
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
	return &Dir{root: root, options: options}, nil
}

// Close ends the store. Open blobs stay open.
func (d *Dir) Close() error { return d.root.Close() }

// Put makes parts, one after the other, the content of a blob, in place of what it was. The parts may be
// used again when it returns. On an error, and when ctx ends first, everything is as before.
func (d *Dir) Put(ctx context.Context, name string, parts [][]byte) error {
	if err := checkName("put", name); err != nil {
		return err
	}
	temp := path.Join(path.Dir(name), tempPrefix+rand.Text()+tempSuffix)
	f, err := d.create(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	err = writeParts(ctx, f, parts)
	if err == nil && d.options.Sync {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = d.root.Rename(temp, name)
	}
	if err != nil {
		return fmt.Errorf("put %s: %w", name, errors.Join(err, d.discard(temp)))
	}
	if d.options.Sync {
		if err := d.syncFolder(path.Dir(name)); err != nil {
			return fmt.Errorf("put %s: %w", name, err)
		}
	}
	return nil
}

// create opens a file for writing and makes its folder when that is missing. Most folders exist, so it
// looks for them only after it failed.
func (d *Dir) create(name string, flags int) (*os.File, error) {
	for try := 1; ; try++ {
		f, err := d.root.OpenFile(name, flags, fileMode)
		if err == nil || !errors.Is(err, fs.ErrNotExist) || try == maxCreateTries {
			return f, err
		}
		// Another goroutine may remove the folder while it is being made, which is no reason to fail.
		if err := d.root.MkdirAll(path.Dir(name), dirMode); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
}

func writeParts(ctx context.Context, w io.Writer, parts [][]byte) error {
	for _, part := range parts {
		for len(part) > 0 {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			n := min(len(part), writeChunk)
			if _, err := w.Write(part[:n]); err != nil {
				return err
			}
			part = part[n:]
		}
	}
	return context.Cause(ctx)
}

// discard removes an unfinished file. It may be gone already, together with its folder.
func (d *Dir) discard(temp string) error {
	if err := d.root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (d *Dir) syncFolder(folder string) error {
	f, err := d.root.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Open opens a blob for reading. The File is an *os.File.
func (d *Dir) Open(name string) (File, error) {
	if err := checkName("open", name); err != nil {
		return nil, err
	}
	// Without O_NONBLOCK, opening a named pipe that somebody left there would wait for its writer.
	f, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
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

// Remove removes a blob. Whoever has it open reads on.
func (d *Dir) Remove(name string) error {
	if err := checkName("remove", name); err != nil {
		return err
	}
	info, err := d.root.Lstat(name)
	if err == nil && info.IsDir() {
		err = &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	if err == nil {
		err = d.root.Remove(name)
	}
	if err != nil {
		return fmt.Errorf("remove blob: %w", absent(err))
	}
	return nil
}

// RemoveAll removes everything beneath a folder, unfinished files included; "." is the whole store. It is
// no error when there is nothing. A blob that is put there meanwhile may stay or go.
func (d *Dir) RemoveAll(folder string) error {
	if err := checkFolder("remove all", folder); err != nil {
		return err
	}
	info, err := d.root.Lstat(folder)
	if err != nil || !info.IsDir() {
		return ignoreAbsent("remove all", err)
	}
	if folder != "." {
		return d.removeTree(folder)
	}
	entries, err := fs.ReadDir(d.root.FS(), ".")
	for _, e := range entries {
		err = errors.Join(err, d.removeTree(e.Name()))
	}
	return ignoreAbsent("remove all", err)
}

// removeTree removes what is there when it is called. A folder that is not empty afterwards got a blob
// meanwhile, which stays.
func (d *Dir) removeTree(name string) error {
	err := d.root.RemoveAll(name)
	if errors.Is(err, syscall.ENOTEMPTY) {
		return nil
	}
	return ignoreAbsent("remove all", err)
}

func ignoreAbsent(op string, err error) error {
	if err == nil || errors.Is(absent(err), fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("%s: %w", op, err)
}

// List returns all blobs beneath a folder, however deep, in the order of their names; "." is the whole
// store. Blobs that come or go meanwhile may be missing.
func (d *Dir) List(folder string) ([]Info, error) {
	if err := checkFolder("list", folder); err != nil {
		return nil, err
	}
	var blobs []Info
	err := d.walk(folder, func(name string, e fs.DirEntry) error {
		if path.Base(name)[0] == '.' {
			return nil
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		blobs = append(blobs, Info{Name: name, Size: info.Size(), ModTime: info.ModTime()})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	sortByName(blobs)
	return blobs, nil
}

// walk calls visit for every regular file beneath a folder. What vanishes on the way is passed over.
func (d *Dir) walk(folder string, visit func(name string, e fs.DirEntry) error) error {
	info, err := d.root.Lstat(folder)
	if err != nil || !info.IsDir() {
		return ignoreAbsent("walk", err)
	}
	return fs.WalkDir(d.root.FS(), folder, func(name string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case e.IsDir() && name != "." && e.Name()[0] == '.':
			return fs.SkipDir // lost+found has no dot, but .snapshot and .Trash are not ours
		case !e.Type().IsRegular():
			return nil
		}
		return visit(name, e)
	})
}

// Sweep removes the unfinished files that an earlier process left when it was killed, and says how many
// there were. Call it once, before the first Put: it cannot tell old ones from those being written.
func (d *Dir) Sweep() (removed int, err error) {
	err = d.walk(".", func(name string, e fs.DirEntry) error {
		if !strings.HasPrefix(e.Name(), tempPrefix) || !strings.HasSuffix(e.Name(), tempSuffix) {
			return nil
		}
		if err := d.discard(name); err != nil {
			return err
		}
		removed++
		return nil
	})
	if err != nil {
		return removed, fmt.Errorf("sweep: %w", err)
	}
	return removed, nil
}
