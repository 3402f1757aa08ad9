package auth

import (
	"cmp"
	"slices"
	"time"
)

// EndCause says why somebody who was let in is sent away.
type EndCause string

// The causes.
const (
	EndExpired EndCause = "expired"
	EndRevoked EndCause = "revoked"
)

// Session is a publication or a viewer: it was let in, and has not left.
type Session struct {
	ID       string `json:"id"`
	Action   Action `json:"action"`
	Stream   string `json:"stream"` // the public name
	Protocol string `json:"protocol"`
	Remote   string `json:"remote"`
	// TokenID is what the permission is revoked by, "" if nothing was shown.
	TokenID string     `json:"token_id,omitempty"`
	Since   time.Time  `json:"since"`
	Expires *time.Time `json:"expires,omitempty"`

	number   uint64
	end      func(EndCause)
	timer    *time.Timer
	asked    Request
	decision Decision
	visit    *visit // nil for one with a connection
}

// Enter counts in somebody who was allowed, until leave is called, once. end is called when the permission ends first;
// it must return at once, and may be called more than once, and after leave. If a limit is reached nobody enters, and
// refusal says so.
func (g *Gate) Enter(r Request, d Decision, end func(EndCause)) (leave func(), refusal *Decision) {
	s := g.newSession(r, d, end)
	if refusal := g.enter(s); refusal != nil {
		return nil, refusal
	}
	// Whoever replaces a policy looks for sessions then: one of both finds the other.
	if by := d.by; by != nil && by.era.Load() != d.era {
		g.recheck(by, []*Session{s})
	}
	return func() { g.leave(s) }, nil
}

func (g *Gate) enter(s *Session) *Decision {
	g.mu.Lock()
	defer g.mu.Unlock()
	if full := g.full(s); full != nil {
		if !g.sweepVisits(s.Since, time.Second) {
			return full
		}
		if full = g.full(s); full != nil {
			return full
		}
	}
	// Whoever denies adds to the list first and looks for sessions then: one of both finds the other.
	if g.denylist.has(s.Action, s.Stream, s.TokenID) {
		d := revoked(s.Action)
		return &d
	}
	g.addSession(s)
	if at := ends(s.decision, s.Since); !at.IsZero() {
		s.Expires = &at
		if !g.rules.Load().KeepAtExpiry {
			s.timer = time.AfterFunc(untilLook(at.Sub(s.Since)), func() { g.lookAtClock(s, at) })
		}
	}
	return nil
}

// clockLook is how often it is looked whether a permission has ended. A timer alone is not enough: it does not hear that
// the clock was set, nor runs while the machine sleeps.
const clockLook = time.Minute

func untilLook(left time.Duration) time.Duration { return min(left, clockLook) }

// lookAtClock sends away somebody whose permission has ended, and looks again later if it has not.
func (g *Gate) lookAtClock(s *Session, at time.Time) {
	left := at.Sub(g.config.Now())
	if left <= 0 {
		s.end(EndExpired)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sessions[s.number] == s {
		s.timer.Reset(untilLook(left))
	}
}

// lastEnd is the latest time at which a permission ends: JSON spells years in four digits (RFC 3339), and a token whose
// time is in milliseconds has one of the year 57,000.
var lastEnd = time.Date(9999, time.December, 30, 0, 0, 0, 0, time.UTC)

// ends is when a permission ends that is used since a time; zero is never.
func ends(d Decision, since time.Time) time.Time {
	end := d.Expires
	if at := since.Add(d.MaxDuration); d.MaxDuration > 0 && (end.IsZero() || at.Before(end)) {
		end = at
	}
	if end.After(lastEnd) {
		end = lastEnd
	}
	return end
}

const tooManyViewers = "the server has as many viewers as it may: try again later"

// full returns a refusal if a limit is reached.
func (g *Gate) full(s *Session) *Decision {
	over := func(limit, n int) bool { return limit > 0 && n >= limit }
	l := g.rules.Load().Limits
	var d Decision
	switch {
	case s.Action == Publish && g.publishers[s.Stream] == 0 && over(l.Publishers, len(g.publishers)):
		d = refuse(TooManyPublishers, "the server has as many publishers as it may: try again later")
	case s.Action == Play && over(l.Viewers, g.allViewers):
		d = refuse(TooManyViewers, tooManyViewers)
	case s.Action == Play && over(l.ViewersPerStream, g.viewers[s.Stream]):
		d = refuse(TooManyViewersOfOne, "the stream has as many viewers as it may: try again later")
	default:
		return nil
	}
	return &d
}

func (g *Gate) leave(s *Session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.removeSession(s)
}

// removeSession counts a session out, once.
func (g *Gate) removeSession(s *Session) {
	if g.sessions[s.number] != s {
		return
	}
	delete(g.sessions, s.number)
	if s.timer != nil {
		s.timer.Stop()
	}
	counts := g.publishers
	if s.Action == Play {
		counts = g.viewers
		g.allViewers--
	}
	if counts[s.Stream]--; counts[s.Stream] <= 0 {
		delete(counts, s.Stream)
	}
}

// maxSessionsListed bounds what Sessions returns.
const maxSessionsListed = 10_000

// Sessions returns those who are in, oldest first and at most 10,000: of one stream, or of all if it is "".
func (g *Gate) Sessions(stream string) []Session {
	return g.SessionsAfter(stream, 0, maxSessionsListed)
}

// SessionsAfter returns at most limit of them, those whose ID, which is a number that grows, is higher than after.
func (g *Gate) SessionsAfter(stream string, after uint64, limit int) []Session {
	g.mu.Lock()
	g.sweepVisits(g.config.Now(), 0)
	found := []*Session{}
	for _, s := range g.sessions {
		if s.number > after && (stream == "" || s.Stream == stream) {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b *Session) int { return cmp.Compare(a.number, b.number) })
	list := make([]Session, min(len(found), limit))
	for i := range list {
		list[i] = *found[i]
		list[i].asked, list[i].decision = Request{}, Decision{} // which have what was shown
	}
	g.mu.Unlock()
	return list
}

// End sends one away; it returns false if nobody has that ID.
func (g *Gate) End(id string) bool {
	return g.endWhere(EndRevoked, func(s *Session) bool { return s.ID == id }) > 0
}

// endWhere sends away those who are chosen, and returns how many.
func (g *Gate) endWhere(cause EndCause, chosen func(*Session) bool) int {
	var ends []func(EndCause)
	g.mu.Lock()
	for _, s := range g.sessions {
		if chosen(s) {
			ends = append(ends, s.end)
		}
	}
	g.mu.Unlock()
	for _, end := range ends {
		end(cause)
	}
	return len(ends)
}
