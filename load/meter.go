package load

import (
	"sync"
	"sync/atomic"
	"time"
)

// meter is what one group of viewers measures. All of its viewers add to it.
type meter struct {
	run        uint32
	stallAfter time.Duration
	measuring  *atomic.Bool // the measured part of the run has begun and not ended

	bytes     atomic.Int64 // received, from the beginning
	connected atomic.Int64 // viewers that receive now
	joined    atomic.Int64 // viewers that have received ever

	// While measuring.
	frames   atomic.Int64 // of viewers that are looked into
	lost     atomic.Int64
	repeated atomic.Int64
	stalls   atomic.Int64
	stalled  atomic.Int64 // nanoseconds
	segments atomic.Int64 // HLS: read,
	skipped  atomic.Int64 // and gone from the playlist before they could be
	delay    histogram

	reconnects atomic.Int64 // from the beginning
	errors     errorCounts
}

// stall counts stalls and time that viewers have stalled.
func (m *meter) stall(n int64, d time.Duration) {
	if m.measuring.Load() {
		m.stalls.Add(n)
		m.stalled.Add(int64(d))
	}
}

func (m *meter) segment() {
	if m.measuring.Load() {
		m.segments.Add(1)
	}
}

func (m *meter) skip(n int64) {
	if m.measuring.Load() {
		m.skipped.Add(n)
	}
}

// errorCounts counts errors by kind.
type errorCounts struct {
	mu     sync.Mutex
	counts map[string]int64
}

func (c *errorCounts) add(kind string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int64{}
	}
	c.counts[kind]++
}

func (c *errorCounts) snapshot() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]int64, len(c.counts))
	for kind, n := range c.counts {
		out[kind] = n
	}
	return out
}

// tracker follows the frames of one viewer. It belongs to whoever reads for the viewer.
type tracker struct {
	meter   *meter
	since   time.Time // frames sent before the viewer asked are history, and have no delay
	whole   bool      // frames come in segments: only the newest one of each has a delay
	started bool
	next    uint64    // the frame that is to come
	newest  time.Time // when the newest frame of the segment was sent
}

// frame takes note of a frame that has been received now.
func (t *tracker) frame(s stamp, now time.Time) {
	if s.run != t.meter.run {
		return
	}
	measuring := t.meter.measuring.Load()
	if measuring {
		t.meter.frames.Add(1)
	}
	history := s.sent.Before(t.since)
	switch {
	case !t.started || s.frame == t.next:
	case s.frame < t.next:
		// A viewer that has come back is given the last frames again.
		if measuring && !history {
			t.meter.repeated.Add(1)
		}
		return
	case measuring:
		t.meter.lost.Add(int64(s.frame - t.next))
	}
	t.started, t.next = true, s.frame+1
	switch {
	case history:
	case t.whole:
		t.newest = s.sent
	case measuring:
		t.meter.delay.add(now.Sub(s.sent))
	}
}

// segment takes note that a segment has been received: no player can have its newest frame earlier.
func (t *tracker) segment(now time.Time) {
	if !t.newest.IsZero() && t.meter.measuring.Load() {
		t.meter.delay.add(now.Sub(t.newest))
	}
	t.newest = time.Time{}
}
