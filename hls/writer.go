package hls

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// writer stores a channel's segments and keeps its journal. It does so in a goroutine
// of its own, because a disk may keep a write for as long as it likes, and nothing can
// take it back: the channel waits a moment, and then goes on from memory.
//
// The order is always: the segment, then its record, then the playlist. Where the
// storage fails, the record says that the segment is missing; when it heals, the
// segments go there in their order and the journal is made anew.
type writer struct {
	server *Server
	folder string
	log    *slog.Logger
	// changed is called when a segment has been stored at last.
	changed func()
	wake    chan struct{}
	done    chan struct{} // closed when run has returned

	mu       sync.Mutex
	queue    []*segment // not stored, or not recorded; oldest first
	storing  *segment   // the one that the storage is reading
	removals []*segment
	oldest   uint64 // sequence number of the oldest that may be fetched
	ended    *ending
	endTried chan struct{}
	closing  bool
	removing bool      // closing, and nothing of the channel shall be left
	older    *older    // for the journal
	busy     time.Time // when what the goroutine does now began, zero if it waits
	fault    error     // of the newest attempt, nil if it succeeded
	since    time.Time // when the first of these attempts failed

	// Of the goroutine.

	journal journal
	stale   bool          // the journal says missing of what is there
	slow    bool          // the newest segment and its record took longer than a listing waits
	newest  time.Time     // when it was stored
	putting time.Duration // how long that took
	// recording is how long the newest record took, at the time recorded.
	recording time.Duration
	recorded  time.Time
}

// retryStore is how long a failed storage is left alone.
const retryStore = time.Second

func newWriter(s *Server, folder string, log *slog.Logger, changed func()) *writer {
	return &writer{
		server:  s,
		folder:  folder,
		log:     log,
		changed: changed,
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
		journal: journal{storage: s.config.Storage, name: folder + "/" + journalName},
	}
}

// add takes a segment to store. Its tried is closed when that was done, or failed.
func (w *writer) add(s *segment) {
	s.tried = make(chan struct{})
	w.mu.Lock()
	w.queue = append(w.queue, s)
	w.oldest = s.oldest
	w.mu.Unlock()
	w.signal()
}

// remove takes a segment that may go. One that is not stored yet will not be, and its
// memory goes at once, unless the storage is reading it.
func (w *writer) remove(s *segment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !s.stored.Load() {
		s.abandoned = true
		w.unqueue(s)
		if w.storing != s {
			s.data = slabs{}
			return
		}
	}
	w.removals = append(w.removals, s)
	w.signal()
}

// take returns the bytes of a segment that is going to be read; nil if it has gone.
func (w *writer) take(s *segment) [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.abandoned {
		return nil
	}
	w.storing = s
	return s.data.parts
}

// taken says that they have been read.
func (w *writer) taken(s *segment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.storing = nil
	if s.abandoned {
		s.data = slabs{}
	}
}

// isIdle reports whether all is stored, as far as it should be.
func (w *writer) isIdle(now time.Time) bool {
	if _, fault := w.state(now); fault != nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue) == 0
}

// end takes note of the end of the playlist. The channel is closed when it has been
// tried to write that down.
func (w *writer) end(e ending) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended, w.endTried = &e, make(chan struct{})
	w.signal()
	return w.endTried
}

// close ends the goroutine when it has tried all it was given. Where removing is true,
// nothing of the channel is left.
func (w *writer) close(removing bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closing, w.removing = true, removing
	w.signal()
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run does what it is given until it is closed.
func (w *writer) run(ctx context.Context) {
	defer close(w.done)
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	for {
		w.mu.Lock()
		closing := w.closing // before it works, so that it does all it was given
		w.mu.Unlock()
		failed := w.work(ctx)
		if closing {
			break
		}
		if failed {
			retry.Reset(retryStore)
		}
		select {
		case <-w.wake:
		case <-retry.C:
		}
	}
	w.journal.close()
	if w.removing {
		if err := w.server.config.Storage.RemoveAll(w.folder); err != nil {
			w.log.Warn("folder of an ended stream not removed", "error", err)
		}
	}
}

// work does what there is to do, once, and reports whether some of it failed.
func (w *writer) work(ctx context.Context) (failed bool) {
	w.begin()
	defer w.pause()
	failed = w.removeAll()
	w.mu.Lock()
	queue := append([]*segment(nil), w.queue...)
	oldest, ended, endTried := w.oldest, w.ended, w.endTried
	w.mu.Unlock()
	w.takeOlder()
	err := w.store(ctx, queue)
	err = errors.Join(err, w.record(ctx, queue, oldest))
	if ended != nil && w.journal.ended == nil {
		err = errors.Join(err, w.journal.end(ctx, *ended))
	}
	if err == nil && (w.stale || !w.journal.isOpen() && len(w.journal.entries) > 0) {
		err = w.remake(ctx)
	}
	w.settle(queue, err)
	if ended != nil && !isClosed(endTried) {
		close(endTried)
	}
	return failed || err != nil
}

// remake makes the journal anew.
func (w *writer) remake(ctx context.Context) error {
	if w.postpones() {
		return errSlow
	}
	err := w.timed(func() error { return w.journal.rewrite(ctx) })
	w.stale = err != nil
	return err
}

// begin notes that the goroutine asks the storage for something, pause that it does
// not any more.
func (w *writer) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy = time.Now()
}

func (w *writer) pause() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy = time.Time{}
}

// store stores segments in their order, until one fails.
func (w *writer) store(ctx context.Context, queue []*segment) error {
	for _, s := range queue {
		if s.stored.Load() {
			continue
		}
		if err := w.put(ctx, s); err != nil {
			w.server.metrics.StorageErrors.Add(1)
			return err
		}
	}
	return nil
}

// put stores a segment, unless it has gone.
func (w *writer) put(ctx context.Context, s *segment) error {
	data := w.take(s)
	if data == nil {
		return nil
	}
	defer w.taken(s)
	s.hash(data)
	w.begin()
	began := time.Now()
	err := w.server.config.Storage.Put(ctx, w.folder+"/"+s.uri, data)
	w.newest = time.Now()
	w.putting = w.newest.Sub(began)
	w.judge(s)
	if err != nil {
		return err
	}
	w.server.used.Add(s.size)
	w.stale = w.stale || s.recorded
	s.stored.Store(true)
	return nil
}

// record writes down the segments that are about to be listed.
func (w *writer) record(ctx context.Context, queue []*segment, oldest uint64) error {
	var err error
	for _, s := range queue {
		if s.recorded {
			w.journal.correct(s.sequence, !s.stored.Load())
			continue
		}
		if !s.hashed {
			s.hash(w.take(s)) // of one that has gone nothing is known: its sum is zero
			w.taken(s)
		}
		s.recorded = true
		if w.postpones() {
			w.journal.postpone(s.entry(), oldest, s.totals.Peak)
			err = errSlow
			continue
		}
		err = w.timed(func() error { return w.journal.add(ctx, s.entry(), oldest, s.totals.Peak) })
		w.judge(s)
		w.slow = w.slow || len(queue) == 1 && time.Now().After(s.due)
		if err != nil {
			w.server.metrics.StorageErrors.Add(1)
		}
	}
	return err
}
