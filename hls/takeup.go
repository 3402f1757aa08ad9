package hls

import (
	"slices"
	"time"
)

// takeUp makes the channels of what was found, which is in the order of sequence
// numbers: the last channel of a name is the one to go on with, unless all has a newer one,
// which cannot be taken up: viewers are not sent from that to an older one.
func (s *Server) takeUp(found, all []*leftover) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range found {
		c := newChannel(s, l.name, l.incarnation)
		l.fill(c)
		l.channel = c
		n := s.byName[l.name]
		if n == nil {
			n = &names{}
			s.byName[l.name] = n
		}
		n.all = append(n.all, c)
		n.next = max(n.next, c.window.next)
	}
	for _, l := range all {
		if n := s.byName[l.name]; l.err != nil && n != nil {
			for _, c := range n.all {
				c.superseded = c.superseded || c.incarnation < l.incarnation
			}
		}
	}
	for _, n := range s.byName {
		for i, c := range n.all {
			if (i < len(n.all)-1 || c.superseded) && c.restored { // nobody could write down that it ended
				c.restored, c.deserted = false, time.Now()
			}
			s.start(c)
		}
	}
}

// fill gives a channel the state that it had.
func (l *leftover) fill(c *Channel) {
	w, now := &c.window, time.Now()
	if o := l.text.opening; o != nil {
		w.dependent, w.total = o.Dependent, o.Length
		w.bandwidth.peak, w.bandwidth.bits, w.bandwidth.length = o.Peak, o.Bits, o.Length.duration()
		c.writer.journal.opening = *o
	}
	c.writer.journal.base, c.writer.journal.entries, c.writer.journal.ended = l.text.base, l.text.entries, l.text.ended
	c.writer.journal.witness.found(c.writer.journal.level())
	last := l.last()
	w.target = time.Duration(last.Target) * time.Second
	// What is before the head, or before a broken segment, is not listed.
	head := last.Head
	for i := range l.text.entries {
		if e := &l.text.entries[i]; l.broken[e.Sequence] {
			c.writer.journal.entries[i].Missing = true
			head = max(head, e.Sequence+1)
		}
	}
	for i := range l.text.entries {
		e := &l.text.entries[i]
		s := restoredSegment(e)
		w.add(s, len(l.text.entries), now) // as it was: the next segment makes it shorter, if it shall be
		s.head = e.Head
		w.breaks = e.DiscontinuitySequence
		s.breaks = w.breaks
		if l.unread[s.sequence] != nil {
			l.doubted = append(l.doubted, s)
		}
		if s.stored.Load() {
			c.server.used.Add(s.size)
		}
	}
	setLongest(w.listed)
	n := 0
	for n < len(w.listed) && w.listed[n].sequence < head {
		n++
	}
	w.shift(n, now)
	w.removed = slices.DeleteFunc(w.removed, func(s *segment) bool { return !s.stored.Load() })
	c.server.retire(c, w.removed)
	l.revive(c, now)
}

// setLongest finds out how long the playlists were that listed each of all segments.
func setLongest(all []*segment) {
	for _, s := range all {
		s.longest = 0
	}
	for i, newest := range all {
		var length time.Duration
		for j := i; j >= 0 && all[j].sequence >= newest.head; j-- {
			length += all[j].duration.duration()
		}
		for j := i; j >= 0 && all[j].sequence >= newest.head; j-- {
			all[j].longest = max(all[j].longest, length)
		}
	}
}

// revive prepares a filled channel for its next publisher, or for its end.
func (l *leftover) revive(c *Channel, now time.Time) {
	w, last := &c.window, l.last()
	c.any = true
	c.dated = last.Date.Add(last.Duration.duration())
	c.cutter.target = ticks(last.Target) * perSecond
	c.cutter.segment = min(c.cutter.segment, c.cutter.target)
	c.writer.oldest = w.oldest()
	w.ended = l.text.ended != nil
	if w.ended {
		c.render(l.text.ended.Date)
		c.server.retire(c, w.end(now))
		return
	}
	c.restored = true
	c.deserted = now.Add(c.server.limits.Load().grace)
	c.render(last.Listed)
}
