package auth

import (
	"context"
	"slices"
)

// Recheck asks a policy that was replaced or renewed about those it has let in, and sends away whom it would refuse now; it returns
// how many. Who only came too late or too early by the clock is not sent away by this: that is a matter of expiry.
func (g *Gate) Recheck(s *Swap) int {
	if g.rules.Load().KeepRemoved {
		return 0
	}
	var affected []*Session
	g.mu.Lock()
	for _, session := range g.sessions {
		if session.decision.by == s {
			affected = append(affected, session)
		}
	}
	g.mu.Unlock()
	return g.recheck(s, affected)
}

func (g *Gate) recheck(s *Swap, sessions []*Session) (ended int) {
	if g.rules.Load().KeepRemoved {
		return 0
	}
	// Nobody waits for keys to be fetched: those that are there count.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, session := range sessions {
		r := resolve(g.rules.Load().Names, session.asked)
		if d := s.Decide(ctx, r); !d.still(session, r) {
			session.end(EndRevoked)
			ended++
		}
	}
	return ended
}

// byClock are refusals that say nothing of who asks.
var byClock = []Code{Expired, NotYetValid, KeysMissing}

// still reports whether a decision lets stay whom an earlier one let in.
func (d *Decision) still(s *Session, r Request) bool {
	if !d.Allowed {
		return slices.Contains(byClock, d.Code)
	}
	return public(r, *d) == s.Stream && (s.Action != Publish || d.Credential == s.decision.Credential)
}
