//go:build unix

package auth

import "io/fs"

// anyBits reports whether a file's mode has any of some permissions.
func anyBits(mode, bits fs.FileMode) bool { return mode.Perm()&bits != 0 }
