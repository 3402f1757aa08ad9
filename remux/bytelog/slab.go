package bytelog

import "sync/atomic"

const (
	// minSlab and maxSlab are the sizes of slabs, in bytes. A write ends where a slab does, so
	// a slab should be several wakes long; a log that few watch should not cost much.
	minSlab = 128 << 10
	maxSlab = 1 << 20
	// fewWakes in a slab make the next one twice as large, manyWakes half as large.
	fewWakes, manyWakes = 8, 64
)

// slab is one piece of a log. One goroutine appends to it; any number read what lies before
// n.
type slab struct {
	buf  []byte // its length is its capacity; bytes from n on are the writer's
	n    atomic.Int64
	base int64 // offset of buf[0] in the log
	next atomic.Pointer[slab]
}

func newSlab(base int64, size int) *slab { return &slab{buf: make([]byte, size), base: base} }

// nextSize is the size of the slab after one of a given size in which viewers were woken so many
// times.
func nextSize(size, wakes int) int {
	switch {
	case wakes < fewWakes:
		size *= 2
	case wakes > manyWakes:
		size /= 2
	}
	return min(max(size, minSlab), maxSlab)
}

// Position is a place in a log, between two units.
type Position struct {
	slab *slab
	at   int
}

// Offset is the number of bytes of the log before the position.
func (p Position) Offset() int64 { return p.slab.base + int64(p.at) }

// Next returns the units from the position to the end of its slab, moving on to the next slab
// if there are none; it returns nil at the end of the log. The bytes must not be changed.
func (p *Position) Next() []byte {
	for {
		// next is loaded first: once it is set the slab has its final length.
		next := p.slab.next.Load()
		if n := int(p.slab.n.Load()); n > p.at {
			return p.slab.buf[p.at:n:n]
		}
		if next == nil {
			return nil
		}
		*p = Position{slab: next}
	}
}

// Skip moves the position past n bytes of what Next returned.
func (p *Position) Skip(n int) { p.at += n }
