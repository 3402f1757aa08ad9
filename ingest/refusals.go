package ingest

import (
	"sync"
	"sync/atomic"
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
