package remux

import "bytes"

const (
	// maxStates is the most states that are kept for those who join: HDR colour
	// information, and a configuration for each of 15 further tracks of both kinds.
	maxStates = 32
	// maxStateSize is the largest state that is kept, in bytes: parameter sets and
	// mastering metadata have less than 1 KB.
	maxStateSize = 64 << 10
)

// States keeps the newest state of each slot for those who join a stream. The zero
// States is empty.
type States struct{ list []*Packet }

// Keep takes a packet of kind VideoState or AudioState. It returns false where nothing
// changes: it is what is kept already, or more than may be.
func (s *States) Keep(pkt *Packet) bool {
	if len(pkt.Payload) > maxStateSize {
		return false
	}
	for i, old := range s.list {
		if old.Kind == pkt.Kind && old.Slot == pkt.Slot {
			s.list[i] = pkt
			return !bytes.Equal(old.Payload, pkt.Payload)
		}
	}
	if len(s.list) >= maxStates {
		return false
	}
	s.list = append(s.list, pkt)
	return true
}

// All returns the states that are kept, in the order in which their slots came first.
func (s *States) All() []*Packet { return s.list }

// Reset forgets them.
func (s *States) Reset() { s.list = nil }
