package crowd

import (
	"net"
	"net/netip"
	"slices"
	"testing"
)

func tcp(address string) net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(address), 40_000))
}

func TestASubscriberIsOneNetwork(t *testing.T) {
	for _, c := range []struct{ address, network string }{
		{"192.0.2.7", "192.0.2.7/32"},
		{"::ffff:192.0.2.7", "192.0.2.7/32"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"2001:db8:1:2::", "2001:db8:1:2::/64"},
		{"2001:db8:1:3::", "2001:db8:1:3::/64"},
		{"fe80::1%eth0", "fe80::/64"},
		{"::1", "::/64"},
	} {
		if got := NetworkOf(tcp(c.address)); got.String() != c.network {
			t.Errorf("%s is of %s, want %s", c.address, got, c.network)
		}
	}
	for _, peer := range []net.Addr{nil, (*net.TCPAddr)(nil), &net.TCPAddr{}, &net.UnixAddr{Name: "x", Net: "unix"}} {
		if got := NetworkOf(peer); got != (netip.Prefix{}) {
			t.Errorf("%#v is of %s", peer, got)
		}
	}
}

// enter lets connections of addresses in, of which none may be refused.
func enter(t *testing.T, c *Counter, addresses ...string) []*Visit {
	t.Helper()
	var visits []*Visit
	for _, a := range addresses {
		v, refusal := c.Enter(tcp(a), func() { t.Errorf("%s is displaced", a) })
		if refusal != "" {
			t.Fatalf("%s is refused with %s", a, refusal)
		}
		visits = append(visits, v)
	}
	return visits
}

func TestEachLimitHolds(t *testing.T) {
	others := []string{"192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1"}
	for _, c := range []struct {
		name    string
		limits  Limits
		there   []string
		spoken  bool // those that are there
		refused string
		want    Refusal
		allowed string // somebody else, "" if nobody is
	}{
		{"in all", Limits{Connections: 4}, others, true, "192.0.2.3", TooMany, ""},
		{"of an address", Limits{PerNetwork: 2}, []string{"192.0.2.1", "192.0.2.1"}, true,
			"::ffff:192.0.2.1", TooManyFromAddress, "192.0.2.2"},
		{"of a network of IPv6", Limits{PerNetwork: 2}, []string{"2001:db8::1", "2001:db8::2"}, true,
			"2001:db8::3", TooManyFromAddress, "2001:db8:0:1::"},
		{"handshakes in all", Limits{Handshakes: 4}, others, false, "192.0.2.1", TooManyHandshakes, ""},
		{"handshakes of an address, by default", Limits{Handshakes: 4}, []string{"192.0.2.1", "192.0.2.1"}, false,
			"192.0.2.1", TooManyHandshakesFromAddress, "192.0.2.2"},
		{"handshakes of a network of IPv6", Limits{Handshakes: 8, HandshakesPerNetwork: 3},
			[]string{"2001:db8::1", "2001:db8::2", "2001:db8::3"}, false, "2001:db8::4", TooManyHandshakesFromAddress, "::1"},
		{"handshakes in all, of those with the most", Limits{Handshakes: 4, HandshakesPerNetwork: 3},
			[]string{"192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.2"}, false, "192.0.2.2", TooManyHandshakes, ""},
		{"handshakes of an address alone", Limits{HandshakesPerNetwork: 1}, []string{"192.0.2.1"}, false,
			"192.0.2.1", TooManyHandshakesFromAddress, "192.0.2.2"},
		{"an address before all", Limits{Connections: 1, PerNetwork: 1, Handshakes: 1}, []string{"192.0.2.1"}, false,
			"192.0.2.1", TooManyFromAddress, ""},
		{"an address's handshakes before all", Limits{Handshakes: 1}, []string{"192.0.2.1"}, false,
			"192.0.2.1", TooManyHandshakesFromAddress, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			counter := NewCounter(c.limits)
			visits := enter(t, counter, c.there...)
			if c.spoken {
				for _, v := range visits {
					v.Spoken()
				}
			}
			for range 2 { // a refusal counts nobody in
				if _, refusal := counter.Enter(tcp(c.refused), nil); refusal != c.want || !slices.Contains(Refusals, refusal) {
					t.Fatalf("refused with %q, want %q", refusal, c.want)
				}
			}
			if c.allowed != "" {
				visits = append(visits, enter(t, counter, c.allowed)...)
			}
			visits[0].Leave()
			visits = append(visits, enter(t, counter, c.there[0])...)
			for range 2 { // the second time does nothing
				for _, v := range visits {
					v.Leave()
					v.Spoken()
				}
			}
			if connections, handshakes, networks := counter.Counts(); connections != 0 || handshakes != 0 || networks != 0 {
				t.Errorf("%d connections, %d handshakes, %d networks are left", connections, handshakes, networks)
			}
		})
	}
}

func TestWhoHasSpokenTakesNoHandshake(t *testing.T) {
	c := NewCounter(Limits{Handshakes: 1})
	for range 100 {
		v := enter(t, c, "192.0.2.1")[0]
		v.Spoken()
		v.Spoken()
	}
	if connections, handshakes, networks := c.Counts(); connections != 100 || handshakes != 0 || networks != 1 {
		t.Errorf("%d connections, %d handshakes, %d networks", connections, handshakes, networks)
	}
}

func TestLimitsChangeForThoseWhoCome(t *testing.T) {
	c := NewCounter(Limits{Connections: 3})
	there := enter(t, c, "192.0.2.1", "192.0.2.2", "192.0.2.3")
	c.Change(Limits{Connections: 2})
	there[0].Leave()
	if _, refusal := c.Enter(tcp("192.0.2.1"), nil); refusal != TooMany {
		t.Errorf("one too many: %q", refusal)
	}
	there[1].Leave()
	enter(t, c, "192.0.2.2")
}
