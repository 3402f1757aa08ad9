package ingest

import "time"

// bucket leaks at a rate by the second and tells when more has been put in than it holds. One that does not leak is
// never full. Below 0 its level is what may be put in beside, once.
type bucket struct {
	rate, holds float64
	level       float64
	last        time.Time
}

// credit has the bucket take what would have leaked in a time, once. It leaks no less for it.
func (b *bucket) credit(t time.Duration) { b.level -= b.rate * t.Seconds() }

// owed returns in what time would leak what is left of the credit.
func (b *bucket) owed() time.Duration {
	if b.rate <= 0 || b.level >= 0 {
		return 0
	}
	return time.Duration(-b.level / b.rate * float64(time.Second))
}

// overflows puts in something and reports whether it is too much.
func (b *bucket) overflows(amount float64, now time.Time) bool {
	if b.rate <= 0 {
		return false
	}
	if !b.last.IsZero() {
		b.level = max(min(b.level, 0), b.level-b.rate*now.Sub(b.last).Seconds())
	}
	b.last = now
	b.level += amount
	return b.level > b.holds
}
