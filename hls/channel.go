package hls

import (
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/headwater-live/headwater/remux"
)

// Channel is the HLS output of a stream. It is a remux.Sink: the methods of its
// segmenter, and Close, run in the publisher's goroutine and only move memory.
type Channel struct {
	segmenter // of the publisher's goroutine

	server      *Server
	name        remux.StreamName
	incarnation string
	log         *slog.Logger

	// handover is between the sink methods and the channel's goroutine.
	mu       sync.Mutex
	closed   []*segment          // finished segments, oldest first
	lost     bool                // a segment was given up because storing is too slow
	ended    bool                // no more segments will come
	stopping bool                // the server stops: the playlist stays as it is
	inMemory map[uint64]*segment // those that could not be stored
	wake     chan struct{}

	// Of the channel's goroutine.

	window window

	// published is what requests read.
	published atomic.Pointer[playlists]
}

// maxUnwritten bounds what waits for a slow disk, in bytes: a segment of 16 Mbit/s
// and 10 s fits, and a hundred stuck channels stay below what a machine has.
const maxUnwritten = 32 << 20

// Close implements remux.Sink: the stream is over.
func (c *Channel) Close() {
	c.mu.Lock()
	c.ended = true
	c.stopping = c.server.stopping.Load()
	c.mu.Unlock()
	c.signal()
}

// handOver gives a finished segment to the channel's goroutine.
func (c *Channel) handOver(s *segment) {
	c.mu.Lock()
	unwritten := 0
	for _, waiting := range c.closed {
		unwritten += waiting.data.size
	}
	if unwritten+s.data.size > maxUnwritten && len(c.closed) > 0 {
		s.data.release()
		c.lost = true
		c.server.metrics.SegmentsLost.Add(1)
	} else {
		s.discontinuity = s.discontinuity || c.lost
		c.lost = false
		c.closed = append(c.closed, s)
	}
	c.mu.Unlock()
	c.signal()
}

func (c *Channel) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}
