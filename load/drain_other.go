//go:build !linux

package load

import "context"

// drains reads flows, here with a goroutine for each of them. Only Linux has a cheaper way.
type drains struct{}

func newDrains() (*drains, error) { return &drains{}, nil }

// run does nothing until ctx ends: each flow is read by who brings it.
func (d *drains) run(ctx context.Context) { <-ctx.Done() }

// drain reads a flow to its end, or until ctx ends, and closes its connection.
func (d *drains) drain(ctx context.Context, f *flow) error { return drainByReading(ctx, f) }
