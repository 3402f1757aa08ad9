package hls

import (
	"bytes"
	"errors"
	"fmt"
)

// journalText is what a journal says.
type journalText struct {
	// opening is nil if the beginning is damaged.
	opening *opening
	base    digest // previous of the first of entries
	entries []entry
	// Of each entry: where its line is, from the first one's, and its previous.
	offsets  []int64
	previous []digest
	ended    *ending
	// torn is the number of bytes of a record that was not finished.
	torn int
	// fault is the first thing that is wrong, nil if nothing is.
	fault error
}

// journalLine is a line of a journal, or why it is none.
type journalLine struct {
	record record
	offset int64
	digest digest
	err    error
}

var (
	errNoRecord  = errors.New("the journal holds no segment")
	errNoOpening = errors.New("record 1 is not the opening")
)

// readJournal reads a journal.
//
// An unfinished last line is dropped: it was being written when the process died, and
// its segment was not listed. Anything else that is wrong is damage. What comes after
// it can be believed, since each entry says all that is needed: so what is returned is
// the newest run of records that are whole and follow each other. If the newest record
// itself is damaged it is an error: nobody knows then what was listed, and the stream
// must not go on under the same address. The same holds for a journal of another version, which
// says what this one cannot know.
func readJournal(text []byte) (journalText, error) {
	var t journalText
	end := bytes.LastIndexByte(text, '\n') + 1
	t.torn = len(text) - end
	lines := journalLines(text[:end])
	if len(lines) == 0 {
		return t, errNoRecord
	}
	if errors.Is(lines[0].err, errVersion) {
		return t, lines[0].err
	}
	if lines[0].err == nil && lines[0].record.Open == nil {
		t.fault = errNoOpening
	}
	from := 0
	for i := range lines {
		fault := lines[i].err
		if fault == nil && i > 0 && lines[i-1].err == nil {
			fault = lines[i].follows(&lines[i-1])
		}
		if fault != nil {
			from = i
			if t.fault == nil {
				t.fault = fmt.Errorf("record %d: %w", i+1, fault)
			}
		}
		if lines[i].err != nil {
			from = i + 1
		}
	}
	if from == len(lines) {
		return t, fmt.Errorf("the newest record is damaged: %w", lines[from-1].err)
	}
	t.take(lines[from:])
	if len(t.entries) == 0 {
		return t, errNoRecord
	}
	return t, nil
}

func journalLines(text []byte) []journalLine {
	var lines []journalLine
	offset := int64(0)
	for text := range bytes.Lines(text) {
		l := journalLine{offset: offset, digest: lineDigest(text)}
		l.record, l.err = parseLine(text[:len(text)-1])
		lines = append(lines, l)
		offset += int64(len(text))
	}
	return lines
}

// follows reports why a line cannot stand behind another.
func (l *journalLine) follows(before *journalLine) error {
	a, b := &before.record, &l.record
	previous := before.digest
	if a.Open != nil {
		previous = a.Previous
	}
	switch {
	case b.Open != nil:
		return errors.New("an opening that is not the first")
	case a.End != nil:
		return errors.New("a record behind the end")
	case b.Previous != previous:
		return errors.New("the chain is broken: it is not the successor of the record before")
	case a.Segment != nil && b.Segment != nil && b.Segment.Sequence != a.Segment.Sequence+1:
		return fmt.Errorf("segment %d behind %d", b.Segment.Sequence, a.Segment.Sequence)
	}
	return nil
}

// take takes lines that follow each other.
func (t *journalText) take(lines []journalLine) {
	t.base = lines[0].record.Previous
	for i := range lines {
		switch r := &lines[i].record; {
		case r.Open != nil:
			t.opening = r.Open
		case r.Segment != nil:
			t.entries = append(t.entries, *r.Segment)
			t.offsets = append(t.offsets, lines[i].offset)
			t.previous = append(t.previous, r.Previous)
		default:
			t.ended = r.End
		}
	}
}
