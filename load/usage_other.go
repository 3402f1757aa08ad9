//go:build !linux

package load

import "errors"

var errNoUsage = errors.New("only Linux tells what a process uses")

// UsageOf returns an error: only Linux tells what another process uses.
func UsageOf(int) (Usage, error) { return Usage{}, errNoUsage }

func ownUsage() (Usage, error) { return Usage{}, errNoUsage }
