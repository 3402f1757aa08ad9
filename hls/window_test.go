package hls

import (
	"testing"
	"time"
)

// fillWindow adds segments of the given lengths in ms; a negative one begins with a
// discontinuity.
func fillWindow(w *window, size int, now time.Time, lengths ...int) {
	for _, ms := range lengths {
		s := &segment{sequence: w.next, discontinuity: ms < 0, independent: true}
		s.duration = ticks(max(ms, -ms)) * perMillisecond
		w.add(s, size, now)
	}
}

func TestTheWindowHoldsItsSegmentsAndThreeTargetDurations(t *testing.T) {
	now := time.Now()
	w := window{target: 4 * time.Second}
	fillWindow(&w, 3, now, 4000, 4000, 4000, 4000, 4000)
	if len(w.listed) != 3 || w.listed[0].sequence != 2 {
		t.Errorf("%d segments from %d", len(w.listed), w.listed[0].sequence)
	}
	w = window{target: 4 * time.Second}
	fillWindow(&w, 3, now, 1000, 1000, 1000, 1000, 1000, 4000, 4000)
	if got := w.length(); got != 12*time.Second {
		t.Errorf("the window holds %v, want 12s", got)
	}
	fillWindow(&w, 3, now, 4000)
	if len(w.listed) != 3 || w.length() != 12*time.Second {
		t.Errorf("%d segments, %v", len(w.listed), w.length())
	}
}

func TestADiscontinuityCountsWhenItSlidesOut(t *testing.T) {
	w := window{target: 2 * time.Second}
	now := time.Now()
	fillWindow(&w, 3, now, 2000, -2000, 2000, 2000)
	if m := w.media(); m.DiscontinuitySequence != 0 || m.MediaSequence != 1 || !m.Segments[0].Discontinuity {
		t.Errorf("a window that begins with a discontinuity: %+v", m)
	}
	fillWindow(&w, 3, now, 2000)
	if m := w.media(); m.DiscontinuitySequence != 1 || m.MediaSequence != 2 {
		t.Errorf("%+v", m)
	}
}

func TestARemovedSegmentStaysForItselfAndItsLongestPlaylist(t *testing.T) {
	w := window{target: 2 * time.Second}
	now := time.Now()
	fillWindow(&w, 3, now, 2000, 2000, 2000, 1000, 2000) // the first was in a playlist of 7 s
	if len(w.removed) != 1 {
		t.Fatalf("%d removed", len(w.removed))
	}
	if got := w.removed[0].expires.Sub(now); got != 9*time.Second {
		t.Errorf("kept for %v, want its 2 s and the 7 s of the playlist", got)
	}
	if gone := w.expired(now.Add(8999*time.Millisecond), Retention{}); len(gone) != 0 {
		t.Errorf("%d went too early", len(gone))
	}
	if gone := w.expired(now.Add(9*time.Second), Retention{}); len(gone) != 1 || gone[0].sequence != 0 {
		t.Errorf("%d went", len(gone))
	}
}

func TestBandwidthIsThePeakOfContiguousSegments(t *testing.T) {
	target := 2 * time.Second
	var b bandwidth
	add := func(ms int, bytes int64) {
		b.add(&segment{duration: ticks(ms) * perMillisecond, size: bytes}, target)
	}
	add(300, 100_000) // 2.7 Mbit/s, but too short to tell
	if peak, average := b.rates(); peak != average || average != 2_670_000 {
		t.Errorf("peak %d, average %d", peak, average)
	}
	add(2000, 250_000) // 1 Mbit/s; with the one before 1.2
	if peak, average := b.rates(); peak != 1_220_000 || average != 1_220_000 {
		t.Errorf("peak %d, average %d", peak, average)
	}
	add(1000, 250_000) // 2 Mbit/s; with the one before it lasts 3 s
	if peak, _ := b.rates(); peak != 2_000_000 {
		t.Errorf("peak %d, want 2000000", peak)
	}
}

func TestTheStatedAverageDoesNotChangeWithEverySegment(t *testing.T) {
	var b bandwidth
	changes, last := 0, uint64(0)
	for i := range 1000 {
		b.add(&segment{duration: 2 * perSecond, size: int64(600_000 + i*7919%100_000)}, 2*time.Second)
		if _, average := b.rates(); average != last {
			last = average
			changes++
		}
	}
	if changes > 3 {
		t.Errorf("it changed %d times", changes)
	}
}

func TestRetentionByCountAndAge(t *testing.T) {
	now := time.Now()
	w := window{target: 2 * time.Second}
	fillWindow(&w, 3, now, 2000, 2000, 2000, 2000, 2000, 2000, 2000, 2000)
	if gone := w.expired(now.Add(time.Hour), Retention{Segments: 3}); len(gone) != 2 || gone[0].sequence != 0 {
		t.Errorf("%d of 5 went, 3 were to stay", len(gone))
	}
	if gone := w.expired(now.Add(time.Minute), Retention{Age: time.Hour}); len(gone) != 0 {
		t.Errorf("%d went before their age", len(gone))
	}
	if due, ok := w.due(Retention{Age: time.Hour}); !ok || !due.Equal(now.Add(time.Hour)) {
		t.Errorf("the next goes at %v, %v", due, ok)
	}
	w.ended = true
	if gone := w.expired(now.Add(time.Hour), Retention{Segments: 3, Age: time.Hour}); len(gone) != 3 {
		t.Errorf("%d of 3 went after the end", len(gone))
	}
}
