package hls

import (
	"slices"
	"time"
)

// maxHeld bounds what a channel may hold in memory while the storage fails, in bytes: a
// window of six segments and what was removed from it, together 30 s at 16 Mbit/s.
const maxHeld = 64 << 20

// mayHold reports whether a segment may be listed, which the storage may not take. If
// there is no room it takes it from segments that are no longer listed, then from the
// oldest that are: who plays live needs the newest.
func (c *Channel) mayHold(size int64) bool {
	if c.writer.isIdle(time.Now()) {
		return true
	}
	for !c.roomFor(size) {
		if !c.makeRoom() {
			return false
		}
	}
	return true
}

// makeRoom gives up the oldest segment that is held. It is false if that must not be.
func (c *Channel) makeRoom() bool {
	if i := slices.IndexFunc(c.window.removed, c.holds); i >= 0 {
		s := c.window.removed[i]
		c.window.removed = slices.Delete(c.window.removed, i, i+1)
		c.giveAway(s)
		return true
	}
	i := slices.IndexFunc(c.window.listed, c.holds)
	if i < 0 || i == len(c.window.listed)-1 {
		return false
	}
	c.server.retire(c, c.window.shift(i+1, time.Now()))
	return true
}

func (c *Channel) holds(s *segment) bool { return slices.Contains(c.held, s) }

// giveAway lets a segment go that the window has not got any more.
func (c *Channel) giveAway(s *segment) {
	c.drop(s)
	c.server.gone(s)
	c.writer.remove(s)
}

// roomFor reports whether a segment may be held, which counts for memory already. The
// first one always may.
func (c *Channel) roomFor(size int64) bool {
	return len(c.held) == 0 || c.heldBytes+size <= maxHeld && c.server.memory.Load() <= c.server.limits.Load().maxHeld
}

// hold keeps a segment in memory, from where requests read it.
func (c *Channel) hold(s *segment) {
	c.held = append(c.held, s)
	c.heldBytes += s.size
	c.server.held.Add(s.size)
	s.held.Store(true)
	if s.stored.Load() {
		c.signal() // it came just now, and the writer did not know that somebody waits
	}
}

// drop forgets a segment that was held. Requests may still read it, so the slabs are
// the garbage collector's.
func (c *Channel) drop(s *segment) {
	i := slices.Index(c.held, s)
	if i < 0 {
		return
	}
	c.held = slices.Delete(c.held, i, i+1)
	c.heldBytes -= s.size
	c.server.held.Add(-s.size)
	c.server.memory.Add(-s.size)
	if s.stored.Load() {
		s.data = slabs{} // else the writer may be reading it
	}
}

// letGo drops what is held and was stored at last.
func (c *Channel) letGo() (some bool) {
	for _, s := range slices.Clone(c.held) {
		if s.stored.Load() {
			c.drop(s)
			some = true
		}
	}
	return some
}
