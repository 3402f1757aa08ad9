package storage

import "syscall"

// noATime opens files without noting when they were read.
const noATime = syscall.O_NOATIME
