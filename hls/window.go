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
	// breaks is the number of discontinuities so far.
	breaks uint64
	target time.Duration
	// dependent: some segment could not begin with an IDR.
	dependent bool
	ended     bool
	bandwidth bandwidth
	total     ticks         // duration of all segments that were listed
	last      time.Duration // of the playlist that ended
}

// minWindow is the shortest live window in target durations (RFC 8216, 6.2.2).
const minWindow = 3

// maxRetained bounds the removed segments of a channel that stay because of a Retention:
// each costs memory, and a line of the journal, which has to be read within a second.
const maxRetained = 10_000

// Retention says how long segments stay after they have left the playlist. All stay
// for as long as RFC 8216 (6.2.2) asks. Zero values ask for nothing more.
type Retention struct {
	// Segments of a live stream stay at least as long as there are not so many that
	// were removed after them.
	Segments int
	// Age is the shortest time that a segment stays after its removal, if there are at
	// most 10,000.
	Age time.Duration
}

// add lists the next segment, and returns those that leave the window for it.
func (w *window) add(s *segment, size int, now time.Time) (left []*segment) {
	w.next = s.sequence + 1
	if s.discontinuity {
		w.breaks++
	}
	s.breaks = w.breaks
	w.listed = append(w.listed, s)
	w.dependent = w.dependent || !s.independent
	w.bandwidth.add(s, w.target)
	w.total += s.duration
	s.totals = totals{w.dependent, w.bandwidth.peak, w.bandwidth.bits, w.total}
	total := w.length()
	n := 0
	for len(w.listed)-n > size {
		head := w.listed[n].duration.duration()
		// When several come at once, which had to wait, none goes before players have seen it.
		if total-head < minWindow*w.target || now.Sub(w.listed[n].shown) < w.target {
			break
		}
		total -= head
		n++
	}
	left = w.shift(n, now)
	for _, l := range w.listed {
		l.longest = max(l.longest, total)
	}
	s.head, s.oldest = w.listed[0].sequence, w.oldest()
	return left
}

// shift removes n segments from the head of the playlist.
func (w *window) shift(n int, now time.Time) (left []*segment) {
	left = w.listed[:n:n]
	w.listed = w.listed[n:]
	for _, s := range left {
		s.retire(now)
	}
	w.removed = append(w.removed, left...)
	return left
}

// end lists no more. What the last playlist lists goes all at once, and stays fetchable for
// the length of that playlist after that has gone itself (RFC 8216, 6.2.2).
func (w *window) end(now time.Time) []*segment {
	w.last = w.length()
	left := w.shift(len(w.listed), now)
	var latest time.Time
	for _, s := range left {
		latest = later(latest, s.expires)
	}
	for _, s := range left {
		s.expires = latest.Add(w.last)
	}
	return left
}

// withdrawal returns when the playlist that has ended goes; false if it goes with its segments.
func (w *window) withdrawal(retain Retention) (at time.Time, ok bool) {
	if !w.ended || len(w.removed) == 0 {
		return time.Time{}, false
	}
	at, ok = w.dueOf(len(w.removed)-1, retain)
	return at.Add(-w.last), ok
}

// oldest returns the sequence number of the oldest segment that can be fetched.
func (w *window) oldest() uint64 {
	switch {
	case len(w.removed) > 0:
		return w.removed[0].sequence
	case len(w.listed) > 0:
		return w.listed[0].sequence
	}
	return w.next
}

// retire keeps a segment that has left the playlist for its duration and that of the
// longest playlist it was in (RFC 8216, 6.2.2).
func (s *segment) retire(now time.Time) {
	s.removed, s.expires = now, now.Add(s.duration.duration()+s.longest)
}

// expired takes out the removed segments whose time has come.
func (w *window) expired(now time.Time, retain Retention) []*segment {
	n := 0
	for n < len(w.removed) {
		due, ok := w.dueOf(n, retain)
		if !w.removed[n].evicted.Load() && (!ok || due.After(now)) {
			break
		}
		n++
	}
	if n > 0 && w.ended && w.removed[0].evicted.Load() {
		// The quota takes a playlist that has ended, and that nobody can need, as a whole.
		for n < len(w.removed) && !w.removed[n].expires.After(now) {
			n++
		}
	}
	gone := w.removed[:n:n]
	w.removed = w.removed[n:]
	return gone
}

// due returns when the next removed segment may go, at the earliest.
func (w *window) due(retain Retention) (at time.Time, ok bool) {
	if len(w.removed) == 0 {
		return time.Time{}, false
	}
	return w.dueOf(0, retain)
}

// dueOf returns when a removed segment may go; false if others have to be removed first.
func (w *window) dueOf(i int, retain Retention) (at time.Time, ok bool) {
	s, after := w.removed[i], len(w.removed)-1-i
	switch {
	case after >= maxRetained:
		return s.expires, true
	case !w.ended && after < retain.Segments:
		return time.Time{}, false
	}
	return later(s.expires, s.removed.Add(retain.Age)), true
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
		MediaSequence:         w.next,
		DiscontinuitySequence: w.breaks,
		IndependentSegments:   !w.dependent,
		Ended:                 w.ended,
		Segments:              make([]m3u8.Segment, len(w.listed)),
	}
	for i, s := range w.listed {
		m.Segments[i] = m3u8.Segment{
			URI:             s.uri,
			Duration:        s.duration.duration(),
			ProgramDateTime: s.date,
			Discontinuity:   s.discontinuity,
		}
	}
	if len(w.listed) > 0 {
		head := w.listed[0]
		m.MediaSequence, m.DiscontinuitySequence = head.sequence, head.breaks
		// The tag stands before the segment, so it counts when that has left.
		if head.discontinuity {
			m.DiscontinuitySequence--
		}
	}
	return m
}
