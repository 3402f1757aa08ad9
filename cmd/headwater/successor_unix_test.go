//go:build unix

package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/headwater-live/headwater/cmd/headwater/systemd"
)

// succeeds has a shell script serve in this process's place. It has the connection over which it says what becomes of it
// as descriptor 8.
func succeeds(t *testing.T, script string) (*server, *relays) {
	t.Helper()
	r, _ := retiredRelays(t)
	sockets := &systemd.Passed{}
	next, err := sockets.Start("/bin/sh", []string{"sh", "-c", `exec 9<&"$LISTEN_HANDOVER" 8>&"$LISTEN_RELAY"
		printf 1 >&8; echo prepared >&9; ` + script})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(next.GiveUp)
	if err := next.AwaitPrepared(patience); err != nil {
		t.Fatal(err)
	}
	s := r.server
	s.upgrades = &upgrader{next: next, relays: r}
	s.asked = t.Context()
	s.upgrades.successor.watch(next, nil, r)
	return s, r
}

func TestTheEndOfWhoServesIsTold(t *testing.T) {
	for script, want := range map[string]struct{ failed, relays error }{
		"exit 3":                         {errFailed, errFailed},
		"kill -9 $$":                     {errFailed, errFailed},
		"exit 0":                         {nil, nil},
		"printf r >&8; exit 3":           {nil, nil}, // another one served
		"printf rr >&8; exit 3":          {nil, nil},
		"printf rrr >&8; exec sleep 600": {nil, errTooOld},
	} {
		s, r := succeeds(t, script)
		if want.relays != nil {
			select {
			case <-r.ctx.Done():
			case <-time.After(patience):
				t.Fatalf("%s: viewers stay", script)
			}
		} else {
			<-s.upgrades.next.Exited()
			<-s.upgrades.successor.watched
		}
		if cause := context.Cause(r.ctx); !errors.Is(cause, want.relays) {
			t.Errorf("%s: viewers go because of %v", script, cause)
		}
		if err := s.upgrades.outcome(s); !errors.Is(err, want.failed) {
			t.Errorf("%s: this process ends with %v", script, err)
		}
	}
}

func TestAServerThatIsToEndDoesNotMindTheNextOneFailing(t *testing.T) {
	s, r := succeeds(t, "exit 3")
	ctx, asked := context.WithCancel(context.Background())
	s.asked = ctx
	<-r.ctx.Done()
	asked()
	if err := s.upgrades.outcome(s); err != nil {
		t.Error(err)
	}
}
