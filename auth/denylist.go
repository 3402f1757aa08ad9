package auth

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Entry is something that is not allowed for a while, whatever the policies say: a token, or a stream.
type Entry struct {
	ID string `json:"id"`
	// Token is a TokenID; Stream a Pattern. Exactly one of them is set.
	Token  string  `json:"token,omitempty"`
	Stream Pattern `json:"stream,omitempty"`
	// Action is "publish" or "play"; "" is both.
	Action Action    `json:"action,omitempty"`
	Until  time.Time `json:"until"`
}

const (
	// maxEntries bounds the denylist: more tokens than this are revoked by changing the key that signs them.
	maxEntries = 10_000
	// maxTTL bounds how long an entry stays: longer than tokens live.
	maxTTL = 366 * 24 * time.Hour
)

// Errors of Gate.Deny.
var (
	ErrEntry       = errors.New("an entry names either a token's ID or a stream pattern, and publish, play or no action")
	ErrTTL         = errors.New("an entry lives between one second and 366 days")
	ErrTooManyDeny = errors.New("the denylist is full")
)

// matches reports whether the entry is about a permission.
func (e *Entry) matches(action Action, stream, token string) bool {
	if e.Action != "" && e.Action != action {
		return false
	}
	if e.Token != "" {
		return e.Token == token
	}
	return e.Stream.Match(stream)
}

func (e *Entry) valid() bool {
	if e.Action != "" && e.Action != Publish && e.Action != Play {
		return false
	}
	if e.Token != "" {
		return e.Stream == "" && ValidTokenID(e.Token)
	}
	return e.Stream.Valid()
}

// denylist is the entries in force. Nobody who asks an empty one takes its lock.
type denylist struct {
	now  func() time.Time
	size atomic.Int64

	mu     sync.RWMutex
	lastID uint64
	tokens map[string][]*Entry
	others []*Entry
}

func (l *denylist) has(action Action, stream, token string) bool {
	if l.size.Load() == 0 {
		return false
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	now := l.now()
	covers := func(e *Entry) bool { return e.matches(action, stream, token) && now.Before(e.Until) }
	return token != "" && slices.ContainsFunc(l.tokens[token], covers) || slices.ContainsFunc(l.others, covers)
}

func (l *denylist) add(e Entry, ttl time.Duration) (Entry, error) {
	if !e.valid() {
		return Entry{}, ErrEntry
	}
	if ttl < time.Second || ttl > maxTTL {
		return Entry{}, ErrTTL
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size.Load() >= maxEntries && l.removeLocked(func(e *Entry) bool { return !l.now().Before(e.Until) }) == 0 {
		return Entry{}, ErrTooManyDeny
	}
	l.lastID++
	e.ID, e.Until = strconv.FormatUint(l.lastID, 10), l.now().Add(ttl).UTC().Truncate(time.Millisecond)
	l.putLocked(e)
	return e, nil
}

// putLocked adds an entry that has all it needs.
func (l *denylist) putLocked(e Entry) {
	if e.Token != "" {
		if l.tokens == nil {
			l.tokens = make(map[string][]*Entry)
		}
		l.tokens[e.Token] = append(l.tokens[e.Token], &e)
	} else {
		l.others = append(l.others, &e)
	}
	l.size.Add(1)
}

// removeLocked removes entries and returns how many.
func (l *denylist) removeLocked(which func(*Entry) bool) int {
	before := l.size.Load()
	count := func(e *Entry) bool {
		gone := which(e)
		if gone {
			l.size.Add(-1)
		}
		return gone
	}
	for token, entries := range l.tokens {
		if entries = slices.DeleteFunc(entries, count); len(entries) == 0 {
			delete(l.tokens, token)
		} else {
			l.tokens[token] = entries
		}
	}
	l.others = slices.DeleteFunc(l.others, count)
	return int(before - l.size.Load())
}

// Deny puts an entry on the denylist for a time, and sends away those whom it is about; it returns how many.
// The error is ErrEntry, ErrTTL or ErrTooManyDeny.
func (g *Gate) Deny(e Entry, ttl time.Duration) (added Entry, ended int, err error) {
	if added, err = g.denylist.add(e, ttl); err != nil {
		return Entry{}, 0, err
	}
	ended = g.endWhere(EndRevoked, func(s *Session) bool {
		return added.matches(s.Action, s.Stream, s.TokenID)
	})
	return added, ended, nil
}

// Allow takes an entry off the denylist; it returns false if there is none with that ID.
func (g *Gate) Allow(id string) bool {
	l := &g.denylist
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.removeLocked(func(e *Entry) bool { return e.ID == id }) > 0
}

// Denylist returns the entries in force, in the order of their making.
func (g *Gate) Denylist() []Entry { return g.denylist.all().Entries }

func (l *denylist) all() Denylist {
	l.mu.RLock()
	defer l.mu.RUnlock()
	list := []Entry{}
	keep := func(entries []*Entry) {
		for _, e := range entries {
			if l.now().Before(e.Until) {
				list = append(list, *e)
			}
		}
	}
	for _, entries := range l.tokens {
		keep(entries)
	}
	keep(l.others)
	slices.SortFunc(list, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	return Denylist{Entries: list, LastID: l.lastID}
}
