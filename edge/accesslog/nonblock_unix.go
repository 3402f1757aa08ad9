//go:build unix

package accesslog

import "syscall"

// openNow has opening a pipe fail with ENXIO while nobody reads it, instead of waiting for that.
const openNow = syscall.O_NONBLOCK
