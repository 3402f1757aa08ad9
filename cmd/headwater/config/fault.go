package config

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with a configuration.
type Fault struct {
	Key    string // "rtmp.addr"; "" when it is about a whole file
	Origin string // where the value came from, as [Config.Origin] says it
	Err    error

	other string // the other key that a fault between two is about
}

func (f Fault) Error() string {
	if f.Key == "" {
		return fmt.Sprintf("%s: %v", f.Origin, f.Err)
	}
	return fmt.Sprintf("%s (%s): %v", f.Key, f.Origin, f.Err)
}

func (f Fault) Unwrap() error { return f.Err }

// Faults is everything that is wrong with a configuration, one per line.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

func (f Faults) Unwrap() []error {
	errs := make([]error, len(f))
	for i, one := range f {
		errs[i] = one
	}
	return errs
}

// follows says whether a fault may only follow from the ones there are: it is about a key that could not be
// read and still has its default.
func (f Faults) follows(from Fault) bool {
	for _, one := range f {
		if one.Key != "" && (one.Key == from.Key || one.Key == from.other) {
			return true
		}
	}
	return false
}

// asError is nil when there are no faults, which a nil Faults in an error would not be.
func (f Faults) asError() error {
	if len(f) == 0 {
		return nil
	}
	return f
}
