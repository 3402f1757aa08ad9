//go:build unix

package auth

import "io/fs"

// tooOpen reports whether a file's mode lets others read it, or anybody but its owner write it.
func tooOpen(mode fs.FileMode) bool { return mode.Perm()&0o027 != 0 }
