package main

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/headwater-live/headwater/cmd/headwater/config"
)

// staleness knows which files could not be read again when they had changed, so that what was read before holds still.
// That is said where operators look, for a key that was removed from a damaged file still opens.
type staleness struct {
	mu    sync.Mutex
	stale map[string]bool // by what the files are for
}

// set notes whether what the files are for is older than them.
func (s *staleness) set(what string, stale bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stale == nil {
		s.stale = map[string]bool{}
	}
	s.stale[what] = stale
}

// forget drops what is no more.
func (s *staleness) forget(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.stale, what)
}

// all returns what is known of all files.
func (s *staleness) all() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.stale)
}

// jwksName says what the keys of a URL are for, which are like a file.
const jwksName = "auth jwks"

// staleFiles returns what is known of all files, and of the keys that are fetched.
func (a *access) staleFiles() map[string]bool {
	all := a.stale.all()
	if set := a.current.Load().jwks; set != nil {
		if all == nil {
			all = map[string]bool{}
		}
		all[jwksName] = set.Failing()
	}
	return all
}

// staleReason says what is stale, "" if nothing is.
func (a *access) staleReason() string {
	all := a.staleFiles()
	maps.DeleteFunc(all, func(_ string, stale bool) bool { return !stale })
	if len(all) == 0 {
		return ""
	}
	return "files were not read again or keys not fetched, what they said before holds still (the log says why): " +
		strings.Join(slices.Sorted(maps.Keys(all)), ", ")
}

// staleName says what the files of a policy are for.
func staleName(p config.Policy) string { return "auth " + string(p) }
