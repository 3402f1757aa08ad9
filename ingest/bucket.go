package ingest

import "time"

// bucket leaks at a rate by the second and tells when more has been put in than it holds. One that does not leak is
// never full.
type bucket struct {
	rate, holds float64
	level       float64
	last        time.Time
}

// overflows puts in something and reports whether it is too much.
func (b *bucket) overflows(amount float64, now time.Time) bool {
	if b.rate <= 0 {
		return false
	}
	if !b.last.IsZero() {
		b.level = max(0, b.level-b.rate*now.Sub(b.last).Seconds())
	}
	b.last = now
	b.level += amount
	return b.level > b.holds
}
