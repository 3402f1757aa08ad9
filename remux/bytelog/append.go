package bytelog

import "github.com/headwater-live/headwater/remux"

// append renders a packet at the end of the log.
func (l *Log) append(pkt *remux.Packet) {
	pkt = l.clock.shift(pkt)
	need := l.format.Size(pkt)
	if need == 0 {
		return
	}
	room := l.room(need)
	if l.extend(room, l.format.Append(room, pkt, l.starting)) {
		l.starting = false
	}
}

// release appends what the format has kept back.
func (l *Log) release() {
	f, ok := l.format.(Ender)
	if !ok {
		return
	}
	if need := f.EndSize(); need > 0 {
		room := l.room(need)
		if l.extend(room, f.End(room, l.starting)) {
			l.starting = false
		}
	}
}

// room returns an empty slice at the log's end with room for so many bytes.
func (l *Log) room(need int) []byte {
	n := int(l.tail.n.Load())
	if len(l.tail.buf)-n < need {
		if l.wakes > 0 { // else it filled before anybody was there: the GOP cache
			l.slabSize = nextSize(l.slabSize, l.wakes)
		}
		l.wakes = 0
		next := newSlab(l.tail.base+int64(n), max(l.slabSize, need))
		if l.joinAt.slab == l.tail && l.joinAt.at == n {
			l.joinAt = Position{slab: next}
		}
		l.tail.next.Store(next)
		l.tail, n = next, 0
	}
	return l.tail.buf[n : n : n+need]
}

// extend takes what was appended to room, and reports whether that is anything.
func (l *Log) extend(room, unit []byte) bool {
	// Nearly always the unit was rendered in place and the copy is onto itself.
	n := copy(room[:cap(room)], unit)
	l.tail.n.Add(int64(n))
	return n > 0
}
