//go:build !linux

package storage

// noATime is nothing where files cannot be opened without noting when they were read.
const noATime = 0
