package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"
)

// RemoveAll removes everything beneath a folder, unfinished files included; "." is the whole store. It is
// no error when there is nothing. A blob that is put there meanwhile may stay or go.
func (d *Dir) RemoveAll(folder string) error {
	if err := checkFolder("remove all", folder); err != nil {
		return err
	}
	info, err := d.root.Load().Lstat(folder)
	if err != nil || !info.IsDir() {
		return ignoreAbsent("remove all", err)
	}
	if folder != "." {
		err := d.removeTree(folder)
		d.prune(path.Dir(folder))
		return err
	}
	entries, err := fs.ReadDir(d.root.Load().FS(), ".")
	for _, e := range entries {
		err = errors.Join(err, d.removeTree(e.Name()))
	}
	return ignoreAbsent("remove all", err)
}

// removeTree removes what is there when it is called. A folder that is not empty afterwards got a blob
// meanwhile, which stays.
func (d *Dir) removeTree(name string) error {
	err := d.root.Load().RemoveAll(name)
	if errors.Is(err, syscall.ENOTEMPTY) {
		return nil
	}
	return ignoreAbsent("remove all", err)
}

// prune removes a folder and those above it, up to the first that is not empty. A blob that is put there at
// the same moment is safe: a folder that is not empty cannot be removed, and Put makes one that is gone.
func (d *Dir) prune(folder string) {
	for ; folder != "."; folder = path.Dir(folder) {
		if d.root.Load().Remove(folder) != nil {
			return
		}
	}
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

// Folders returns the names of the folders directly beneath a folder, in their order; "." is the whole store.
// It looks at nothing that is in them.
func (d *Dir) Folders(folder string) ([]string, error) {
	if err := checkFolder("list folders", folder); err != nil {
		return nil, err
	}
	info, err := d.root.Load().Lstat(folder)
	if err != nil || !info.IsDir() {
		return nil, ignoreAbsent("list folders", err)
	}
	entries, err := fs.ReadDir(d.root.Load().FS(), folder)
	if err != nil {
		return nil, ignoreAbsent("list folders", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && e.Name()[0] != '.' {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// walk calls visit for every regular file beneath a folder. What vanishes on the way is passed over.
func (d *Dir) walk(folder string, visit func(name string, e fs.DirEntry) error) error {
	info, err := d.root.Load().Lstat(folder)
	if err != nil || !info.IsDir() {
		return ignoreAbsent("walk", err)
	}
	return fs.WalkDir(d.root.Load().FS(), folder, func(name string, e fs.DirEntry, err error) error {
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
		if err := discard(d.root.Load(), name); err != nil {
			return err
		}
		removed++
		d.prune(path.Dir(name))
		return nil
	})
	if err != nil {
		return removed, fmt.Errorf("sweep: %w", err)
	}
	return removed, nil
}
