// Package histogram counts durations in buckets, without a lock: rooms on the media path observe,
// and whoever asks for metrics reads. It knows nothing of what it measures.
package histogram

import (
	"sync/atomic"
	"time"
)

// maxBuckets bounds the buckets of a histogram, so that it is one piece of memory.
const maxBuckets = 16

// Histogram counts durations. Its zero value has no bounds; use New.
type Histogram struct {
	bounds []time.Duration
	counts [maxBuckets + 1]atomic.Uint64 // the last one in use has no bound
	sum    atomic.Int64                  // nanoseconds
}

// New returns a histogram with upper bounds in rising order, at most 16.
func New(bounds ...time.Duration) *Histogram {
	if len(bounds) > maxBuckets {
		panic("histogram: too many buckets") // of a constant list
	}
	return &Histogram{bounds: bounds}
}

// Observe counts a duration. One below zero, as a clock that was set back makes, counts as zero.
func (h *Histogram) Observe(d time.Duration) {
	d = max(d, 0)
	i := 0
	for i < len(h.bounds) && d > h.bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// Snapshot is what a histogram has counted.
type Snapshot struct {
	Count uint64
	// Sum is in seconds.
	Sum float64
	// Buckets are cumulative counts by upper bound in seconds.
	Buckets map[float64]uint64
}

// Snapshot returns what was counted. What is observed meanwhile may be in it or not.
func (h *Histogram) Snapshot() Snapshot {
	s := Snapshot{Sum: time.Duration(h.sum.Load()).Seconds(), Buckets: make(map[float64]uint64, len(h.bounds))}
	for i, bound := range h.bounds {
		s.Count += h.counts[i].Load()
		s.Buckets[bound.Seconds()] = s.Count
	}
	s.Count += h.counts[len(h.bounds)].Load()
	return s
}
