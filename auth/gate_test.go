package auth

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// counting is a policy that allows and counts.
type counting struct {
	asked atomic.Int32
	d     Decision
}

func (c *counting) Decide(context.Context, Request) Decision {
	c.asked.Add(1)
	return c.d
}

func TestADecisionIsKeptForAsLongAsItSays(t *testing.T) {
	now := at(jwtNow)
	p := &counting{d: Decision{Allowed: true, CacheFor: 10 * time.Second}}
	g := NewGate(GateConfig{Play: p, Now: now.now})
	ask := func(want int32, change func(*Request)) {
		t.Helper()
		r := asking(Play, "live/test", "token=abc")
		if change != nil {
			change(&r)
		}
		expect(t, g, r, "")
		if n := p.asked.Load(); n != want {
			t.Errorf("the policy was asked %d times, want %d", n, want)
		}
	}
	ask(1, nil)
	ask(1, func(r *Request) { r.Remote = netip.AddrPortFrom(r.Remote.Addr(), 1) })
	now.t = now.t.Add(9 * time.Second)
	ask(1, nil)
	ask(2, func(r *Request) { r.Query = "token=abd" })
	ask(3, func(r *Request) { r.Stream = "live/other" })
	ask(4, func(r *Request) { r.Remote = netip.MustParseAddrPort("192.0.2.8:1") })
	now.t = now.t.Add(time.Second)
	ask(5, nil)
	g.Forget()
	ask(6, nil)
}

func TestAKeptDecisionDoesNotOutliveItsPermission(t *testing.T) {
	now := at(jwtNow)
	p := &counting{d: Decision{Allowed: true, CacheFor: time.Minute, Expires: time.Unix(jwtNow+5, 0)}}
	g := NewGate(GateConfig{Play: p, Now: now.now})
	for range 2 {
		expect(t, g, asking(Play, "live/test", ""), "")
	}
	now.t = now.t.Add(5 * time.Second)
	expect(t, g, asking(Play, "live/test", ""), Expired)
	if n := p.asked.Load(); n != 2 {
		t.Errorf("the policy was asked %d times, want 2", n)
	}
}

func TestKeptDecisionsAreBounded(t *testing.T) {
	g := NewGate(GateConfig{Play: &counting{d: Decision{Allowed: true, CacheFor: time.Hour}}, Now: at(jwtNow).now})
	for i := range maxCached + 1000 {
		g.Decide(t.Context(), asking(Play, "live/test", fmt.Sprint("token=", i)))
	}
	if n := len(g.cache.entries); n > maxCached {
		t.Errorf("%d are kept", n)
	}
	g.Decide(t.Context(), asking(Play, "live/test", "token="+strings.Repeat("x", maxCachedQuery)))
	for key := range g.cache.entries {
		if len(key.query) > maxCachedQuery {
			t.Error("a long query is kept")
		}
	}
}

func TestAnActionWithoutAPolicyIsRefused(t *testing.T) {
	g := NewGate(GateConfig{Play: Open{}})
	expect(t, g, asking(Publish, "live/test", ""), NotAllowed)
	expect(t, g, asking("", "live/test", ""), NotAllowed)
	expect(t, g, asking(Play, "live/test", "x="+strings.Repeat("x", maxQuery)), BadToken)
}

// session lets somebody in and returns how it is ended.
func enter(t *testing.T, g *Gate, r Request, d Decision) (leave func(), ended chan EndCause) {
	t.Helper()
	ended = make(chan EndCause, 4)
	leave, refusal := g.Enter(r, d, func(c EndCause) { ended <- c })
	if refusal != nil {
		t.Fatalf("refused: %+v", refusal)
	}
	return leave, ended
}

func ended(t *testing.T, ch chan EndCause, want EndCause) {
	t.Helper()
	select {
	case got := <-ch:
		if got != want {
			t.Errorf("ended as %s, want %s", got, want)
		}
	case <-time.After(30 * time.Second):
		t.Errorf("not ended, want %s", want)
	}
}

func stays(t *testing.T, ch chan EndCause) {
	t.Helper()
	select {
	case got := <-ch:
		t.Errorf("ended as %s", got)
	default:
	}
}

func TestWhoIsInLeavesWhenThePermissionExpires(t *testing.T) {
	d := Decision{Allowed: true, Expires: time.Now().Add(30 * time.Millisecond)}
	_, gone := enter(t, NewGate(GateConfig{}), asking(Play, "live/test", ""), d)
	ended(t, gone, EndExpired)

	g := NewGate(GateConfig{KeepAtExpiry: true})
	_, kept := enter(t, g, asking(Play, "live/test", ""), d)
	if s := g.Sessions(""); len(s) != 1 || s[0].Expires == nil || !s[0].Expires.Equal(d.Expires) {
		t.Errorf("%+v", s)
	}
	stays(t, kept)
}

// TestPermissionsEndByTheClockThoughItIsSet: a timer does not hear of that, nor of the time that a machine slept.
func TestPermissionsEndByTheClockThoughItIsSet(t *testing.T) {
	for name, test := range map[string]struct{ step, end time.Duration }{
		"forward": {59 * time.Minute, 2 * time.Minute},
		"back":    {-30 * time.Minute, 90*time.Minute + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var step atomic.Int64
				clock := func() time.Time { return time.Now().Round(0).Add(time.Duration(step.Load())) }
				g := NewGate(GateConfig{Now: clock})
				expires := clock().Add(time.Hour)
				leave, gone := enter(t, g, asking(Play, "live/test", ""), Decision{Allowed: true, Expires: expires})
				began := time.Now()
				time.Sleep(time.Second)
				step.Store(int64(test.step))
				if cause := <-gone; cause != EndExpired {
					t.Errorf("ended as %s", cause)
				}
				if took := time.Since(began); took > test.end || clock().Before(expires) {
					t.Errorf("it took %v", took)
				}
				leave()
			})
		})
	}
}

func TestRevokingEndsThoseInAndRefusesThoseToCome(t *testing.T) {
	for _, test := range []struct {
		name  string
		entry Entry
		want  [4]bool // who is hit: publisher and viewer with t-1, viewer with t-2, viewer of another stream with t-1
	}{
		{"a token", Entry{Token: "t-1"}, [4]bool{true, true, false, true}},
		{"a token for watching", Entry{Token: "t-1", Action: Play}, [4]bool{false, true, false, true}},
		{"a stream", Entry{Stream: "live/test"}, [4]bool{true, true, true, false}},
		{"watching an application", Entry{Stream: "other/*", Action: Play}, [4]bool{false, false, false, true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			policy := PolicyFunc(func(_ context.Context, r Request) Decision {
				return Decision{Allowed: true, TokenID: Token(r.Query)}
			})
			now := at(jwtNow)
			g := NewGate(GateConfig{Publish: policy, Play: policy, Now: now.now})
			requests := [4]Request{
				asking(Publish, "live/test", "token=t-1"), asking(Play, "live/test", "token=t-1"),
				asking(Play, "live/test", "token=t-2"), asking(Play, "other/x", "token=t-1"),
			}
			var ends [4]chan EndCause
			hits := 0
			for i, r := range requests {
				_, ends[i] = enter(t, g, r, expect(t, g, r, ""))
				if test.want[i] {
					hits++
				}
			}
			e, n, err := g.Deny(test.entry, time.Minute)
			if err != nil || n != hits {
				t.Errorf("%d ended, %v; want %d", n, err, hits)
			}
			for i, r := range requests {
				if test.want[i] {
					ended(t, ends[i], EndRevoked)
					expect(t, g, r, Revoked)
					if _, refusal := g.Enter(r, Decision{Allowed: true, TokenID: Token(r.Query)}, nil); refusal == nil || refusal.Code != Revoked {
						t.Error("who was allowed a moment before comes in")
					}
				} else {
					stays(t, ends[i])
					expect(t, g, r, "")
				}
			}
			if list := g.Denylist(); len(list) != 1 || list[0] != e {
				t.Errorf("the denylist is %+v", list)
			}
			now.t = now.t.Add(time.Minute)
			for _, r := range requests {
				expect(t, g, r, "")
			}
			if list := g.Denylist(); len(list) != 0 {
				t.Errorf("what is over is listed: %+v", list)
			}
		})
	}
}

func TestARevocationCanBeTakenBack(t *testing.T) {
	g := NewGate(GateConfig{Play: Open{}})
	var ids []string
	for _, p := range []Pattern{"live/a", "live/b", "live/c"} {
		e, _, err := g.Deny(Entry{Stream: p}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID)
	}
	if !g.Allow(ids[1]) || g.Allow(ids[1]) || g.Allow("nonsense") {
		t.Error("an entry is not taken back once")
	}
	expect(t, g, asking(Play, "live/a", ""), Revoked)
	expect(t, g, asking(Play, "live/b", ""), "")
	expect(t, g, asking(Play, "live/c", ""), Revoked)
}

func TestTheDenylistIsBounded(t *testing.T) {
	now := at(jwtNow)
	g := NewGate(GateConfig{Now: now.now})
	for _, e := range []Entry{{}, {Token: "a", Stream: "live/*"}, {Token: "a b"}, {Stream: "live"}, {Token: "a", Action: "watch"}} {
		if _, _, err := g.Deny(e, time.Minute); err != ErrEntry {
			t.Errorf("%+v: %v", e, err)
		}
	}
	for _, ttl := range []time.Duration{0, -time.Second, 500 * 24 * time.Hour} {
		if _, _, err := g.Deny(Entry{Token: "a"}, ttl); err != ErrTTL {
			t.Errorf("%v: %v", ttl, err)
		}
	}
	for i := range maxEntries {
		if _, _, err := g.Deny(Entry{Token: fmt.Sprint(i)}, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := g.Deny(Entry{Token: "one-more"}, time.Minute); err != ErrTooManyDeny {
		t.Errorf("%v", err)
	}
	now.t = now.t.Add(time.Minute)
	if _, _, err := g.Deny(Entry{Token: "one-more"}, time.Minute); err != nil {
		t.Errorf("there is room again, but %v", err)
	}
}

func TestOneIsSentAwayByItsID(t *testing.T) {
	g := NewGate(GateConfig{})
	leave, first := enter(t, g, asking(Play, "live/test", ""), Decision{Allowed: true})
	_, second := enter(t, g, asking(Publish, "live/secret", ""), Decision{Allowed: true, Stream: "live/test", TokenID: "t"})
	list := g.Sessions("live/test")
	if len(list) != 2 || list[1].Stream != "live/test" || list[1].TokenID != "t" || list[0].ID == list[1].ID {
		t.Fatalf("%+v", list)
	}
	if len(g.Sessions("live/secret")) != 0 {
		t.Error("the name that is a key is listed")
	}
	if !g.End(list[1].ID) {
		t.Error("nobody ended")
	}
	ended(t, second, EndRevoked)
	stays(t, first)
	leave()
	leave()
	if g.End(list[0].ID) || len(g.Sessions("")) != 1 {
		t.Error("who left is still there")
	}
}

func TestLimitsHoldForThoseWhoStay(t *testing.T) {
	g := NewGate(GateConfig{Limits: Limits{Publishers: 2, Viewers: 3, ViewersPerStream: 2}})
	in := func(a Action, stream string, want Code) (leave func()) {
		t.Helper()
		leave, refusal := g.Enter(asking(a, stream, ""), Decision{Allowed: true}, func(EndCause) {})
		if got := (refusal != nil); got != (want != "") || refusal != nil && (refusal.Code != want || refusal.Reason == "") {
			t.Errorf("%s %s: %+v, want %q", a, stream, refusal, want)
		}
		return leave
	}
	in(Publish, "live/a", "")
	b := in(Publish, "live/b", "")
	in(Publish, "live/c", TooManyPublishers)
	again := in(Publish, "live/b", "") // its own, taken over
	b()
	in(Publish, "live/c", TooManyPublishers)
	again()
	in(Publish, "live/c", "")

	a := in(Play, "live/a", "")
	in(Play, "live/a", "")
	in(Play, "live/a", TooManyViewersOfOne)
	in(Play, "live/b", "")
	in(Play, "live/b", TooManyViewers)
	a()
	in(Play, "live/b", "")
}

func TestTheGateIsUsedByManyAtOnce(t *testing.T) {
	g := NewGate(GateConfig{Play: Rules{{Pattern: "*", Policies: []Policy{&counting{d: Decision{Allowed: true, CacheFor: time.Minute, TokenID: "t"}}}}}})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 200 {
				r := asking(Play, "live/test", fmt.Sprint("token=", i, j%7))
				if d := g.Decide(t.Context(), r); d.Allowed {
					if leave, refusal := g.Enter(r, d, func(EndCause) {}); refusal == nil {
						leave()
					}
				}
				if j%50 == 0 {
					e, _, err := g.Deny(Entry{Token: "t"}, time.Minute)
					if err != nil || !g.Allow(e.ID) {
						t.Error("the entry was not kept", err)
					}
					g.Sessions("")
					g.Count(Revoked)
				}
			}
		})
	}
	wg.Wait()
	if s := g.Sessions(""); len(s) != 0 || len(g.viewers) != 0 || g.allViewers != 0 {
		t.Errorf("%d are left", len(s))
	}
	if g.Refusals()[string(Revoked)] != 32 {
		t.Errorf("%v", g.Refusals())
	}
}

func TestWhatIsOpenCostsNoMemory(t *testing.T) {
	g := NewGate(GateConfig{Play: Rules{{Pattern: "*", Policies: []Policy{Open{}}}}})
	r := asking(Play, "live/test", "")
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { g.Decide(ctx, r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkGate(b *testing.B) {
	s := signers()[algRS256]
	token := s.sign(b, ticket(nil), nil)
	for name, g := range map[string]*Gate{
		"open":   NewGate(GateConfig{Play: Rules{{Pattern: "*", Policies: []Policy{Open{}}}}}),
		"cached": NewGate(GateConfig{Play: Rules{{Pattern: "*", Policies: []Policy{jwtPolicy(s.key(b))}}}, Now: at(jwtNow).now}),
	} {
		b.Run(name, func(b *testing.B) {
			r := asking(Play, "live/test", "token="+token)
			b.ReportAllocs()
			for b.Loop() {
				if !g.Decide(b.Context(), r).Allowed {
					b.Fatal("refused")
				}
			}
		})
	}
}
