package hls

import (
	"time"
)

// run lists the segments that the segmenter hands over, until the channel has ended
// and its last segment may go. When the server stops it lists what it was given, and
// returns. Its time is that of the monotonic clock: only dates are the wall clock's.
func (c *Channel) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		wait, done := c.work()
		if done {
			c.writer.close(true)
			c.server.forget(c)
			return
		}
		timer.Reset(wait)
		select {
		case <-c.wake:
		case <-timer.C:
		case <-c.server.ctx.Done():
			c.work()
			c.writer.close(false)
			return
		}
	}
}

// work lists what was handed over and removes what has expired. It returns the time
// until there is something to remove, and whether nothing is left.
func (c *Channel) work() (wait time.Duration, done bool) {
	segments, ended := c.take()
	for _, s := range segments {
		c.publish(s)
	}
	now := time.Now()
	if (ended || c.isDeserted(now)) && !c.window.ended {
		c.finish(now)
	}
	changed := c.letGo()
	changed = c.addOlder() || changed
	if c.remove(now) || changed {
		c.refresh()
	}
	if c.window.ended && len(c.window.removed) == 0 {
		return 0, true
	}
	wait = time.Hour
	if at, ok := c.window.withdrawal(c.server.limits.Load().retain); ok {
		if wait = min(wait, at.Sub(now)); wait <= 0 {
			c.withdraw()
			wait = time.Hour
		}
	}
	if due, ok := c.window.due(c.server.limits.Load().retain); ok {
		wait = min(wait, due.Sub(now))
	}
	if !c.deserted.IsZero() {
		wait = min(wait, c.deserted.Sub(now))
	}
	return max(wait, time.Millisecond), false
}

// take returns the segments that were handed over, and whether the stream is over.
func (c *Channel) take() (segments []*segment, ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	segments, c.closed = c.closed, nil
	return segments, c.ended && !c.stopping
}

// publish lists a segment, when it has been stored and written down, or after a moment
// if the journal does not say otherwise then.
func (c *Channel) publish(s *segment) {
	if !c.mayHold(s.size) {
		s.data.release()
		c.server.memory.Add(-s.size)
		c.broken = true
		c.server.metrics.SegmentsLost.Add(1)
		return
	}
	s.discontinuity = s.discontinuity || c.broken
	c.broken = false
	s.sequence = c.window.next
	s.uri = segmentURI(s.sequence, c.tag)
	s.listed = c.server.config.Now()
	c.window.target = s.target.duration()
	s.due = c.due(s.cut, s.duration)
	left := c.window.add(s, c.size, time.Now())
	c.writer.add(s)
	c.await(s.tried)
	if !c.awaitWitness(s.sequence+1, s.tried, s.due) {
		return
	}
	if s.stored.Load() {
		s.data.release() // no request has seen it
		c.server.memory.Add(-s.size)
	} else {
		c.hold(s)
	}
	s.shown = time.Now()
	c.render(s.listed)
	for _, l := range left { // until now they were listed
		l.retire(s.shown)
	}
	c.server.retire(c, left)
	c.server.listed(c.name, s.sequence)
	c.server.metrics.SegmentsListed.Add(1)
	c.server.metrics.PublishDelay.Observe(time.Since(s.cut))
	if c.server.config.Listed != nil {
		c.server.config.Listed(c.segmentStatus(s))
	}
	c.server.enforceQuota()
}

// await waits for the writer, but not longer than a listing may take.
func (c *Channel) await(tried <-chan struct{}) {
	if _, fault := c.writer.state(time.Now()); fault == errStuck {
		return
	}
	timer := time.NewTimer(c.server.config.StoreTimeout)
	defer timer.Stop()
	select {
	case <-tried:
	case <-timer.C:
		c.server.metrics.StorageTimeouts.Add(1)
	}
}

// finish ends the playlist; all its segments go when their time has come.
func (c *Channel) finish(now time.Time) {
	c.window.ended = true
	c.deserted = time.Time{}
	if len(c.window.listed) == 0 {
		return
	}
	date := c.server.config.Now()
	tried := c.writer.end(ending{Date: date.UTC().Truncate(time.Millisecond)})
	c.await(tried)
	if !c.awaitWitness(allSaid, tried, c.due(now, 0)) {
		return
	}
	c.render(date)
	c.server.retire(c, c.window.end(now))
	c.server.enforceQuota()
}

// isDeserted reports whether the grace of a restored channel is over.
func (c *Channel) isDeserted(now time.Time) bool {
	if c.deserted.IsZero() || c.server.stopping.Load() {
		return false
	}
	if c.server.isAdopted(c, !now.Before(c.deserted)) {
		c.deserted = time.Time{}
		return false
	}
	return !now.Before(c.deserted)
}

// remove removes the segments whose time has come.
func (c *Channel) remove(now time.Time) (some bool) {
	gone := c.window.expired(now, c.server.limits.Load().retain)
	for _, s := range gone {
		if s.evicted.Load() {
			c.server.metrics.SegmentsEvicted.Add(1)
		}
		c.giveAway(s)
	}
	return len(gone) > 0
}
