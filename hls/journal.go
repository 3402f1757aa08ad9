package hls

import (
	"context"
	"crypto/sha256"
	"fmt"
)

// journal writes down what a channel lists. It belongs to the goroutine of a writer.
//
// The file holds the opening and a line for each of entries. Where it does not, after
// a failure or a restart, file is nil, and the next record makes it anew.
type journal struct {
	storage Storage
	name    string

	file    Appender
	size    int64 // bytes in the file
	opening opening
	base    digest // previous of the first entry
	entries []entry
	last    digest // of the newest line
	ended   *ending
}

// roomyJournal is the size from which a journal is made anew without what has gone:
// it holds some hundred segments then, and far fewer are kept.
const roomyJournal = 64 << 10

// add writes a segment down. oldest is the sequence number of the oldest segment that
// may still be fetched: what is before may go. peak is the largest bit rate so far. On an
// error nothing was written, and a later record, or repair, writes it again.
func (j *journal) add(ctx context.Context, e entry, oldest, peak uint64) error {
	previous := j.last
	j.entries = append(j.entries, e)
	if j.file == nil || j.size > roomyJournal && j.entries[len(j.entries)/2].Sequence < oldest {
		j.drop(oldest, peak)
		return j.rewrite(ctx)
	}
	return j.append(&record{Previous: previous, Segment: &e})
}

// end writes down that the playlist is over.
func (j *journal) end(ctx context.Context, e ending) error {
	j.ended = &e
	if j.file == nil {
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
	if err := j.storage.Put(ctx, j.name, [][]byte{text}); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	file, err := j.storage.Append(j.name)
	if err != nil {
		return fmt.Errorf("open the journal: %w", err)
	}
	j.file, j.size, j.last = file, int64(len(text)), last
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
