package auth

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// request makes a request to publish from an address.
func request(remote, query string) Request {
	return Request{Action: Publish, Stream: "live/test", Query: query, Remote: netip.MustParseAddrPort(remote), Protocol: "rtmp"}
}

// asking makes a request from an ordinary address.
func asking(a Action, stream, query string) Request {
	return Request{Action: a, Stream: stream, Query: query, Remote: netip.MustParseAddrPort("192.0.2.7:4000"), Protocol: "rtmp"}
}

// decide asks a policy.
func decide(t testing.TB, p Policy, r Request) Decision {
	t.Helper()
	d := p.Decide(t.Context(), r)
	if d.Allowed == (d.Reason != "") {
		t.Errorf("allowed is %v and the reason %q", d.Allowed, d.Reason)
	}
	if !d.Allowed && d.Code == "" {
		t.Error("a refusal has no code")
	}
	// What is shown is secret, whatever comes of it.
	for pair := range strings.SplitSeq(r.Query, "&") {
		if _, value, _ := strings.Cut(pair, "="); len(value) > 3 && strings.Contains(d.Reason, value) {
			t.Errorf("the reason %q shows what was shown", d.Reason)
		}
	}
	return d
}

// expect fails the test unless a policy decides so; "" is yes.
func expect(t testing.TB, p Policy, r Request, want Code) Decision {
	t.Helper()
	d := decide(t, p, r)
	if d.Allowed != (want == "") || !d.Allowed && d.Code != want {
		t.Errorf("%s %s: allowed %v, %q (%s); want %q", r.Action, r.Stream, d.Allowed, d.Code, d.Reason, want)
	}
	return d
}

// clock is a clock that stands still.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

// at returns a clock at a number of seconds since 1970.
func at(unix int64) *clock { return &clock{time.Unix(unix, 0)} }

// policyOf makes a policy of what a request is answered with.
func policyOf(answer func(Request) Decision) Policy {
	return PolicyFunc(func(_ context.Context, r Request) Decision { return answer(r) })
}
