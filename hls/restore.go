package hls

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// checkTime bounds how long Restore reads segments to see that they are whole: the
// server shall serve again within two seconds.
const checkTime = time.Second

// Restore takes up what an earlier process has left in the storage, before the first
// stream is published: each channel serves again what it served, and waits Config.Grace
// for a publisher of its name, who continues it. Channels whose journal cannot be
// trusted are not taken up, and what no channel needs is removed. Of large journals only
// the end is read at once; the rest follows in the background.
//
// What cannot be read, but may be whole, stays as it is. Where the storage cannot be written nothing
// is taken up: the process before may have listed more than it could write down.
//
// The error says that the storage cannot be read. Damage of a journal is logged.
func (s *Server) Restore() error {
	all, err := leftovers(s.config.Storage)
	if err != nil {
		return fmt.Errorf("restore HLS: %w", err)
	}
	began := time.Now()
	if len(all) > 0 {
		if err := s.tryWrite(); err != nil {
			s.config.Logger.Error("HLS of an earlier run is not continued: the storage cannot be written", "error", err)
			if err != errStuck {
				s.numberBehind(all)
			}
			s.channels.Go(func() { s.giveUp(all) })
			return nil
		}
	}
	s.load(all, began.Add(checkTime))
	var found, kept []*leftover
	for _, l := range all {
		if s.isUsable(l) {
			found = append(found, l)
		} else if l.isKept() {
			kept = append(kept, l)
		}
	}
	s.numberBehind(kept)
	slices.SortFunc(found, func(a, b *leftover) int { return cmp.Compare(a.last().Sequence, b.last().Sequence) })
	s.takeUp(found, all)
	s.enforceQuota()
	if len(found) > 0 {
		s.config.Logger.Info("HLS of an earlier run restored", "channels", len(found), "after", time.Since(began))
	}
	s.channels.Go(func() { s.tidy(all) })
	return nil
}

// write finds out whether the storage can be written.
func (s *Server) write() error {
	const name = "~writable" // no application is called so
	err := s.config.Storage.Put(s.hard, name, [][]byte{[]byte("headwater\n")})
	if err == nil {
		err = s.config.Storage.Remove(name)
	}
	return err
}

// tryWrite does that for as long as a start may take.
func (s *Server) tryWrite() error {
	tried := make(chan error, 1)
	s.channels.Go(func() { tried <- s.write() })
	select {
	case err := <-tried:
		return err
	case <-time.After(checkTime):
		return errStuck
	}
}

// giveUp removes what was not taken up, when the storage can be written: otherwise the next process
// would go on with it. Playlists that had ended stay for that: they cannot go back.
func (s *Server) giveUp(all []*leftover) {
	for s.write() != nil {
		select {
		case <-time.After(retryStore):
		case <-s.ctx.Done():
			return
		}
	}
	for _, l := range all {
		if l.load(s.config.Storage); !l.isKept() && l.text.ended == nil {
			s.clean([]string{l.folder() + "/" + journalName})
		}
		l.rest.close()
	}
}

// numberBehind has the channels to come begin with sequence numbers that those of folders which are
// not taken up have not had: a later process takes that for the newest channel which has the highest.
func (s *Server) numberBehind(kept []*leftover) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range kept {
		if l.files == nil && l.list(s.config.Storage) != nil {
			continue
		}
		n := s.byName[l.name]
		if n == nil {
			n = &names{}
			s.byName[l.name] = n
		}
		for file := range l.files {
			if sequence, ok := sequenceOf(file); ok {
				n.next = max(n.next, sequence+1)
			}
		}
	}
}

// loaders is how many journals are read at once: a disk has something to choose from.
const loaders = 8

// load reads what has to be known at once of all leftovers.
func (s *Server) load(all []*leftover, deadline time.Time) {
	var next atomic.Int64
	var readers sync.WaitGroup
	for range loaders {
		readers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(all)); i = next.Add(1) - 1 {
				l := all[i]
				if l.load(s.config.Storage); l.isKept() {
					l.load(s.config.Storage) // it may have been the moment: too many open files, say
				}
				if l.err == nil {
					l.findDamage(s.config.Storage, deadline)
				}
			}
		})
	}
	readers.Wait()
}

// load reads what has to be known of a leftover.
func (l *leftover) load(storage Storage) {
	l.err = l.readEnd(storage)
	if l.err == nil && l.rest == nil {
		if err := l.list(storage); err != nil {
			l.err = fmt.Errorf("%w: %w", errUnread, err)
		}
	}
}

// isUsable reports whether a channel can go on, and tells the operator if not.
func (s *Server) isUsable(l *leftover) bool {
	log := s.config.Logger.With("stream", string(l.name), "incarnation", l.incarnation)
	switch {
	case errors.Is(l.err, fs.ErrNotExist):
		log.Warn("HLS of an earlier run is not continued: it had listed what it could not write down, or nothing")
	case l.isKept():
		log.Error("HLS of an earlier run is not continued, and left as it is", "error", l.err)
	case l.err != nil:
		log.Error("HLS of an earlier run is not continued", "error", l.err)
	case l.text.fault != nil:
		log.Warn("journal of an earlier run is damaged, its newest part is not", "error", l.text.fault)
	}
	return l.err == nil
}

// tidy reads the rest of large journals, and removes what nobody needs. It leaves half of a processor to
// the streams.
func (s *Server) tidy(all []*leftover) {
	for _, l := range all {
		began := time.Now()
		if s.ctx.Err() == nil {
			s.clean(s.litter(l))
		}
		l.rest.close()
		if l.rest != nil {
			select {
			case <-time.After(time.Since(began)):
			case <-s.ctx.Done():
			}
		}
		*l = leftover{} // its memory
	}
}

// litter returns what nobody needs of a leftover, when it is wholly read.
func (s *Server) litter(l *leftover) []string {
	if l.isKept() {
		return nil
	}
	if l.rest != nil {
		older, err := l.readRest(s.config.Storage)
		if err != nil { // what there is stays until the stream has ended
			l.channel.log.Warn("segments from before the playlist are not served again", "error", err)
			return nil
		}
		if l.text.fault != nil {
			l.channel.log.Warn("journal of an earlier run is damaged, its newest part is not", "error", l.text.fault)
		}
		l.channel.takeOlder(older)
	}
	if l.files == nil {
		if err := l.list(s.config.Storage); err != nil {
			s.config.Logger.Warn("folder of an earlier run not listed", "folder", l.folder(), "error", err)
			return nil
		}
	}
	if l.err != nil {
		return l.paths()
	}
	return l.orphans()
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
