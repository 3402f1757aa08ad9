package hls

import (
	"fmt"

	"github.com/headwater-live/headwater/e2e/hlscheck"
)

func sums(units []hlscheck.AccessUnit, kind hlscheck.Kind) []hlscheck.Sum {
	var list []hlscheck.Sum
	for _, u := range units {
		if u.Kind == kind {
			list = append(list, u.Sum)
		}
	}
	return list
}

// sameEnd checks that out is what in ends with.
func sameEnd(kind hlscheck.Kind, in, out []hlscheck.Sum) error {
	skipped := len(in) - len(out)
	for i, sum := range out {
		if sum != in[skipped+i] {
			return fmt.Errorf("%v: frame %d of %d that came out is not frame %d of %d that went in", kind, i, len(out), skipped+i, len(in))
		}
	}
	return nil
}
