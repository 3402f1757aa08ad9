package hls

import (
	"time"

	"github.com/headwater-live/headwater/remux"
)

// names are the channels of one name.
type names struct {
	// all are in the order of their making: the last is that of the stream, those
	// before it have ended and stay for a while.
	all []*Channel
	// next is the sequence number that the next channel begins with.
	next uint64
}

// maxNames bounds the names that are remembered for their sequence numbers alone.
const maxNames = 10_000

// NewSink implements remux.SinkFactory: it makes the channel of a new stream, or goes
// on with the one that an earlier process has left.
func (s *Server) NewSink(name remux.StreamName) remux.Sink {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.byName[name]
	if n == nil {
		n = &names{}
		s.byName[name] = n
	}
	if len(n.all) > 0 {
		if c := n.all[len(n.all)-1]; c.restored && !c.adopted {
			c.adopted = true
			c.signal()
			return c
		}
	}
	c := newChannel(s, name, newIncarnation(s.config.Now()))
	c.window.next = n.next
	n.all = append(n.all, c)
	s.start(c)
	return c
}

// start starts a channel's goroutines.
func (s *Server) start(c *Channel) {
	s.channels.Go(func() { c.writer.run(s.hard) })
	s.channels.Go(c.run)
}

// newIncarnation returns an identifier that no channel has had: the time makes it
// sortable, the random part makes it new even if the clock was set back.
func newIncarnation(now time.Time) string {
	const timeSize = 10 // 40 bits of milliseconds last 34 years
	ms := uint64(now.UnixMilli())
	digits := make([]byte, timeSize)
	for i := range digits {
		digits[i] = "0123456789abcdef"[ms>>(4*(timeSize-1-i))&15]
	}
	return string(digits) + randomHex(incarnationSize-timeSize)
}

// current returns what the newest channel of a name that lists anything has published,
// or nil: while a new stream has no segment yet, the one before still answers.
func (s *Server) current(name remux.StreamName) *published {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := s.byName[name]
	if n == nil {
		return nil
	}
	for i := len(n.all) - 1; i >= 0; i-- {
		p := n.all[i].published.Load()
		if n.all[i].superseded || p != nil && p.withdrawn {
			return nil
		}
		if p != nil && p.index != nil {
			return p
		}
	}
	return nil
}

// incarnation returns a channel by its incarnation, or nil.
func (s *Server) incarnation(name remux.StreamName, incarnation string) *Channel {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if n := s.byName[name]; n != nil {
		for _, c := range n.all {
			if c.incarnation == incarnation {
				return c
			}
		}
	}
	return nil
}

// isAdopted reports whether a restored channel has got a publisher. If it has not and
// is given up, it will get none.
func (s *Server) isAdopted(c *Channel, giveUp bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.adopted && giveUp {
		c.restored = false
	}
	return c.adopted
}

// listed takes note of a sequence number, so that a later channel of that name goes
// on behind it.
func (s *Server) listed(name remux.StreamName, sequence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.byName[name]; n != nil {
		n.next = max(n.next, sequence+1)
	}
}

// forget removes a channel whose last segment has gone.
func (s *Server) forget(c *Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.byName[c.name]
	for i, other := range n.all {
		if other == c {
			n.all = append(n.all[:i:i], n.all[i+1:]...)
			break
		}
	}
	if len(n.all) == 0 && (n.next == 0 || len(s.byName) > maxNames) {
		delete(s.byName, c.name)
	}
}
