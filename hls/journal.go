package hls

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
)

// journal writes down what a channel lists. It belongs to the goroutine of a writer.
//
// The file holds the opening and a line for each of entries. Where it does not, after
// a failure or a restart, file is nil, and the next record makes it anew.
type journal struct {
	storage Storage
	name    string
	witness witness

	file    Appender
	opened  uint64 // the removals before it was
	size    int64  // bytes in the file
	opening opening
	base    digest // previous of the first entry
	entries []entry
	last    digest // of the newest line
	ended   *ending
}

// errBehind: more is listed than the journal would say. It waits for those records.
var errBehind = errors.New("the journal waits for the segments that are listed already")

// errTakenBack: the journal was removed while it was written.
var errTakenBack = errors.New("the journal was removed, since it came too late")

// roomyJournal is the size from which a journal is made anew without what has gone:
// it holds some hundred segments then, and far fewer are kept.
const roomyJournal = 64 << 10

// add writes a segment down. oldest is the sequence number of the oldest segment that
// may still be fetched: what is before may go. peak is the largest bit rate so far. On an
// error nothing was written, and a later record, or repair, writes it again.
func (j *journal) add(ctx context.Context, e entry, oldest, peak uint64) error {
	previous := j.last
	j.entries = append(j.entries, e)
	if !j.isOpen() || j.size > roomyJournal && j.entries[len(j.entries)/2].Sequence < oldest {
		j.drop(oldest, peak)
		return j.rewrite(ctx)
	}
	return j.append(&record{Previous: previous, Segment: &e})
}

// postpone takes note of a segment that is not written down yet. It is for a journal that
// is not there.
func (j *journal) postpone(e entry, oldest, peak uint64) {
	j.entries = append(j.entries, e)
	j.drop(oldest, peak)
}

// isOpen reports whether records can be added to the file.
func (j *journal) isOpen() bool {
	if j.file != nil && j.opened != j.witness.removals() {
		j.close()
	}
	return j.file != nil
}

// level is how much the entries say.
func (j *journal) level() uint64 {
	switch {
	case j.ended != nil:
		return allSaid
	case len(j.entries) == 0:
		return 0
	}
	return j.entries[len(j.entries)-1].Sequence + 1
}

// end writes down that the playlist is over.
func (j *journal) end(ctx context.Context, e ending) error {
	j.ended = &e
	if !j.isOpen() {
		return j.rewrite(ctx)
	}
	return j.append(&record{Previous: j.last, End: &e})
}

// correct changes what the entries say of a segment; it is for the file's next rewrite.
func (j *journal) correct(sequence uint64, missing bool) {
	for i := range j.entries {
		if j.entries[i].Sequence == sequence {
			j.entries[i].Missing = missing
		}
	}
}

// append adds a line to the file.
func (j *journal) append(r *record) error {
	line := r.appendLine(nil)
	if _, err := j.file.Write(line); err != nil {
		j.close()
		return fmt.Errorf("append to the journal: %w", err)
	}
	if !j.witness.appended(j.level(), j.opened) {
		j.close()
		return errTakenBack
	}
	j.size += int64(len(line))
	j.last = lineDigest(line)
	return nil
}

func lineDigest(line []byte) digest { return sha256.Sum256(line[:len(line)-1]) }

// drop forgets the entries before a sequence number, but for what the opening must
// say of them.
func (j *journal) drop(oldest, peak uint64) {
	n := 0
	for n < len(j.entries)-1 && j.entries[n].Sequence < oldest {
		e := &j.entries[n]
		j.base = j.digestOf(e)
		j.opening.Dependent = j.opening.Dependent || !e.Independent
		j.opening.Bits += uint64(e.Size) * 8
		j.opening.Length += e.Duration
		j.opening.Peak = max(j.opening.Peak, peak)
		n++
	}
	j.entries = append(j.entries[:0], j.entries[n:]...)
}

// digestOf returns the digest of an entry's line, which follows base.
func (j *journal) digestOf(e *entry) digest {
	return lineDigest((&record{Previous: j.base, Segment: e}).appendLine(nil))
}

// rewrite makes the file anew, in one step, and opens it for what comes.
func (j *journal) rewrite(ctx context.Context) error {
	j.close()
	text := (&record{Previous: j.base, Open: &j.opening}).appendLine(nil)
	last := j.base
	add := func(r *record) {
		at := len(text)
		text = r.appendLine(text)
		last = lineDigest(text[at:])
	}
	for i := range j.entries {
		add(&record{Previous: last, Segment: &j.entries[i]})
	}
	if j.ended != nil {
		add(&record{Previous: last, End: j.ended})
	}
	opened, ok := j.witness.begin(j.level())
	if !ok {
		return errBehind
	}
	err := j.storage.Put(ctx, j.name, [][]byte{text})
	there := j.witness.end(j.level(), opened, err)
	if err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	if !there {
		return errTakenBack
	}
	file, err := j.storage.Append(j.name)
	if err != nil {
		return fmt.Errorf("open the journal: %w", err)
	}
	j.file, j.opened, j.size, j.last = file, opened, int64(len(text)), last
	return nil
}

// close closes the file. Its records are in the hands of the storage since each was
// written, so that an error of closing has nothing to say.
func (j *journal) close() {
	if j.file != nil {
		_ = j.file.Close()
		j.file = nil
	}
}
