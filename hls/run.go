package hls

import (
	"context"
	"time"

	"github.com/headwater-live/headwater/remux"
)

// newChannel returns a channel whose run has to be called.
func newChannel(s *Server, name remux.StreamName, incarnation string) *Channel {
	c := &Channel{
		server:      s,
		name:        name,
		incarnation: incarnation,
		log:         s.config.Logger.With("stream", string(name)),
		wake:        make(chan struct{}, 1),
	}
	c.segmenter = segmenter{
		now:    s.config.Now,
		emit:   c.handOver,
		left:   func(frames int) { s.metrics.FramesLeftOut.Add(uint64(frames)) },
		cutter: cutter{segment: ticks(s.config.Segment * perSecond / time.Second)},
		clock:  newAudioClock(),
	}
	return c
}

// run stores and lists the segments that the cutter hands over, until the channel
// has ended and its last segment may go. When ctx ends it finishes what it was given, and
// returns.
func (c *Channel) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-c.wake:
		case <-timer.C:
		case <-ctx.Done():
			c.work(c.server.hard)
			return
		}
		wait, done := c.work(c.server.hard)
		if done {
			c.server.forget(c)
			return
		}
		timer.Reset(wait)
	}
}

// work lists what was handed over and removes what has expired. It returns the time
// until there is something to remove, and whether nothing is left.
func (c *Channel) work(ctx context.Context) (wait time.Duration, done bool) {
	segments, ended := c.take()
	for _, s := range segments {
		c.publish(ctx, s)
	}
	now := c.server.config.Now()
	if ended && !c.window.ended {
		c.finish(now)
	}
	c.remove(now)
	if c.window.ended && len(c.window.removed) == 0 {
		c.removeFolder()
		return 0, true
	}
	if len(c.window.removed) > 0 {
		return max(c.window.removed[0].expires.Sub(now), time.Millisecond), false
	}
	return time.Hour, false
}

// take returns the segments that were handed over, and whether the stream is over.
func (c *Channel) take() (segments []*segment, ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	segments, c.closed = c.closed, nil
	return segments, c.ended && !c.stopping
}

// publish stores a segment, then lists it. One that cannot be stored is served from
// memory: the stream goes on while the disk is full.
func (c *Channel) publish(ctx context.Context, s *segment) {
	s.sequence = c.window.next
	c.window.next++
	if err := c.server.config.Storage.Put(ctx, c.blobName(s), s.data.parts); err != nil {
		c.server.metrics.StorageErrors.Add(1)
		c.log.Error("segment not stored, serving it from memory", "sequence", s.sequence, "error", err)
		c.keep(s)
	} else {
		s.data.release()
	}
	now := c.server.config.Now()
	c.window.target = s.target.duration()
	c.window.add(s, c.server.config.Window, now)
	c.render(now)
	c.server.listed(c.name, s.sequence)
	c.server.metrics.SegmentsListed.Add(1)
}

// keep lets requests find a segment that lives in memory.
func (c *Channel) keep(s *segment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inMemory == nil {
		c.inMemory = make(map[uint64]*segment)
	}
	c.inMemory[s.sequence] = s
}

// memory returns the bytes of a segment that could not be stored, or nil.
func (c *Channel) memory(sequence uint64) *segment {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inMemory[sequence]
}

// finish ends the playlist; all its segments go when their time has come.
func (c *Channel) finish(now time.Time) {
	c.window.ended = true
	if len(c.window.listed) == 0 {
		return
	}
	c.render(now)
	for _, s := range c.window.listed {
		c.window.retire(s, now)
	}
}

// remove removes the segments whose time has come.
func (c *Channel) remove(now time.Time) {
	for _, s := range c.window.expired(now) {
		c.mu.Lock()
		_, inMemory := c.inMemory[s.sequence]
		delete(c.inMemory, s.sequence)
		c.mu.Unlock()
		if inMemory {
			continue // a request may still read it: the garbage collector's
		}
		if err := c.server.config.Storage.Remove(c.blobName(s)); err != nil {
			c.log.Warn("segment not removed", "sequence", s.sequence, "error", err)
		}
	}
}

func (c *Channel) removeFolder() {
	if err := c.server.config.Storage.RemoveAll(c.folder()); err != nil {
		c.log.Warn("folder of an ended stream not removed", "error", err)
	}
}

// folder is where the channel's blobs lie, which is also its path in URLs.
func (c *Channel) folder() string { return string(c.name) + "/" + c.incarnation }

func (c *Channel) blobName(s *segment) string { return c.folder() + "/" + s.uri() }
