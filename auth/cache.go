package auth

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxCached bounds the decisions that are kept, and maxCachedQuery the queries among them, in bytes.
	maxCached      = 16 << 10
	maxCachedQuery = 2 << 10
)

// decisionCache keeps the decisions that took time to make.
type decisionCache struct {
	now  func() time.Time
	size atomic.Int64  // so that nobody who keeps nothing takes the lock
	era  atomic.Uint64 // how often all were dropped

	mu      sync.RWMutex
	entries map[cacheKey]cached
}

// cacheKey is all that a policy can see of a request, but for the port.
type cacheKey struct {
	action                  Action
	stream, query, protocol string
	address                 netip.Addr
}

type cached struct {
	decision Decision
	until    time.Time
}

func keyOf(r Request) cacheKey {
	return cacheKey{r.Action, r.Stream, r.Query, r.Protocol, r.Remote.Addr()}
}

func (c *decisionCache) get(r Request) (Decision, bool) {
	if c.size.Load() == 0 {
		return Decision{}, false
	}
	c.mu.RLock()
	e, ok := c.entries[keyOf(r)]
	c.mu.RUnlock()
	if !ok || !c.now().Before(e.until) {
		return Decision{}, false
	}
	return e.decision, true
}

// put keeps a decision that was begun in an era, unless that is over.
func (c *decisionCache) put(r Request, d Decision, era uint64) {
	if len(r.Query) > maxCachedQuery {
		return
	}
	now := c.now()
	until := now.Add(d.CacheFor)
	if end := ends(d, now); d.Allowed && !end.IsZero() && end.Before(until) {
		until = end
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.era.Load() != era {
		return
	}
	if c.entries == nil {
		c.entries = make(map[cacheKey]cached)
	}
	c.makeRoom(now)
	c.entries[keyOf(r)] = cached{d, until}
	c.size.Store(int64(len(c.entries)))
}

// makeRoom looks at a few entries, in the map's random order, and removes those that are over; if the cache is full
// still, it removes one of them.
func (c *decisionCache) makeRoom(now time.Time) {
	looked := 0
	for key, e := range c.entries {
		if !now.Before(e.until) || len(c.entries) >= maxCached {
			delete(c.entries, key)
		}
		if looked++; looked >= 8 {
			return
		}
	}
}

func (c *decisionCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.era.Add(1)
	clear(c.entries)
	c.size.Store(0)
}
