package hls

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"time"
)

var errStuck = errors.New("the storage does not answer")

// settle takes note of how it went.
func (w *writer) settle(queue []*segment, err error) {
	late := false
	w.mu.Lock()
	for _, s := range queue {
		late = late || s.stored.Load() && s.held.Load()
		if !isClosed(s.tried) {
			close(s.tried)
		}
	}
	rest := w.queue[:0]
	for _, s := range w.queue {
		if !s.stored.Load() {
			rest = append(rest, s)
		}
	}
	clear(w.queue[len(rest):])
	w.queue = rest
	before := w.fault
	w.fault = err
	if before == nil && err != nil {
		w.since = time.Now()
	}
	since := w.since
	w.mu.Unlock()
	switch {
	case before == nil && err != nil:
		w.log.Error("storage fails, serving from memory", "error", err)
	case before != nil && err == nil:
		w.log.Info("storage is well again", "after", time.Since(since))
	}
	if late {
		w.changed()
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// removeAll removes the segments that may go. It reports whether some are still there:
// they stay in the queue.
func (w *writer) removeAll() (failed bool) {
	w.mu.Lock()
	removals := w.removals
	w.removals = nil
	w.mu.Unlock()
	for _, s := range removals {
		if !s.stored.Load() {
			continue
		}
		err := w.server.config.Storage.Remove(w.folder + "/" + s.uri)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.keepRemoval(s, err)
			failed = true
			continue
		}
		if s.evicted.CompareAndSwap(false, true) { // else it was counted when it was chosen
			w.server.used.Add(-s.size)
		}
	}
	return failed
}

// keepRemoval has the removal of a segment tried again.
func (w *writer) keepRemoval(s *segment, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !s.unremoved {
		s.unremoved = true
		w.log.Warn("segment not removed, to be tried again", "segment", s.uri, "error", err)
		w.server.metrics.StorageErrors.Add(1)
	}
	w.removals = append(w.removals, s)
}

// unqueue takes a segment out of the queue.
func (w *writer) unqueue(s *segment) {
	for i, q := range w.queue {
		if q == s {
			w.queue = append(w.queue[:i], w.queue[i+1:]...)
			return
		}
	}
}

// state says since when the storage fails or keeps the goroutine waiting, and why.
func (w *writer) state(now time.Time) (since time.Time, fault error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.fault != nil:
		return w.since, w.fault
	case !w.busy.IsZero() && now.Sub(w.busy) > w.server.config.StoreTimeout:
		return w.busy, errStuck
	}
	return time.Time{}, nil
}

// hash takes note of the SHA-256 of the bytes, once.
func (s *segment) hash(data [][]byte) {
	if s.hashed || data == nil {
		return
	}
	h := sha256.New()
	for _, p := range data {
		_, _ = h.Write(p) // never fails
	}
	h.Sum(s.sum[:0])
	s.hashed = true
}
