package hls

import (
	"time"

	"github.com/headwater-live/headwater/hls/m3u8"
)

// window is the list of segments of a channel: those in the playlist, and those
// that have left it but must stay fetchable. It belongs to the channel's goroutine.
type window struct {
	listed  []*segment
	removed []*segment // oldest first
	// next is the sequence number of the next segment.
	next uint64
	// discontinuities counts the EXT-X-DISCONTINUITY tags that slid out.
	discontinuities uint64
	target          time.Duration
	// dependent: some segment could not begin with an IDR.
	dependent bool
	ended     bool
	bandwidth bandwidth
}

// minWindow is the shortest live window in target durations (RFC 8216, 6.2.2).
const minWindow = 3

// add lists a segment and takes from the head what is beyond the window.
func (w *window) add(s *segment, size int, now time.Time) {
	w.listed = append(w.listed, s)
	w.dependent = w.dependent || !s.independent
	w.bandwidth.add(s, w.target)
	total := w.length()
	for len(w.listed) > size {
		head := w.listed[0]
		if total-head.duration.duration() < minWindow*w.target {
			break
		}
		total -= head.duration.duration()
		w.listed = w.listed[1:]
		// The tag stands before the segment, so it leaves with it.
		if head.discontinuity {
			w.discontinuities++
		}
		w.retire(head, now)
	}
	for _, l := range w.listed {
		l.longest = max(l.longest, total)
	}
}

// retire keeps a removed segment for its duration and that of the longest playlist
// it was in (RFC 8216, 6.2.2).
func (w *window) retire(s *segment, now time.Time) {
	s.expires = now.Add(s.duration.duration() + s.longest)
	w.removed = append(w.removed, s)
}

// expired takes out the removed segments whose time has come.
func (w *window) expired(now time.Time) []*segment {
	n := 0
	for n < len(w.removed) && !w.removed[n].expires.After(now) {
		n++
	}
	gone := w.removed[:n:n]
	w.removed = w.removed[n:]
	return gone
}

func (w *window) length() time.Duration {
	var total time.Duration
	for _, s := range w.listed {
		total += s.duration.duration()
	}
	return total
}

// media returns the media playlist.
func (w *window) media() m3u8.Media {
	m := m3u8.Media{
		TargetDuration:        int(w.target / time.Second),
		DiscontinuitySequence: w.discontinuities,
		IndependentSegments:   !w.dependent,
		Ended:                 w.ended,
		Segments:              make([]m3u8.Segment, len(w.listed)),
	}
	if len(w.listed) > 0 {
		m.MediaSequence = w.listed[0].sequence
	}
	for i, s := range w.listed {
		m.Segments[i] = m3u8.Segment{
			URI:             s.uri(),
			Duration:        s.duration.duration(),
			ProgramDateTime: s.date,
			Discontinuity:   s.discontinuity,
		}
	}
	return m
}
