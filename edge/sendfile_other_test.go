//go:build !linux

package edge

const (
	noATime      = 0
	canSendFiles = false
)
