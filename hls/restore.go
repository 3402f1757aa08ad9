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
	s.doubtAll(found)
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
