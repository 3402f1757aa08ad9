package hls

import (
	"errors"
	"time"
)

// slowRest is how long a storage that is slow must have had nothing to store, for its
// journal to be made anew. While it is made nothing else can be listed.
const slowRest = 10 * time.Second

// errSlow: there is no journal, and the storage would take too long to make it.
var errSlow = errors.New("the storage is slow: the journal waits")

// postpones reports whether there is no journal and the storage is not up to making it. At the
// end nothing waits for it.
func (w *writer) postpones() bool {
	return w.slow && w.journal.witness.absent() && time.Since(w.newest) < slowRest && !w.isClosing()
}

func (w *writer) isClosing() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closing
}

// judge finds out whether the storage is slow: whether the listing of a segment would have to
// wait too long for it and for its record. A journal that is there only between two segments
// would be of no use. How long a record took is believed for a while; then it takes no longer than a segment.
func (w *writer) judge(s *segment) {
	recording := w.recording
	if time.Since(w.recorded) > slowRest {
		recording = min(recording, w.putting)
	}
	w.slow = w.putting+recording > s.due.Sub(s.cut)
}

// timed takes note of how long a record takes.
func (w *writer) timed(write func() error) error {
	w.begin()
	began := time.Now()
	err := write()
	w.recorded = time.Now()
	w.recording = w.recorded.Sub(began)
	return err
}
