package hls

import (
	"slices"
	"sync"
	"time"
)

// quota holds the storage to a size. It knows the segments that have left their
// playlists, of all channels, in the order in which they did, and those of playlists
// that have ended: also while there is no quota, for one may be set.
type quota struct {
	mu      sync.Mutex
	retired []retired
	// tidyAt is the length of retired at which those that are gone are taken out, also
	// where the storage holds less than it may.
	tidyAt int
}

// leastTidy keeps short lists from being looked through with each segment.
const leastTidy = 1_000

type retired struct {
	channel *Channel
	segment *segment
	// from is when the quota may take it: the playlist of a stream that has ended is
	// one that lists its segments, as long as RFC 8216 (6.2.2) asks.
	from time.Time
}

// retire takes note of segments that have left a playlist, or whose playlist has ended.
// The caller owns the channel's window.
func (s *Server) retire(c *Channel, segments []*segment) {
	var from time.Time
	if c.window.ended {
		for _, segment := range segments {
			from = later(from, segment.expires)
		}
	}
	s.quota.mu.Lock()
	defer s.quota.mu.Unlock()
	for _, segment := range segments {
		s.quota.retired = append(s.quota.retired, retired{c, segment, from})
	}
}

// enforceQuota has the oldest removed segments go, whichever channel they are of, if
// there is too much in the storage.
func (s *Server) enforceQuota() {
	now := time.Now()
	s.quota.mu.Lock()
	defer s.quota.mu.Unlock()
	quota := s.limits.Load().quota
	over := func() bool { return quota > 0 && s.used.Load() > quota }
	if !over() && len(s.quota.retired) < s.quota.tidyAt {
		return
	}
	s.quota.retired = slices.DeleteFunc(s.quota.retired, func(r retired) bool {
		if r.segment.gone.Load() || r.segment.evicted.Load() {
			return true
		}
		if !over() || r.from.After(now) || !r.segment.stored.Load() {
			return false
		}
		if r.segment.evicted.CompareAndSwap(false, true) { // else it is being removed, and counted there
			s.used.Add(-r.segment.size)
		}
		r.channel.signal()
		return true
	})
	s.quota.tidyAt = 2*len(s.quota.retired) + leastTidy
}
