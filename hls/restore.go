package hls

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// checkTime bounds how long Restore reads segments to see that they are whole: the
// server shall serve again within two seconds.
const checkTime = time.Second

// Restore takes up what an earlier process has left in the storage, before the first
// stream is published: each channel serves again what it served, and waits Config.Grace
// for a publisher of its name, who continues it. Channels whose journal cannot be
// trusted are not taken up, and what no channel needs is removed.
//
// The error says that the storage cannot be read. Damage of a journal is logged.
func (s *Server) Restore() error {
	blobs, err := s.config.Storage.List(".")
	if err != nil {
		return fmt.Errorf("restore HLS: %w", err)
	}
	began := time.Now()
	var found []*leftover
	var litter []string
	for _, l := range leftovers(blobs) {
		if err := l.read(s.config.Storage); errors.Is(err, fs.ErrNotExist) {
			s.config.Logger.Warn("HLS of an earlier run is not continued: it had listed what it could not write down, or nothing",
				"stream", string(l.name), "incarnation", l.incarnation)
			litter = append(litter, l.paths()...)
			continue
		} else if err != nil {
			s.config.Logger.Error("HLS of an earlier run is not continued", "stream", string(l.name), "incarnation", l.incarnation, "error", err)
			litter = append(litter, l.paths()...)
			continue
		}
		if l.text.fault != nil {
			s.config.Logger.Warn("journal of an earlier run is damaged, its newest part is not",
				"stream", string(l.name), "incarnation", l.incarnation, "error", l.text.fault)
		}
		found = append(found, l)
	}
	slices.SortFunc(found, func(a, b *leftover) int { return cmp.Compare(a.last().Sequence, b.last().Sequence) })
	for _, l := range found {
		l.findDamage(s.config.Storage, began.Add(checkTime))
		litter = append(litter, l.orphans()...)
	}
	s.takeUp(found)
	s.enforceQuota()
	if len(found) > 0 {
		s.config.Logger.Info("HLS of an earlier run restored", "channels", len(found), "after", time.Since(began))
	}
	s.channels.Go(func() { s.clean(litter) })
	return nil
}

// clean removes what nobody needs.
func (s *Server) clean(litter []string) {
	for _, name := range litter {
		if s.ctx.Err() != nil {
			return
		}
		if err := s.config.Storage.Remove(name); err != nil {
			s.config.Logger.Warn("orphan not removed", "blob", name, "error", err)
		}
	}
}

// takeUp makes the channels of what was found, which is in the order of sequence
// numbers: the last channel of a name is the one to go on with.
func (s *Server) takeUp(found []*leftover) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range found {
		c := newChannel(s, l.name, l.incarnation)
		l.fill(c)
		n := s.byName[l.name]
		if n == nil {
			n = &names{}
			s.byName[l.name] = n
		}
		n.all = append(n.all, c)
		n.next = max(n.next, c.window.next)
	}
	for _, n := range s.byName {
		for i, c := range n.all {
			if i < len(n.all)-1 && c.restored { // nobody could write down that it ended
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
		w.dependent = o.Dependent
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
		w.add(s, c.size, now)
		w.breaks = e.DiscontinuitySequence
		s.breaks = w.breaks
		if s.stored.Load() {
			c.server.used.Add(s.size)
		}
	}
	n := 0
	for n < len(w.listed) && w.listed[n].sequence < head {
		n++
	}
	w.shift(n, now)
	w.removed = slices.DeleteFunc(w.removed, func(s *segment) bool { return !s.stored.Load() })
	c.server.retire(c, w.removed)
	l.revive(c, now)
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
		c.server.retire(c, w.shift(len(w.listed), now))
		return
	}
	c.restored = true
	c.deserted = now.Add(c.server.limits.Load().grace)
	c.render(last.Listed)
}
