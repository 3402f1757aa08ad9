package auth

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

// visits makes a request as an HLS player does; it returns what refused it, "" for nothing.
func visiting(t *testing.T, g *Gate, r Request, v Visitor) Code {
	t.Helper()
	d := decide(t, g, r)
	if !d.Allowed {
		return d.Code
	}
	if refusal := g.Visit(r, d, v); refusal != nil {
		if refusal.Reason == "" || refusal.Allowed {
			t.Errorf("refused with %+v", refusal)
		}
		return refusal.Code
	}
	return ""
}

func from(address string, r Request) Request {
	r.Remote = netip.MustParseAddrPort(address)
	return r
}

// TestALongestDurationEndsWatchingHLS: what a backend allows for some time is not allowed anew with each request.
func TestALongestDurationEndsWatchingHLS(t *testing.T) {
	b := newBackend(t, says(http.StatusOK, `{"allow":true,"max_duration":60,"cache":300}`))
	now := at(jwtNow)
	g := NewGate(GateConfig{Play: callback(b.URL, func(c *CallbackConfig) { c.Now = now.now }), Now: now.now})
	r := asking(Play, "live/test", "token=abc")
	index := asking(Play, "live/test", "token=abc&x=y") // the same token is the same viewer
	check := func(what string, r Request, v Visitor, want Code) {
		t.Helper()
		if got := visiting(t, g, r, v); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	check("first", index, Visitor{Begins: true}, "")
	for range 59 {
		now.t = now.t.Add(time.Second)
		check("before its end", r, Visitor{}, "")
	}
	if s := g.Sessions("live/test"); len(s) != 1 || s[0].Expires.Unix() != jwtNow+60 {
		t.Errorf("sessions %+v", s)
	}
	now.t = now.t.Add(time.Second)
	check("at its end", r, Visitor{}, Expired)
	for range 100 {
		now.t = now.t.Add(time.Second)
		check("while it goes on", from("203.0.113.9:1", r), Visitor{}, Expired)
	}
	check("another token", asking(Play, "live/test", "token=def"), Visitor{}, "")
	asked := b.asked.Load()
	check("begun anew", index, Visitor{Begins: true}, "")
	if b.asked.Load() == asked {
		t.Error("the backend was not asked about who begins anew")
	}
	check("after that", r, Visitor{}, "")
	if n := len(g.Sessions("")); n != 2 {
		t.Errorf("%d sessions", n)
	}
}

func TestALongestDurationMayBeLeftToThePlayer(t *testing.T) {
	now := at(jwtNow)
	g := NewGate(GateConfig{Play: &counting{d: Decision{Allowed: true, MaxDuration: time.Second}}, KeepAtExpiry: true, Now: now.now})
	for range 3 {
		if code := visiting(t, g, asking(Play, "live/test", ""), Visitor{}); code != "" {
			t.Errorf("refused: %s", code)
		}
		now.t = now.t.Add(time.Second)
	}
}

func TestWhatExpiredBeforeItWasAllowedIsRefused(t *testing.T) {
	b := newBackend(t, says(http.StatusOK, fmt.Sprintf(`{"allow":true,"expires":%d}`, jwtNow)))
	g := NewGate(GateConfig{Play: callback(b.URL), Publish: callback(b.URL), Now: at(jwtNow).now})
	expect(t, g, asking(Play, "live/test", ""), Expired)
	expect(t, g, asking(Publish, "live/test", ""), Expired)
}

func TestWhoAsksForNothingHasLeft(t *testing.T) {
	now := at(jwtNow)
	g := NewGate(GateConfig{Play: Open{}, Limits: Limits{ViewersPerStream: 2}, Lapse: 20 * time.Second, Now: now.now})
	r := asking(Play, "live/test", "")
	a, b, c := from("192.0.2.1:1", r), from("192.0.2.2:1", r), from("192.0.2.3:1", r)
	check := func(r Request, client string, want Code) {
		t.Helper()
		if got := visiting(t, g, r, Visitor{Client: client}); got != want {
			t.Errorf("%v %s: %q, want %q", r.Remote, client, got, want)
		}
	}
	check(a, "VLC", "")
	check(a, "VLC", "")
	a.Query = "token=invented" // which nobody asks for
	check(a, "VLC", "")
	check(b, "VLC", "")
	check(c, "VLC", TooManyViewersOfOne)
	check(a, "a second player there", TooManyViewersOfOne)
	now.t = now.t.Add(19 * time.Second)
	check(b, "VLC", "")
	now.t = now.t.Add(time.Second)
	check(c, "VLC", "")
	check(a, "VLC", TooManyViewersOfOne)
	// Those with a connection count, too.
	now.t = now.t.Add(20 * time.Second)
	enter(t, g, a, Decision{Allowed: true})
	leave, _ := enter(t, g, a, Decision{Allowed: true})
	check(b, "VLC", TooManyViewersOfOne)
	leave()
	check(b, "VLC", "")
	if _, refusal := g.Enter(c, Decision{Allowed: true}, nil); refusal == nil {
		t.Error("one with a connection is not counted with those who have none")
	}
	now.t = now.t.Add(20 * time.Second)
	if _, refusal := g.Enter(c, Decision{Allowed: true}, nil); refusal != nil {
		t.Errorf("the seat of who left is taken: %+v", refusal)
	}
}

func TestNobodyFillsALimitWithInventedPlayers(t *testing.T) {
	g := NewGate(GateConfig{Play: Open{}, Limits: Limits{Viewers: 10 * maxPerAddress}, Now: at(jwtNow).now})
	for i := range 20 * maxPerAddress {
		r := from(fmt.Sprintf("[2001:db8::%x]:1", i+1), asking(Play, "live/test", ""))
		if code := visiting(t, g, r, Visitor{Client: fmt.Sprint(i)}); code != "" {
			t.Fatalf("%d: %s", i, code)
		}
	}
	if n := len(g.Sessions("")); n != maxPerAddress+1 {
		t.Errorf("one customer is %d viewers", n)
	}
	if code := visiting(t, g, from("203.0.113.9:1", asking(Play, "live/test", "")), Visitor{}); code != "" {
		t.Errorf("another one: %s", code)
	}
}

func TestVisitsAreForgotten(t *testing.T) {
	now := at(jwtNow)
	g := NewGate(GateConfig{Play: Open{}, Limits: Limits{Viewers: 1000}, Now: now.now})
	for i := range 500 {
		visiting(t, g, from(fmt.Sprintf("192.0.%d.%d:1", 2+i/250, i%250), asking(Play, "live/test", "")), Visitor{})
	}
	now.t = now.t.Add(defaultLapse)
	if n := len(g.Sessions("")); n != 0 || len(g.visits.byKey) != 0 || len(g.visits.anonymous) != 0 || g.allViewers != 0 || len(g.viewers) != 0 {
		t.Errorf("%d sessions, %d visits and %d addresses are left", n, len(g.visits.byKey), len(g.visits.anonymous))
	}
}

func TestAVisitorIsSentAway(t *testing.T) {
	g := NewGate(GateConfig{Play: Rules{{Pattern: "*", Policies: []Policy{policyOf(func(r Request) Decision {
		return Decision{Allowed: true, shown: true, TokenID: Token(r.Query)}
	})}}}})
	r := asking(Play, "live/test", "token=t-1")
	if code := visiting(t, g, r, Visitor{}); code != "" {
		t.Fatal(code)
	}
	list := g.Sessions("")
	if len(list) != 1 || list[0].TokenID != "t-1" || !g.End(list[0].ID) {
		t.Fatalf("sessions %+v", list)
	}
	if code := visiting(t, g, r, Visitor{}); code != Revoked {
		t.Errorf("who was sent away gets %q", code)
	}
	if code := visiting(t, g, r, Visitor{Begins: true}); code != "" {
		t.Errorf("who begins anew gets %q", code)
	}
}

func TestWhoeverLetInByARemovedKeyIsSentAway(t *testing.T) {
	for _, keep := range []bool{false, true} {
		s := NewSwap(keys(t, "live/a first-key", "live/b second-key", "live/c name:sk_8d2f9c11", "live/d name:sk_77aa01ff"))
		g := NewGate(GateConfig{Publish: Rules{{Pattern: "*", Policies: []Policy{s, Open{}}}}, Names: s, KeepRemoved: keep})
		var ends []chan EndCause
		for _, r := range []Request{
			asking(Publish, "live/a", "key=first-key"), asking(Publish, "live/b", "key=second-key"),
			asking(Publish, "live/sk_8d2f9c11", ""), asking(Publish, "live/sk_77aa01ff", ""), asking(Publish, "live/e", ""),
		} {
			_, end := enter(t, g, r, expect(t, g, r, ""))
			ends = append(ends, end)
		}
		// One key goes, one stands for another stream, the others stay.
		s.Replace(keys(t, "live/b second-key", "live/c name:sk_8d2f9c11", "live/x name:sk_77aa01ff"))
		n := g.Recheck(s)
		if keep {
			if n != 0 {
				t.Errorf("%d were sent away", n)
			}
			continue
		}
		if n != 2 {
			t.Errorf("%d were sent away, want 2", n)
		}
		ended(t, ends[0], EndRevoked)
		ended(t, ends[3], EndRevoked)
		for _, i := range []int{1, 2, 4} {
			stays(t, ends[i])
		}
	}
}

func TestAReloadDoesNotSendAwayWhomTheClockWould(t *testing.T) {
	for code, want := range map[Code]int{Expired: 0, NotYetValid: 0, KeysMissing: 0, BadToken: 1} {
		s := NewSwap(Open{})
		g := NewGate(GateConfig{Play: s})
		r := asking(Play, "live/test", "")
		enter(t, g, r, expect(t, g, r, ""))
		s.Replace(answering(refuse(code, "no")))
		if n := g.Recheck(s); n != want {
			t.Errorf("%s: %d were sent away, want %d", code, n, want)
		}
	}
}

// TestWhoComesInDuringAReloadIsCheckedByTheNewKeys: decided by the old keys, entered after those who were in were looked at.
func TestWhoComesInDuringAReloadIsCheckedByTheNewKeys(t *testing.T) {
	s := NewSwap(keys(t, "live/a first-key"))
	g := NewGate(GateConfig{Publish: s})
	r := asking(Publish, "live/a", "key=first-key")
	d := s.Decide(context.Background(), r)
	s.Replace(keys(t, "live/a second-key"))
	g.Recheck(s)
	_, end := enter(t, g, r, d)
	ended(t, end, EndRevoked)
}

// TestABackendThatDoesNotLookTellsNoViewersApart: whoever invents tokens for one that lets everybody in is one address.
func TestABackendThatDoesNotLookTellsNoViewersApart(t *testing.T) {
	for answer, want := range map[string]int{
		`{"allow":true}`:                       maxPerAddress + 1,
		`{"allow":true,"identity":"somebody"}`: 2 * maxPerAddress,
		`{"allow":true,"token_id":"t-1"}`:      2 * maxPerAddress,
	} {
		backend := httptest.NewServer(says(200, answer))
		c := callback(backend.URL)
		g := NewGate(GateConfig{Play: c, Limits: Limits{Viewers: 10 * maxPerAddress}, Now: at(jwtNow).now})
		for i := range 2 * maxPerAddress {
			if code := visiting(t, g, asking(Play, "live/test", fmt.Sprintf("token=invented-%d", i)), Visitor{Client: fmt.Sprint(i)}); code != "" {
				t.Fatalf("%s: %d: %s", answer, i, code)
			}
		}
		if n := len(g.Sessions("")); n != want {
			t.Errorf("%s: one address is %d viewers, want %d", answer, n, want)
		}
		c.Close()
		backend.Close()
	}
}
