package hls

import (
	"sync/atomic"
	"time"
)

// segment is one media segment, open at first, then closed, stored and listed.
type segment struct {
	// Of the segmenter, until it is closed.

	start         ticks // time of its first packet
	duration      ticks
	date          time.Time // wall clock of its first packet
	discontinuity bool
	independent   bool  // begins with an IDR, or has no video
	target        ticks // target duration in force
	description   description

	cut time.Time // when it was handed over
	due time.Time // when it has to be listed, whatever the storage does

	// Set when it is listed, then constant.

	sequence uint64
	uri      string    // relative to the media playlist
	breaks   uint64    // its Discontinuity Sequence Number
	head     uint64    // the media sequence number of the first playlist that lists it
	oldest   uint64    // of the oldest segment that could be fetched then
	totals   totals    // of it and all before
	listed   time.Time // wall clock

	// data are the bytes while they are in memory, size their number. As long as the
	// segment is not stored it is the writer's mutex that guards them.
	data slabs
	size int64

	// Of the channel's goroutine.

	// shown is when it was listed; zero for one that an earlier process had listed.
	shown time.Time
	// longest is the longest playlist the segment was listed in.
	longest time.Duration
	// removed is when it was removed from the playlist, expires when it may go.
	removed, expires time.Time

	// evicted: the quota wants it gone before its time. gone: it is.
	evicted, gone atomic.Bool
	// held: it is, or was, listed from memory.
	held atomic.Bool

	// open is the file while it stays open, guarded by openFiles.mu. note is for whoever has the kernel send it.
	open *openFile
	note atomic.Int32

	// Of the writer.

	sum    digest
	hashed bool // sum is known
	// abandoned: it went before it was stored, and its data with it. Guarded by the
	// writer's mutex.
	abandoned bool
	// unremoved: it should have gone, but the storage did not let it.
	unremoved bool
	// recorded: the journal has it.
	recorded bool
	// tried is closed when it was tried for the first time to store it.
	tried chan struct{}
	// stored: the storage has it. Whoever sees it may take data away.
	stored atomic.Bool
}

// entry returns what the journal says of the segment.
func (s *segment) entry() entry {
	return entry{
		Sequence:              s.sequence,
		URI:                   s.uri,
		Start:                 s.start,
		Duration:              s.duration,
		Date:                  s.date.UTC().Truncate(time.Millisecond),
		Listed:                s.listed.UTC().Truncate(time.Millisecond),
		Discontinuity:         s.discontinuity,
		DiscontinuitySequence: s.breaks,
		Independent:           s.independent,
		Target:                int(s.target / perSecond),
		Head:                  s.head,
		Codecs:                s.description.codecs,
		Width:                 s.description.width,
		Height:                s.description.height,
		Rate:                  s.description.frameRate,
		Size:                  s.size,
		SHA256:                s.sum,
		Missing:               !s.stored.Load(),
		Totals:                s.totals,
	}
}

// restoredSegment returns the segment that an entry is of, which is in the storage.
func restoredSegment(e *entry) *segment {
	s := &segment{
		start:         e.Start,
		duration:      e.Duration,
		date:          e.Date,
		discontinuity: e.Discontinuity,
		independent:   e.Independent,
		target:        ticks(e.Target) * perSecond,
		description:   description{codecs: e.Codecs, width: e.Width, height: e.Height, frameRate: e.Rate},
		sequence:      e.Sequence,
		uri:           e.URI,
		breaks:        e.DiscontinuitySequence,
		head:          e.Head,
		listed:        e.Listed,
		size:          e.Size,
		sum:           e.SHA256,
		hashed:        true,
		recorded:      true,
		tried:         make(chan struct{}),
	}
	close(s.tried)
	s.stored.Store(!e.Missing)
	return s
}
