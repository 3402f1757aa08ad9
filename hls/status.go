package hls

import (
	"time"

	"github.com/headwater-live/headwater/remux"
)

// Status is what an operator sees of a stream's HLS output: what its newest playlist says.
type Status struct {
	// Path is the media playlist's path on the public listener.
	Path  string
	Ended bool
	// Updated is when the playlist last changed.
	Updated               time.Time
	TargetDuration        time.Duration
	MediaSequence         uint64
	DiscontinuitySequence uint64
	// Peak and Average are the bit rates that the multivariant playlist states.
	Peak, Average uint64
	Codecs        string
	// Segments are those in the playlist, oldest first.
	Segments []SegmentStatus
	// Clients are those that asked for the media playlist in the last three target durations,
	// told apart by address and user agent: a CDN is one.
	Clients int
}

// SegmentStatus is a segment in a playlist.
type SegmentStatus struct {
	// Stream is its stream, Path its path on the public listener.
	Stream        remux.StreamName
	Path          string
	Sequence      uint64
	Duration      time.Duration
	Date          time.Time
	Size          int64
	Discontinuity bool
	// InMemory: the storage did not have it when the playlist was made.
	InMemory bool
}

// Status returns the status of a stream's newest channel that lists anything; false if there is none.
func (s *Server) Status(name remux.StreamName) (Status, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := s.byName[name]
	if n == nil {
		return Status{}, false
	}
	for i := len(n.all) - 1; i >= 0; i-- {
		c := n.all[i]
		if p := c.published.Load(); p != nil && p.media != nil {
			status := p.status
			status.Clients = c.audience.count(time.Now(), audienceTargets*status.TargetDuration)
			return status, true
		}
	}
	return Status{}, false
}

// Clients returns the clients of all streams, as Status counts them.
func (s *Server) Clients() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	total := 0
	for _, n := range s.byName {
		for _, c := range n.all {
			if p := c.published.Load(); p != nil {
				total += c.audience.count(time.Now(), audienceTargets*p.status.TargetDuration)
			}
		}
	}
	return total
}

// status describes the window for an operator.
func (c *Channel) status(date time.Time) Status {
	media := c.window.media()
	peak, average := c.window.bandwidth.rates()
	st := Status{
		Path:                  c.path(mediaName),
		Ended:                 media.Ended,
		Updated:               date,
		TargetDuration:        c.window.target,
		MediaSequence:         media.MediaSequence,
		DiscontinuitySequence: media.DiscontinuitySequence,
		Peak:                  peak,
		Average:               average,
		Codecs:                c.window.listed[len(c.window.listed)-1].description.codecs,
		Segments:              make([]SegmentStatus, len(c.window.listed)),
	}
	for i, s := range c.window.listed {
		st.Segments[i] = c.segmentStatus(s)
	}
	return st
}

func (c *Channel) segmentStatus(s *segment) SegmentStatus {
	return SegmentStatus{
		Stream:        c.name,
		Path:          c.path(s.uri),
		Sequence:      s.sequence,
		Duration:      s.duration.duration(),
		Date:          s.date,
		Size:          s.size,
		Discontinuity: s.discontinuity,
		InMemory:      !s.stored.Load(),
	}
}

func (c *Channel) path(file string) string { return "/" + c.folder() + "/" + file }
