package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// privateMode is of files that are the server's own business: nobody else reads them.
const privateMode = 0o600

// A private file stands at the top of the folder beside the blobs, and is none: its name begins with a dot. Blobs' methods
// neither list nor take it, but for RemoveAll(".").

// checkPrivate says whether a name can be a private file's.
func checkPrivate(op, name string) error {
	if len(name) < 2 || len(name) > maxElement || name[0] != '.' || name[1] == '.' ||
		strings.HasPrefix(name, tempPrefix) || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%s %q: %w", op, name, fs.ErrInvalid)
	}
	return nil
}

// PutPrivate makes content that of a private file, in place of what it was, and returns when that would survive a power
// cut, whatever Options.Sync is. On an error, and when ctx ends first, everything is as before, unless only flushing the
// folder has failed.
func (d *Dir) PutPrivate(ctx context.Context, name string, content []byte) error {
	if err := checkPrivate("put", name); err != nil {
		return err
	}
	return d.write(ctx, name, [][]byte{content}, privateMode, true)
}

// ReadPrivate returns the content of a private file, no more than its first limit bytes. The error wraps fs.ErrNotExist
// if there is none.
func (d *Dir) ReadPrivate(name string, limit int64) ([]byte, error) {
	if err := checkPrivate("read", name); err != nil {
		return nil, err
	}
	// Without O_NONBLOCK, opening a named pipe that somebody left there would wait for its writer.
	f, err := d.root.Load().OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	defer f.Close() //nolint:errcheck // it is only read
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a regular file", name)
	}
	content, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return content, fmt.Errorf("read %s: %w", name, err)
	}
	return content, nil
}

// KeepAside gives a private file another name, under which it stays when the first is put again. What had that name
// before is removed. Where the file system allows it the file keeps the first name as well, so that whoever is killed
// before it is put again finds it there.
func (d *Dir) KeepAside(name, aside string) error {
	if err := errors.Join(checkPrivate("keep", name), checkPrivate("keep", aside)); err != nil {
		return err
	}
	root := d.root.Load()
	if err := root.Remove(aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	if root.Link(name, aside) == nil {
		return nil
	}
	if err := root.Rename(name, aside); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return nil
}
