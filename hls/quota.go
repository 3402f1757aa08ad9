package hls

import "sync"

// quota holds the storage to a size. It knows the segments that have left their
// playlists, of all channels, in the order in which they did.
type quota struct {
	mu      sync.Mutex
	retired []retired
}

type retired struct {
	channel *Channel
	segment *segment
}

// retire takes note of segments that have left a playlist.
func (s *Server) retire(c *Channel, segments []*segment) {
	if s.config.Quota <= 0 {
		return
	}
	s.quota.mu.Lock()
	defer s.quota.mu.Unlock()
	for _, segment := range segments {
		s.quota.retired = append(s.quota.retired, retired{c, segment})
	}
}

// enforceQuota has the oldest removed segments go, whichever channel they are of, if
// there is too much in the storage.
func (s *Server) enforceQuota() {
	if s.config.Quota <= 0 {
		return
	}
	s.quota.mu.Lock()
	defer s.quota.mu.Unlock()
	n := 0
	for ; n < len(s.quota.retired); n++ {
		r := s.quota.retired[n]
		if r.segment.gone.Load() {
			continue
		}
		if s.used.Load() <= s.config.Quota {
			break
		}
		if r.segment.stored.Load() {
			r.segment.evicted.Store(true)
			s.used.Add(-r.segment.size)
			r.channel.signal()
		}
	}
	clear(s.quota.retired[:n])
	s.quota.retired = s.quota.retired[n:]
}
