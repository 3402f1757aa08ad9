package bytelog

import "sync/atomic"

// slabSize is the usual size of a slab, in bytes. One write takes at most a slab, and writes
// above 64 KiB gain little; a log that few watch should not cost much.
const slabSize = 128 << 10

// slab is one piece of a log. One goroutine appends to it; any number read what lies before
// n.
type slab struct {
	buf  []byte // its length is its capacity; bytes from n on are the writer's
	n    atomic.Int64
	base int64 // offset of buf[0] in the log
	next atomic.Pointer[slab]
}

func newSlab(base int64, need int) *slab {
	return &slab{buf: make([]byte, max(slabSize, need)), base: base}
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
