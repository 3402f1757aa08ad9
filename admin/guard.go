package admin

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Guard remembers who has shown wrong tokens, and counts who was refused and why. It is for all handlers that answer for
// a listener, one after the other: a new configuration forgets nobody.
type Guard struct {
	failures failures
	refused  map[refusal]*atomic.Uint64 // the map itself does not change
}

// NewGuard returns a guard that has seen nobody.
func NewGuard() *Guard {
	g := &Guard{
		failures: failures{now: time.Now, byAddress: make(map[string]*failing)},
		refused:  make(map[refusal]*atomic.Uint64),
	}
	for _, reason := range allRefusals {
		g.refused[reason] = new(atomic.Uint64)
	}
	return g
}

// refusal is why a request was refused, as it is counted.
type refusal string

// The refusals.
const (
	noToken             refusal = "admin-no-token"
	wrongToken          refusal = "admin-wrong-token"
	tooManyFailures     refusal = "admin-too-many-failures"
	misdirected         refusal = "admin-misdirected"
	crossSite           refusal = "admin-cross-site"
	tooManyEventStreams refusal = "admin-too-many-event-streams"
	tooManyPreviews     refusal = "admin-too-many-previews"
)

var allRefusals = []refusal{noToken, wrongToken, tooManyFailures, misdirected, crossSite, tooManyEventStreams, tooManyPreviews}

func (g *Guard) count(reason refusal) { g.refused[reason].Add(1) }

// Refusals returns how many requests were refused, by reason.
func (g *Guard) Refusals() map[string]uint64 {
	all := make(map[string]uint64, len(g.refused))
	for reason, n := range g.refused {
		all[string(reason)] = n.Load()
	}
	return all
}

const (
	// maxFailures is how often an address may show a wrong token within failureWindow: more than a person who
	// mistypes, and a hundred thousand times too few to guess.
	maxFailures   = 10
	failureWindow = time.Minute
	// maxFailing bounds the addresses that are remembered. When there are more, all others share one count.
	maxFailing = 4096
)

// failures counts wrong tokens by address.
type failures struct {
	now func() time.Time

	mu        sync.Mutex
	byAddress map[string]*failing
}

type failing struct {
	count int
	since time.Time
}

// addressOf is what is counted by: an IPv4 address, or the /64 of an IPv6 one, which is one customer's.
func addressOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return ""
	}
	ip := net.ParseIP(host)
	if ip == nil || ip.To4() != nil {
		return host
	}
	return ip.Mask(net.CIDRMask(64, 128)).String()
}

// blocked reports whether an address has failed too often, and for how long yet nothing of it is looked at.
func (f *failures) blocked(remote string) (time.Duration, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	entry := f.find(addressOf(remote))
	if entry == nil || entry.count < maxFailures {
		return 0, false
	}
	return entry.since.Add(failureWindow).Sub(f.now()), true
}

// failed counts a wrong token.
func (f *failures) failed(remote string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	address := addressOf(remote)
	entry := f.find(address)
	if entry == nil {
		if len(f.byAddress) >= maxFailing {
			f.forget()
		}
		if len(f.byAddress) >= maxFailing {
			address = ""
			entry = f.byAddress[address]
		}
		if entry == nil {
			entry = &failing{since: f.now()}
			f.byAddress[address] = entry
		}
	}
	entry.count++
}

// find returns what counts for an address, nil if there is nothing.
func (f *failures) find(address string) *failing {
	entry, ok := f.byAddress[address]
	if !ok && len(f.byAddress) >= maxFailing {
		address = ""
		entry, ok = f.byAddress[address]
	}
	if ok && f.now().Sub(entry.since) >= failureWindow {
		delete(f.byAddress, address)
		return nil
	}
	return entry
}

// forget removes what is over.
func (f *failures) forget() {
	for address, entry := range f.byAddress {
		if f.now().Sub(entry.since) >= failureWindow {
			delete(f.byAddress, address)
		}
	}
}
