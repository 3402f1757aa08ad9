package edge

import "syscall"

const (
	noATime      = syscall.O_NOATIME
	canSendFiles = true
)
