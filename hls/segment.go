package hls

import (
	"strconv"
	"time"
)

// segment is one media segment, open at first, then closed, stored and listed.
type segment struct {
	sequence      uint64
	start         ticks // time of its first packet
	duration      ticks
	date          time.Time // wall clock of its first packet
	discontinuity bool
	independent   bool  // begins with an IDR, or has no video
	target        ticks // target duration in force
	description   description

	// data are the bytes until they are stored, size their number. If storing
	// fails the segment is served from here.
	data slabs
	size int64
	// longest is the longest playlist the segment was listed in.
	longest time.Duration
	// expires is when a segment that was removed from the playlist may go.
	expires time.Time
}

// uri is the segment's URI, relative to the media playlist.
func (s *segment) uri() string { return strconv.FormatUint(s.sequence, 10) + segmentSuffix }
