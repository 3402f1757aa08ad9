package main

import (
	"testing"
	"time"

	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/ingest"
)

// TestPublishersGoOnUnderAnotherConfiguration lets a publisher in by the rules of one process and has another one, with
// rules of its own, decide whether it goes on.
func TestPublishersGoOnUnderAnotherConfiguration(t *testing.T) {
	const key = "key=the-key-of-all"
	for name, test := range map[string]struct {
		publish string // of the process before
		query   string
		next    func(*config.Config)
		refused bool
		ended   bool
	}{
		"the same":            {"keys", key, nil, false, false},
		"no key was asked":    {"open", "", func(c *config.Config) { c.Auth.Publish = rulesOf(t, "keys", "open").Publish }, false, false},
		"another key":         {"keys", key, func(c *config.Config) { c.Auth.Key = "another-key-for-all" }, false, true},
		"no keys any more":    {"keys", key, func(c *config.Config) { c.Auth = rulesOf(t, "deny", "open") }, true, false},
		"but who is in stays": {"keys", key, func(c *config.Config) { c.Auth = rulesOf(t, "deny", "open"); c.Auth.EndOnRemoval = false }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			before := newTestAccess(t, func(c *config.Config) { c.Auth = rulesOf(t, test.publish, "open") })
			d := before.mayPublish(publishing("live/test", test.query))
			if !d.Allowed {
				t.Fatal(d.Reason)
			}
			after := newTestAccess(t, func(c *config.Config) {
				c.Auth = rulesOf(t, test.publish, "open")
				if test.next != nil {
					test.next(c)
				}
			})
			goesOn := after.goOn(d.Admission)
			if goesOn.Allowed == test.refused {
				t.Fatalf("it goes on: %t (%s)", goesOn.Allowed, goesOn.Reason)
			}
			if test.refused {
				return
			}
			if goesOn.Credential != d.Credential || goesOn.Stream != "live/test" {
				t.Errorf("it goes on as %q on %q, was %q", goesOn.Credential, goesOn.Stream, d.Credential)
			}
			ended := make(chan ingest.EndCause, 2)
			leave, refusal := goesOn.Enter(func(cause ingest.EndCause) { ended <- cause })
			if refusal != nil {
				t.Fatal(refusal.Reason)
			}
			defer leave()
			select {
			case cause := <-ended:
				if !test.ended || cause != ingest.EndRevoked {
					t.Errorf("sent away: %s", cause)
				}
			case <-time.After(50 * time.Millisecond):
				if test.ended {
					t.Error("who had a key that is gone was not sent away")
				}
			}
			again := newTestAccess(t, func(c *config.Config) { c.Auth = rulesOf(t, test.publish, "open") })
			if !again.goOn(goesOn.Admission).Allowed {
				t.Error("it cannot go on a second time")
			}
		})
	}
	if d := newTestAccess(t, func(*config.Config) {}).goOn([]byte("none")); d.Allowed {
		t.Error("who has no admission goes on")
	}
}
