package hls

import (
	"slices"
	"time"
)

// maxHeld bounds what a channel may hold in memory while the storage fails, in bytes: a
// window of six segments and what was removed from it, together 30 s at 16 Mbit/s.
const maxHeld = 64 << 20

// mayHold reports whether a segment may be listed, which the storage may not take. If
// there is no room it takes it from segments that are no longer listed.
func (c *Channel) mayHold(size int64) bool {
	if _, fault := c.writer.state(time.Now()); fault == nil {
		return true
	}
	for !c.roomFor(size) {
		i := slices.IndexFunc(c.window.removed, func(s *segment) bool { return slices.Contains(c.held, s) })
		if i < 0 {
			return false
		}
		s := c.window.removed[i]
		c.window.removed = slices.Delete(c.window.removed, i, i+1)
		c.drop(s)
		c.server.gone(s)
		c.writer.remove(s)
	}
	return true
}

func (c *Channel) roomFor(size int64) bool {
	return c.heldBytes+size <= maxHeld && c.server.held.Load()+size <= c.server.config.MaxHeld
}

// hold keeps a segment in memory, from where requests read it.
func (c *Channel) hold(s *segment) {
	c.held = append(c.held, s)
	c.heldBytes += s.size
	c.server.held.Add(s.size)
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
