package auth

import "time"

// Admission is a decision to let somebody in as another process takes it over, which asks nobody again: what was shown
// may have expired, and a backend may be asked only once. It is as secret as the request in it. In JSON it stays as it is.
type Admission struct {
	Request    Request // but for its Query
	Query      []byte
	Credential []byte
	Stream     string    // the public name
	Expires    time.Time // zero is never
	MaxBitrate int64
	TokenID    string
}

// Admit returns the admission of a decision that is used from now on.
func (g *Gate) Admit(r Request, d Decision) Admission {
	a := Admission{
		Request: r, Query: []byte(r.Query), Credential: []byte(d.Credential), Stream: public(r, d),
		Expires: ends(d, g.config.Now()), MaxBitrate: d.MaxBitrate, TokenID: d.TokenID,
	}
	a.Request.Query = "" // it may be no UTF-8
	return a
}

// DecidedBy reports whether a Swap made the decision.
func (d *Decision) DecidedBy(s *Swap) bool { return s != nil && d.by == s }

// Again is what was asked and decided, as a decision of by, which may be nil. Enter asks by at once whether it would
// still let in whom the admission is for, as Recheck does.
func (a *Admission) Again(by *Swap) (Request, Decision) {
	r := a.Request
	r.Query = string(a.Query)
	return r, Decision{
		Allowed: true, Credential: string(a.Credential), Stream: a.Stream, Expires: a.Expires, MaxBitrate: a.MaxBitrate, TokenID: a.TokenID,
		by: by, // era 0: before any of its policies
	}
}
