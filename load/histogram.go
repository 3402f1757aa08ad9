package load

import (
	"math/bits"
	"sync"
	"time"
)

// histogram counts durations with an error of at most 1/32, from a microsecond up to days, in fixed memory.
// It may be used from several goroutines.
type histogram struct {
	mu     sync.Mutex
	counts [buckets]uint64
	n      uint64
	max    time.Duration
}

const (
	subBits = 5
	buckets = (38 - subBits + 1) << subBits
)

// add counts a duration; less than nothing, by clocks that differ, is nothing.
func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.mu.Lock()
	h.counts[bucketOf(uint64(d/time.Microsecond))]++
	h.n++
	h.max = max(h.max, d)
	h.mu.Unlock()
}

// bucketOf returns the bucket of so many microseconds: exact below 2^subBits, and from there on 2^subBits
// buckets for each doubling.
func bucketOf(us uint64) int {
	shift := max(bits.Len64(us)-subBits-1, 0)
	return min(shift<<subBits+int(us>>shift), buckets-1)
}

// upperEnd is the largest number of microseconds in a bucket.
func upperEnd(bucket int) uint64 {
	shift := max(bucket>>subBits-1, 0)
	return uint64(bucket-shift<<subBits+1)<<shift - 1
}

// Delays are percentiles in milliseconds. Count is how many were measured; with 0 the rest means nothing.
type Delays struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

func (h *histogram) delays() Delays {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := Delays{Count: h.n, Max: milliseconds(h.max)}
	d.P50, d.P90, d.P99 = h.quantile(0.5), h.quantile(0.9), h.quantile(0.99)
	return d
}

// quantile returns the duration that a share of all is not above, in milliseconds.
func (h *histogram) quantile(share float64) float64 {
	left := uint64(share * float64(h.n))
	for i, n := range h.counts {
		if n > left {
			return min(float64(upperEnd(i))/1000, milliseconds(h.max))
		}
		left -= n
	}
	return milliseconds(h.max)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
