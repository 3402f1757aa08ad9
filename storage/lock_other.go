//go:build !linux && !darwin && !freebsd

package storage

import (
	"errors"
	"io/fs"
	"os"
)

func lockFile(*os.File) error { return errors.ErrUnsupported }

// isUnlinked is always false: such a system lets nobody remove a file that is open.
func isUnlinked(fs.FileInfo) bool { return false }
