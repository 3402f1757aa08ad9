package e2e

import (
	"encoding/json"
	"testing"
	"time"
)

// refuses fails the test unless exactly the connections that run says were refused meanwhile, by
// reason in the API. On a machine that is too busy, peers may come too late to be refused for what
// they do; they are counted then as well.
func (s *server) refuses(t *testing.T, run func() map[string]int) {
	t.Helper()
	before := s.refusals(t)
	want := run()
	s.alive(t)
	counted := s.refusals(t)
	for reason, n := range before {
		if counted[reason] -= n; counted[reason] == 0 {
			delete(counted, reason)
		}
	}
	all, made := 0, 0
	for _, n := range counted {
		all += n
	}
	for reason, n := range want {
		made += n
		if reason != "" && counted[reason] < (n+1)/2 {
			t.Errorf("%d connections counted as %q, %d were made; all: %v", counted[reason], reason, n, counted)
		}
	}
	if all != made {
		t.Errorf("%d connections counted, %d were made: %v, want %v", all, made, counted, want)
	}
}

// refusals are the server's counts by reason.
func (s *server) refusals(t *testing.T) map[string]int {
	t.Helper()
	answer := s.info(t)
	if answer.Refusals == nil {
		t.Fatal("the API does not say what was refused")
	}
	return answer.Refusals
}

// serverInfo is what the API says of the server.
type serverInfo struct {
	Streams, Live int
	Refusals      map[string]int
}

func (s *server) info(t *testing.T) serverInfo {
	t.Helper()
	f, err := fetch(t.Context(), s.admin+"/api/v1/server")
	if err != nil {
		t.Fatal(err)
	}
	var answer serverInfo
	if err := json.Unmarshal(f.body, &answer); err != nil {
		t.Fatalf("the API says %q: %v", f.body, err)
	}
	return answer
}

// settleLimit is how long what is over may take to be cleaned up.
const settleLimit = 20 * time.Second

// settles fails the test unless there are soon no more open descriptors than before.
func (s *server) settles(t *testing.T, before int) {
	t.Helper()
	const spare = 5 // connections to the API
	for end := time.Now().Add(settleLimit); ; time.Sleep(pollInterval) {
		n := s.descriptors(t)
		if n <= before+spare {
			return
		}
		if time.Now().After(end) {
			t.Errorf("%d descriptors are open, %d were before", n, before)
			return
		}
	}
}

// empties fails the test unless the hub is soon empty.
func (s *server) empties(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(settleLimit); ; time.Sleep(pollInterval) {
		info := s.info(t)
		if info.Streams == 0 && info.Live == 0 {
			return
		}
		if time.Now().After(end) {
			t.Errorf("%d streams are left, %d of them live", info.Streams, info.Live)
			return
		}
	}
}
