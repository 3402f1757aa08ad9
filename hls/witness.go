package hls

import (
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"sync"
	"time"
)

// witness knows what the next process may read in a channel's journal if this one dies
// now. No viewer may be told more than that: otherwise the next process, which believes
// the journal, would say less under the same address, and the playlist would go back.
//
// Where a record cannot be written, or not in time, the journal is taken back: it is
// removed, which needs no room on the disk. A process that finds no journal gives the
// incarnation up. When the storage is well again the journal is made anew, as a whole.
//
// How much is said is a level: n where the sequence numbers below n are, allSaid where
// the playlist has ended.
type witness struct {
	mu sync.Mutex
	// What the storage may hold: the journal as it is, and what a Put that has not
	// returned will make of it.
	file, writing claim
	// told is how much viewers have been told. A journal that says less must not be made.
	told uint64
	// takenBack counts the removals: a file that was opened before the newest is gone.
	takenBack uint64
	// beyond: viewers were told more than a journal says that cannot be removed.
	beyond   bool
	removing bool
	fault    error         // of the newest removal
	said     bool          // the log says that the journal was taken back
	changed  chan struct{} // closed when any of it changes; nil if nobody waits
}

// claim is what a journal says that may be there.
type claim struct {
	there bool
	level uint64
}

// allSaid is the level of a playlist that has ended.
const allSaid = math.MaxUint64

func (c claim) contradicts(level uint64) bool { return c.there && c.level < level }

// contradicts reports whether a journal may be there that says less than level; w.mu is held.
func (w *witness) contradicts(level uint64) bool {
	return w.file.contradicts(level) || w.writing.contradicts(level)
}

// allows reports whether viewers may be told as much as level, which they are then. If
// not, changed is closed when it is worth asking again.
func (w *witness) allows(level uint64) (ok bool, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.beyond || !w.contradicts(level) {
		w.told = max(w.told, level)
		return true, nil
	}
	if w.changed == nil {
		w.changed = make(chan struct{})
	}
	return false, w.changed
}

// change lets those who wait ask again; w.mu is held.
func (w *witness) change() {
	w.beyond = w.beyond && w.contradicts(w.told)
	if w.changed != nil {
		close(w.changed)
		w.changed = nil
	}
}

// found says what an earlier process has left.
func (w *witness) found(level uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.file, w.told = claim{true, level}, level
}

// begin says that the journal is being made anew. It is false if it must not be, since
// it says too little.
func (w *witness) begin(level uint64) (takenBack uint64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if level < w.told {
		return 0, false
	}
	w.writing = claim{true, level}
	return w.takenBack, true
}

// end says how it went, and reports whether the journal is there now. An error may come
// when it is there already, and so may its removal.
func (w *witness) end(level, takenBack uint64, err error) (there bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writing = claim{}
	if err == nil || !w.file.there {
		w.file = claim{true, level}
	}
	w.change()
	there = err == nil && w.takenBack == takenBack
	w.said = w.said && !there
	return there
}

// appended says that a record was added to a file that was opened after so many removals.
// It reports whether it still has a name.
func (w *witness) appended(level, takenBack uint64) (there bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.takenBack != takenBack {
		return false
	}
	w.file = claim{true, level}
	w.change()
	return true
}

// removals returns how often the journal was removed.
func (w *witness) removals() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.takenBack
}

// absent reports whether there is surely no journal.
func (w *witness) absent() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.file.there && !w.writing.there
}

// mustRemove reports whether the journal contradicts a level, and nobody removes it yet.
func (w *witness) mustRemove(level uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.removing || !w.file.contradicts(level) {
		return false
	}
	w.removing = true
	return true
}

// takeBack removes the journal.
func (w *witness) takeBack(storage Storage, name string, log *slog.Logger) {
	err := storage.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.fault
	w.removing, w.fault = false, err
	if err == nil {
		w.file = claim{}
		w.takenBack++
		if !w.said {
			log.Warn("segments are listed that could not be written down: the journal is removed until they can be")
			w.said = true
		}
		w.change()
	} else if before == nil {
		log.Error("the journal was not removed", "error", err)
	}
}

// goBeyond lets viewers be told more than the journal says, which can neither be written nor be removed, until it
// says so.
func (w *witness) goBeyond(log *slog.Logger) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.beyond = true
	log.Error("segments are listed that can neither be written down nor the journal be removed: " +
		"a server that is killed before it can may list less than now")
}

const (
	// reserve is what listing a segment may take at the end of the time that it has.
	reserve = 100 * time.Millisecond
	// removalTime is how long a listing that is late waits for the removal of the journal.
	removalTime = 100 * time.Millisecond
)

// due returns when a segment of that duration, which was finished at cut, has to be
// listed, whatever the storage does: 1.5 target durations after the one before (RFC
// 8216bis, 6.2.1), but not before the storage had StoreTimeout.
func (c *Channel) due(cut time.Time, duration ticks) time.Time {
	return cut.Add(max(c.server.config.StoreTimeout, c.window.target*3/2-duration.duration()-reserve))
}

// isStopping reports whether the next process goes on with the playlist, if the journal is there.
func (c *Channel) isStopping() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopping || c.server.ctx.Err() != nil
}

// awaitWitness waits until viewers may be told as much as level. It is false if the
// server had to stop before. tried is closed when it was tried to write that down, until is
// how long that may take.
//
// What failed, or takes longer, is not waited for: the journal goes. Where the storage does
// not even remove it, it is listed all the same: who watches now is not made to wait for
// a crash that may never come, and a process that starts while the storage cannot be
// written goes on with nothing (Restore). At a stop there is time: no more segments come.
func (c *Channel) awaitWitness(level uint64, tried <-chan struct{}, until time.Time) bool {
	w := &c.writer.journal.witness
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	remove, late := false, false
	for {
		ok, changed := w.allows(level)
		patient := c.isStopping()
		if !ok && late && !patient {
			w.goBeyond(c.log)
			continue
		}
		if (ok || remove && !patient) && w.mustRemove(level) {
			c.server.channels.Go(func() { w.takeBack(c.server.config.Storage, c.writer.journal.name, c.log) })
		}
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-tried:
			remove, tried = true, nil
		case <-timer.C:
			remove, late = true, remove
			timer.Reset(removalTime)
		case <-c.server.hard.Done():
			return false
		}
	}
}
