package hls

import (
	"hash/maphash"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// audienceTargets is for how many target durations a client counts after it asked for the
	// playlist. Players ask once in each; a missed one must not make the number jump.
	audienceTargets = 3
	// maxAudience bounds the clients that are told apart for one stream. Beyond it the number is
	// what it was: an origin with more of them has no CDN, and other worries.
	maxAudience = 20_000
)

// audience estimates how many clients follow a media playlist. HLS has no connection that lasts,
// so who asked lately counts.
type audience struct {
	mu     sync.Mutex
	seen   map[uint64]time.Time // when a client last asked, by a hash of who it is
	pruned time.Time
}

// audienceSeed is random, so that nobody can make clients that hash alike.
var audienceSeed = maphash.MakeSeed()

// note takes note of a request for the playlist.
func (a *audience) note(r *http.Request, now time.Time, window time.Duration) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	var h maphash.Hash
	h.SetSeed(audienceSeed)
	_, _ = h.WriteString(host) // never fails, by its documentation
	_ = h.WriteByte(0)
	_, _ = h.WriteString(r.UserAgent())
	client := h.Sum64()

	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seen == nil {
		a.seen = make(map[uint64]time.Time)
	}
	if now.Sub(a.pruned) >= window {
		a.prune(now, window)
	}
	if _, known := a.seen[client]; known || len(a.seen) < maxAudience {
		a.seen[client] = now
	}
}

// count returns how many clients have asked within the window.
func (a *audience) count(now time.Time, window time.Duration) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.prune(now, window)
	return len(a.seen)
}

func (a *audience) prune(now time.Time, window time.Duration) {
	a.pruned = now
	for client, last := range a.seen {
		if now.Sub(last) >= window {
			delete(a.seen, client)
		}
	}
}
