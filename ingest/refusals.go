package ingest

import (
	"sync"
	"sync/atomic"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// refusals counts by reason. The reasons are constants of this package and package rtmp.
type refusals struct{ byReason sync.Map }

func (r *refusals) count(reason string) {
	n, _ := r.byReason.LoadOrStore(reason, new(atomic.Uint64))
	n.(*atomic.Uint64).Add(1)
}

func (r *refusals) snapshot() map[string]uint64 {
	all := make(map[string]uint64)
	r.byReason.Range(func(reason, n any) bool {
		all[reason.(string)] = n.(*atomic.Uint64).Load()
		return true
	})
	return all
}

// Skipped returns how much of what peers sent was skipped without ending their connections, by reason: see rtmp.Skip.
func (s *Server) Skipped() map[string]uint64 {
	all := make(map[string]uint64)
	s.mu.Lock()
	defer s.mu.Unlock()
	for reason, n := range s.skipped {
		all[reason.String()] += n
	}
	for _, c := range s.conns {
		if c.conn == nil {
			continue
		}
		for reason, n := range c.conn.Stats().Skipped {
			all[reason.String()] += n
		}
	}
	return all
}

func (s *Server) countSkipped(reason rtmp.Skip) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skipped[reason]++
}
