//go:build !unix

package auth

import "io/fs"

// tooOpen is false where modes say nothing about who may read a file.
func tooOpen(fs.FileMode) bool { return false }
