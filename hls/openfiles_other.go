//go:build !unix

package hls

// openFilesLimit returns 0: where a file cannot be removed while it is open, none stays so.
func openFilesLimit() int { return 0 }
