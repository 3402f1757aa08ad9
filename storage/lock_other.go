//go:build !linux && !darwin && !freebsd

package storage

import (
	"errors"
	"os"
)

func lockFile(*os.File) error { return errors.ErrUnsupported }
