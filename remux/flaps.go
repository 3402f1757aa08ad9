package remux

import (
	"errors"
	"time"
)

// ErrFlapping: two publishers keep taking the stream over from each other, and this one was
// refused so that the other can be seen.
var ErrFlapping = errors.New("publishers keep taking this stream over from each other: " +
	"stop one of them, or give it another name; the next may take over in a minute")

const (
	// takeoverSpan is the time that takeovers are counted over, takeoverLimit how many are
	// let through in it unless Config says otherwise: an encoder that loses its network
	// reconnects every ten seconds at most, two that fight do it every second or two.
	takeoverSpan  = time.Minute
	takeoverLimit = 10
	// takeoverPause is how long the one that has the stream keeps it then: long enough for
	// a playlist of it, short enough to wait for.
	takeoverPause = 30 * time.Second
	// aliveFor is how long after its last message a publication may be someone who fights
	// for the stream. A connection that died says nothing, and taking its stream over is
	// what reconnecting is.
	aliveFor = 2 * time.Second
)

// flaps limits how often a stream is taken over. It is guarded by the stream's lock.
type flaps struct {
	recent []time.Time // takeovers of the last minute, at most the limit
	until  time.Time   // takeovers are refused until then
}

// allow reports whether a publication may be taken over, and counts it. Limit is the number of
// takeovers in a minute, 0 the default and less than 0 none.
func (f *flaps) allow(now time.Time, old *Publication, limit int) bool {
	if limit == 0 {
		limit = takeoverLimit
	}
	if limit < 0 || !old.alive(now) {
		return true
	}
	if now.Before(f.until) {
		return false
	}
	kept := f.recent[:0]
	for _, t := range f.recent {
		if now.Sub(t) < takeoverSpan {
			kept = append(kept, t)
		}
	}
	f.recent = kept
	if len(f.recent) >= limit {
		f.recent, f.until = nil, now.Add(takeoverPause)
		return false
	}
	f.recent = append(f.recent, now)
	return true
}

// alive reports whether a publication has begun, or sent something, a moment ago.
func (p *Publication) alive(now time.Time) bool {
	last := p.started
	if p.diagnosis.arrival.last.After(last) {
		last = p.diagnosis.arrival.last
	}
	return now.Sub(last) < aliveFor
}
