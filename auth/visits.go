package auth

import (
	"hash/maphash"
	"net/netip"
	"strconv"
	"time"
)

const (
	// defaultLapse is the default of GateConfig.Lapse: three of the longest segments that are usual.
	defaultLapse = 30 * time.Second
	// maxVisits bounds the viewers without a connection that are told apart, less than 1 KiB each.
	maxVisits = 100_000
	// maxPerAddress is how many viewers without a token that somebody has checked one address may be: an office behind one router. Beyond it all
	// others from there are one viewer, so that nobody fills a limit with invented clients.
	maxPerAddress = 256
)

// Visitor is a viewer whose output has no connection that lasts: HLS.
type Visitor struct {
	// Client is what the player calls itself, the User-Agent of HTTP.
	Client string
	// Begins says that the request is one with which players begin: for a multivariant playlist.
	Begins bool
}

// visits are the viewers that have no connection. The Gate's mu guards it.
type visits struct {
	seed      maphash.Seed
	byKey     map[uint64]*Session
	anonymous map[netip.Prefix]int // those without a token that is one
	swept     time.Time
}

// visit is what a Session has besides, if it is one of these.
type visit struct {
	key      uint64
	last     time.Time // when something was asked for
	from     netip.Prefix
	shown    bool // a token, so that from is not counted
	over     EndCause
	released bool // no longer counted
}

// Visit lets in a viewer that has no connection, or finds it inside, for one allowed request; nil is yes. Who shows the
// same token is the same viewer, else who comes from the same address with the same client. It has left when it has
// asked for nothing for a while. When its permission has ended it gets nothing more, unless it begins anew.
//
// A viewer that nothing depends on is not even looked at, see Visits.
func (g *Gate) Visit(r Request, d Decision, v Visitor) *Decision {
	if !g.Visits(&d) {
		return nil
	}
	now := g.config.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sweepVisits(now, g.rules.Load().Lapse/8)
	k := g.visitOf(r, d, v)
	s := g.visits.byKey[k.key]
	if s != nil && s.visit.over != "" && v.Begins {
		g.endVisit(s)
		s = nil
	}
	if s == nil {
		var refusal *Decision
		if s, refusal = g.beginVisit(r, d, k, now); s == nil {
			return refusal
		}
	}
	s.visit.last = now
	end := ends(d, s.Since)
	if s.Expires = nil; !end.IsZero() {
		s.Expires = &end
	}
	if s.visit.over == "" && !end.IsZero() && !now.Before(end) && !g.rules.Load().KeepAtExpiry {
		s.visit.over = EndExpired
		g.release(s)
	}
	return s.visit.refusal(s.Action)
}

// Visits reports whether Visit does anything for a decision: there is a limit, a token that may be revoked, or a longest
// duration.
func (g *Gate) Visits(d *Decision) bool {
	l := &g.rules.Load().Limits
	return d.MaxDuration > 0 || d.TokenID != "" || l.Viewers > 0 || l.ViewersPerStream > 0
}

// visitOf says who a visitor is.
func (g *Gate) visitOf(r Request, d Decision, v Visitor) *visit {
	stream, token := public(r, d), ""
	if d.shown {
		token = Token(r.Query)
	}
	if token != "" && !d.unproven {
		return &visit{shown: true, key: g.visits.sum(stream, token)}
	}
	from := r.Remote.Addr().Unmap()
	bits := from.BitLen()
	if from.Is6() {
		bits = 64 // one customer's
	}
	k := &visit{}
	k.from, _ = from.WithZone("").Prefix(bits) // an invalid one is like others of that kind
	if token != "" {
		k.key = g.visits.sum(stream, token)
	} else {
		k.key = g.visits.sum(stream, k.from.String(), v.Client)
	}
	if g.visits.byKey[k.key] == nil && g.visits.anonymous[k.from] >= maxPerAddress {
		k.key = g.visits.sum(stream, k.from.String())
	}
	return k
}

// sum is the key of what a visitor is told apart by.
func (v *visits) sum(parts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(v.seed)
	for _, part := range parts {
		_, _ = h.WriteString(part) // never fail, by their documentation
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

// beginVisit lets in a viewer that was not there. A session that is nil with no refusal is not counted.
func (g *Gate) beginVisit(r Request, d Decision, k *visit, now time.Time) (*Session, *Decision) {
	s := g.newSession(r, d, nil)
	full := g.full(s)
	if full != nil && g.sweepVisits(now, time.Second) {
		full = g.full(s)
	}
	switch {
	case full != nil:
		return nil, full
	case len(g.visits.byKey) < maxVisits:
	case d.MaxDuration > 0: // nobody would know when it is over
		full := refuse(TooManyViewers, tooManyViewers)
		return nil, &full
	default:
		return nil, nil
	}
	s.visit = k
	s.end = func(cause EndCause) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if s.visit.over == "" {
			s.visit.over = cause
			g.release(s)
		}
	}
	g.visits.byKey[k.key] = s
	if !k.shown {
		g.visits.anonymous[k.from]++
	}
	g.addSession(s)
	return s, nil
}

// release counts a viewer out whose permission has ended. It is remembered, to be refused.
func (g *Gate) release(s *Session) {
	if !s.visit.released {
		s.visit.released = true
		g.removeSession(s)
	}
}

// endVisit forgets a viewer.
func (g *Gate) endVisit(s *Session) {
	g.release(s)
	delete(g.visits.byKey, s.visit.key)
	if from := s.visit.from; !s.visit.shown {
		if g.visits.anonymous[from]--; g.visits.anonymous[from] <= 0 {
			delete(g.visits.anonymous, from)
		}
	}
}

// sweepVisits forgets who has asked for nothing for a while, unless that was done a moment ago.
func (g *Gate) sweepVisits(now time.Time, every time.Duration) (done bool) {
	if now.Sub(g.visits.swept) < every {
		return false
	}
	g.visits.swept = now
	for _, s := range g.visits.byKey {
		if now.Sub(s.visit.last) >= g.rules.Load().Lapse {
			g.endVisit(s)
		}
	}
	return true
}

// refusal is what somebody is told whose permission has ended, nil if it has not.
func (v *visit) refusal(a Action) *Decision {
	var d Decision
	switch v.over {
	case "":
		return nil
	case EndExpired:
		d = refuse(Expired, "the permission for this stream has expired: ask for a new one")
	default:
		d = revoked(a)
	}
	return &d
}

// newSession makes a session of somebody who is about to be let in.
func (g *Gate) newSession(r Request, d Decision, end func(EndCause)) *Session {
	return &Session{
		Action: r.Action, Stream: public(r, d), Protocol: r.Protocol, Remote: r.Remote.String(),
		TokenID: d.TokenID, Since: g.config.Now(), end: end, asked: r, decision: d,
	}
}

// addSession counts a session in.
func (g *Gate) addSession(s *Session) {
	g.lastID++
	s.number, s.ID = g.lastID, strconv.FormatUint(g.lastID, 10)
	g.sessions[s.number] = s
	if s.Action == Publish {
		g.publishers[s.Stream]++
	} else {
		g.viewers[s.Stream]++
		g.allViewers++
	}
}
