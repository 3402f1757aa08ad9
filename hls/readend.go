package hls

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// A journal grows large where many segments stay after they have left their playlist
// (Retention). To serve again, its end is enough: each record has the totals of all before
// it. The rest, whose segments no playlist names any more, is read later.

const (
	// wholeJournal is the size up to which a journal is read at once, in bytes: some
	// hundred records, which take few milliseconds.
	wholeJournal = 128 << 10
	// journalEnd is how much is read of the end of a larger one at first.
	journalEnd = 32 << 10
)

// restOfJournal is the beginning of a journal whose end was read.
type restOfJournal struct {
	blob Blob  // open, since the journal may be made anew meanwhile
	size int64 // bytes
	next digest
}

func (r *restOfJournal) close() {
	if r != nil {
		_ = r.blob.Close()
	}
}

// readEnd reads as much of the journal as is needed to serve again. Whatever is odd has
// it read as a whole.
func (l *leftover) readEnd(storage Storage) error {
	blob, err := storage.Open(l.folder() + "/" + journalName)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnread, err)
	}
	if info, err := blob.Stat(); err == nil && info.Size() > wholeJournal {
		for n := int64(journalEnd); n < info.Size(); n *= 2 {
			if ok, err := l.takeEnd(blob, info.Size(), n); ok {
				return nil
			} else if err != nil {
				break
			}
		}
	}
	_ = blob.Close() // it was only read
	return l.read(storage)
}

// takeEnd reads the last n bytes of a journal. It reports whether they say enough.
func (l *leftover) takeEnd(blob Blob, size, n int64) (ok bool, err error) {
	head, err := readAt(blob, 0, maxRecord)
	if err != nil {
		return false, err
	}
	line, _, _ := bytes.Cut(head, []byte("\n"))
	first, err := parseLine(line)
	if err != nil || first.Open == nil || l.checkPlace(first.Open) != nil {
		return false, errNoRecord
	}
	text, err := readAt(blob, size-n, n)
	if err != nil {
		return false, err
	}
	from := bytes.IndexByte(text, '\n') + 1
	if from == 0 {
		return false, nil
	}
	t, err := readJournal(text[from:])
	if err != nil || t.fault != errNoOpening || len(t.entries) == 0 {
		return false, errNoRecord
	}
	// Besides what is listed, what may still be asked for: what has left a window, and another.
	last := &t.entries[len(t.entries)-1]
	need := int(min(3*(last.Sequence-last.Head+1)+4, maxRetained))
	if len(t.entries) < need {
		return false, nil
	}
	if t.entries[len(t.entries)-need].Totals.Bits == 0 {
		return false, errNoRecord // an earlier version of Headwater wrote it
	}
	l.text = t.cut(len(t.entries)-need, first.Open)
	rest := size - n + int64(from) + t.offsets[len(t.entries)-need]
	l.rest = &restOfJournal{blob: blob, size: rest, next: l.text.base}
	return true, nil
}

// cut leaves out the first n entries. The opening is what it would be then.
func (t *journalText) cut(n int, o *opening) journalText {
	e := &t.entries[n]
	begin := *o
	begin.totals = e.Totals
	begin.Bits -= uint64(e.Size) * 8
	begin.Length -= e.Duration
	return journalText{opening: &begin, base: t.previous[n], entries: t.entries[n:], ended: t.ended, torn: t.torn}
}

func readAt(blob Blob, offset, n int64) ([]byte, error) {
	if _, err := blob.Seek(offset, io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(blob, n))
}

// older is what the rest of a journal says.
type older struct {
	text     journalText
	segments []*segment // those that are there
}

// readRest reads the rest of the journal, looks for its segments, and puts it before what
// was read first.
func (l *leftover) readRest(storage Storage) (*older, error) {
	text, err := readAt(l.rest.blob, 0, min(l.rest.size, maxJournal))
	if err != nil {
		return nil, fmt.Errorf("read the journal: %w", err)
	}
	t, err := readJournal(text)
	if err != nil {
		return nil, err
	}
	if t.torn > 0 || lineDigest(text[bytes.LastIndexByte(text[:len(text)-1], '\n')+1:]) != l.rest.next {
		return nil, errors.New("the chain is broken between what was read first and the rest")
	}
	if err := l.list(storage); err != nil {
		return nil, err
	}
	o := &older{text: t}
	for i := range t.entries {
		e := &t.entries[i]
		if l.checkSize(storage, e) != nil { // the folder was listed, so it is known
			l.broken[e.Sequence] = true
			continue
		}
		o.segments = append(o.segments, restoredSegment(e))
	}
	l.text.entries = slices.Concat(t.entries, l.text.entries)
	l.text.fault = t.fault
	return o, nil
}

// takeOlder gives a channel what the rest of its journal says.
func (c *Channel) takeOlder(o *older) {
	c.mu.Lock()
	c.older = o
	c.mu.Unlock()
	c.signal()
}

// addOlder has the older segments stay their time, which begins now.
func (c *Channel) addOlder() (some bool) {
	c.mu.Lock()
	o := c.older
	c.older = nil
	c.mu.Unlock()
	if o == nil {
		return false
	}
	now := time.Now()
	for _, s := range o.segments {
		s.retire(now)
		c.server.used.Add(s.size)
	}
	c.window.removed = append(o.segments, c.window.removed...)
	c.server.retire(c, o.segments)
	c.writer.addOlder(o, c.window.oldest())
	return len(o.segments) > 0
}

// addOlder has the journal say again what it said before, where it was made anew since.
func (w *writer) addOlder(o *older, oldest uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.older, w.oldest = o, min(oldest, w.oldest)
	w.signal()
}

// takeOlder puts the older entries before the others.
func (w *writer) takeOlder() {
	w.mu.Lock()
	o := w.older
	w.older = nil
	w.mu.Unlock()
	if o == nil {
		return
	}
	j := &w.journal
	before, first := &o.text.entries[len(o.text.entries)-1], &j.entries[0]
	if first.Sequence != before.Sequence+1 {
		return // some of those between have gone already
	}
	w.stale = w.stale || j.isOpen()
	j.entries = slices.Concat(o.text.entries, j.entries)
	j.base = o.text.base
	if o.text.opening != nil {
		j.opening = *o.text.opening
	}
}
