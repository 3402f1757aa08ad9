//go:build !linux

package storage

import (
	"context"
	"io"
)

func writeParts(ctx context.Context, w io.Writer, parts [][]byte) error {
	for _, part := range parts {
		for len(part) > 0 {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			n := min(len(part), writeChunk)
			if _, err := w.Write(part[:n]); err != nil {
				return err
			}
			part = part[n:]
		}
	}
	return context.Cause(ctx)
}
