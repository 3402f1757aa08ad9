package auth

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// Rule says which policies decide on the streams of a pattern.
type Rule struct {
	Pattern  Pattern
	Policies []Policy
}

// Rules is a Policy: the first rule whose pattern matches decides. Its policies are asked in turn, and the first that
// allows wins. If none does, the refusal is that of the policy that had most to say. Where no rule matches, nobody is
// allowed.
type Rules []Rule

// Decide implements Policy.
func (rules Rules) Decide(ctx context.Context, r Request) Decision {
	for i := range rules {
		if rules[i].Pattern.Match(r.Stream) {
			return rules[i].decide(ctx, r)
		}
	}
	return Deny{}.Decide(ctx, r)
}

func (rule *Rule) decide(ctx context.Context, r Request) Decision {
	if len(rule.Policies) == 0 {
		return Deny{}.Decide(ctx, r)
	}
	var refusal Decision
	cacheFor := time.Duration(math.MaxInt64) // a refusal may be given again for as long as all of them may
	for _, policy := range rule.Policies {
		d := policy.Decide(ctx, r)
		if d.Allowed {
			return d
		}
		cacheFor = min(cacheFor, d.CacheFor)
		if refusal.Code == "" || weight(d.Code) >= weight(refusal.Code) {
			refusal = d
		}
	}
	refusal.CacheFor = cacheFor
	return refusal
}

// weight says how much a refusal tells the person who is refused: what is wrong with a token that is known, that what
// was shown is not good, that something has to be shown, or only no.
func weight(c Code) int {
	switch c {
	case NotAllowed:
		return 0
	case NoToken:
		return 1
	case BadToken:
		return 2
	}
	return 3
}

// Swap is a Policy that may be replaced while it is asked, such as when the file behind it has changed.
type Swap struct {
	policy atomic.Pointer[Policy]
	era    atomic.Uint64 // how often it was replaced or renewed
}

// NewSwap returns a Swap for a policy.
func NewSwap(p Policy) *Swap {
	s := &Swap{}
	s.Replace(p)
	return s
}

// Replace puts another policy in force.
func (s *Swap) Replace(p Policy) {
	s.policy.Store(&p)
	s.era.Add(1)
}

// Renew says that the policy in force decides otherwise than before: what it knows from elsewhere has changed.
func (s *Swap) Renew() { s.era.Add(1) }

// Decide implements Policy.
func (s *Swap) Decide(ctx context.Context, r Request) Decision {
	era := s.era.Load() // before the policy: it may be older, and never newer than what decides
	d := (*s.policy.Load()).Decide(ctx, r)
	d.by, d.era = s, era
	return d
}
