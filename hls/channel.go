package hls

import (
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/aac"
)

// Channel is the HLS output of a stream. It is a remux.Sink: the methods of its
// segmenter, and Close, run in the publisher's goroutine and only move memory.
type Channel struct {
	segmenter // of the publisher's goroutine

	server      *Server
	size        int // of the window, in segments
	name        remux.StreamName
	incarnation string
	tag         string // what the URIs of this run have in common
	log         *slog.Logger
	writer      *writer
	wake        chan struct{}

	// Between the sink methods and the channel's goroutine.

	mu       sync.Mutex
	closed   []*segment // finished segments, oldest first
	lost     bool       // a segment was given up because nobody takes them
	ended    bool       // no more segments will come
	stopping bool       // the server stops: the playlist stays as it is
	older    *older     // what the rest of a large journal says

	// Of the channel's goroutine.

	window window
	// held are the segments that requests read from memory.
	held      []*segment
	heldBytes int64
	broken    bool // a segment could not be kept: the next is a discontinuity
	// deserted is when a restored channel ends unless a publisher comes; zero for one
	// that has, or had, a publisher in this process.
	deserted time.Time

	// Guarded by server.mu.

	restored bool // an earlier process has left the channel, and it may go on
	adopted  bool // a publisher has taken it over
	// superseded: there was a newer one, of which nothing is left to serve.
	superseded bool

	audience audience

	// published is what requests read.
	published atomic.Pointer[published]
}

// maxUnwritten bounds the segments, in bytes, that wait for the channel's goroutine: a
// segment of 16 Mbit/s and 10 s fits. Config.MaxHeld bounds what all channels have in
// memory; beyond it a channel may have one segment waiting.
const maxUnwritten = 32 << 20

// maxQueued bounds their number. The segments of a stream last some seconds, but a publisher whose time jumps at each
// frame makes one of each, faster than any storage takes them.
const maxQueued = 256

// newChannel returns a channel whose goroutines have to be started.
func newChannel(s *Server, name remux.StreamName, incarnation string) *Channel {
	limits := s.limits.Load()
	c := &Channel{
		server:      s,
		size:        limits.window,
		name:        name,
		incarnation: incarnation,
		tag:         randomHex(tagSize),
		log:         s.config.Logger.With("stream", string(name)),
		wake:        make(chan struct{}, 1),
	}
	c.writer = newWriter(s, c.folder(), c.log, c.signal)
	c.writer.journal.opening = opening{Version: journalVersion, Stream: string(name), Incarnation: incarnation}
	c.segmenter = segmenter{
		now:    s.config.Now,
		emit:   c.handOver,
		left:   func(frames int) { s.metrics.FramesLeftOut.Add(uint64(frames)) },
		cutter: cutter{segment: ticks(limits.segment * perSecond / time.Second)},
		clock:  aac.NewClock(),
	}
	return c
}

// folder is where the channel's blobs lie, which is also its path in URLs.
func (c *Channel) folder() string { return string(c.name) + "/" + c.incarnation }

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
	s.cut = time.Now()
	s.data.fit()
	c.mu.Lock()
	unwritten := 0
	for _, waiting := range c.closed {
		unwritten += waiting.data.size
	}
	full := len(c.closed) >= maxQueued || unwritten+s.data.size > maxUnwritten || c.server.memory.Load()+int64(s.data.size) > c.server.limits.Load().maxHeld
	if full && len(c.closed) > 0 {
		s.data.release()
		c.lost = true
		c.server.metrics.SegmentsLost.Add(1)
	} else {
		s.discontinuity = s.discontinuity || c.lost
		c.lost = false
		c.closed = append(c.closed, s)
		c.server.memory.Add(int64(s.data.size))
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

// randomHex returns n random hexadecimal digits; n is even.
func randomHex(n int) string {
	b := make([]byte, n/2)
	_, _ = rand.Read(b) // never fails, by its documentation
	return hex.EncodeToString(b)
}
