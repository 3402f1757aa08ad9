package crowd

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// TestTheOldestOfTheNetworkWithTheMostGivesWay fills all handshakes from few networks, and lets others in.
func TestTheOldestOfTheNetworkWithTheMostGivesWay(t *testing.T) {
	c := NewCounter(Limits{Handshakes: 6, HandshakesPerNetwork: 4})
	var gone []string
	come := func(address, name string) *Visit {
		t.Helper()
		v, refusal := c.Enter(tcp(address), func() { gone = append(gone, name) })
		if refusal != "" {
			t.Fatalf("%s is refused with %s", name, refusal)
		}
		return v
	}
	const a, b = "192.0.2.1", "2001:db8::1"
	come(b, "b1")
	come(a, "a1").Spoken() // whoever has spoken is not displaced,
	come(a, "a2").Leave()  // nor who has left
	come(a, "a3")
	come(b, "b2")
	come(a, "a4")
	come(a, "a5")
	come(a, "a6")
	for i := range 4 { // networks of which nobody is there
		come(fmt.Sprintf("2001:db8:0:%d::1", i+1), fmt.Sprint("newcomer ", i))
	}
	if want := []string{"a3", "a4", "b1", "a5"}; !slices.Equal(gone, want) {
		t.Errorf("displaced are %v, want %v", gone, want)
	}
	if _, handshakes, _ := c.Counts(); handshakes != 6 {
		t.Errorf("%d handshakes", handshakes)
	}
	// Each network has one now. Another is let in, but none of those gets a second.
	if _, refusal := c.Enter(tcp(a), nil); refusal != TooManyHandshakes {
		t.Errorf("a second one of a network is refused with %q", refusal)
	}
	come("192.0.2.9", "the last")
	if len(gone) != 5 {
		t.Errorf("displaced are %v", gone)
	}
}

// TestWhoIsDisplacedIsCountedUntilItIsClosed, and a handshake no more.
func TestWhoIsDisplacedIsCountedUntilItIsClosed(t *testing.T) {
	c := NewCounter(Limits{Handshakes: 1})
	var first *Visit
	first, _ = c.Enter(tcp("192.0.2.1"), func() { first.Spoken() }) // it may end its handshake that moment
	second := enter(t, c, "192.0.2.2")[0]
	if connections, handshakes, networks := c.Counts(); connections != 2 || handshakes != 1 || networks != 2 {
		t.Errorf("%d connections, %d handshakes, %d networks", connections, handshakes, networks)
	}
	first.Leave()
	second.Leave()
	if connections, handshakes, networks := c.Counts(); connections != 0 || handshakes != 0 || networks != 0 {
		t.Errorf("%d connections, %d handshakes, %d networks are left", connections, handshakes, networks)
	}
}

// TestWhoGivesWayIsOfThoseWithTheMost has many come, speak and go, and looks at all of them each time.
func TestWhoGivesWayIsOfThoseWithTheMost(t *testing.T) {
	const limit, share = 40, 12
	c := NewCounter(Limits{Handshakes: limit, HandshakesPerNetwork: share})
	random := rand.New(rand.NewPCG(1, 2))
	shaking := map[netip.Prefix][]*Visit{} // the oldest first
	var there []*Visit
	forget := func(v *Visit) {
		p := v.network.prefix
		shaking[p] = slices.DeleteFunc(shaking[p], func(o *Visit) bool { return o == v })
	}
	displacements := 0
	for range 20_000 {
		if len(there) > 0 && random.IntN(3) == 0 {
			i := random.IntN(len(there))
			v := there[i]
			forget(v)
			if random.IntN(2) == 0 {
				v.Spoken()
			} else {
				v.Leave()
				there = slices.Delete(there, i, i+1)
			}
			continue
		}
		all, most := 0, 0
		for _, visits := range shaking {
			all, most = all+len(visits), max(most, len(visits))
		}
		address := tcp(fmt.Sprintf("192.0.2.%d", 1+int(random.ExpFloat64()*8)%100)) // some come often
		own := len(shaking[NetworkOf(address)])
		wantGone := all == limit && own < share && own < most
		var v, gone *Visit
		var refusal Refusal
		v, refusal = c.Enter(address, func() {})
		if (refusal == "") != (own < share && (all < limit || wantGone)) {
			t.Fatalf("%d of %d, the most have %d, its own %d: %q", all, limit, most, own, refusal)
		}
		for _, visits := range shaking {
			for i, o := range visits {
				if o.shaking != nil {
					continue
				}
				if gone != nil || i != 0 || len(visits) != most {
					t.Fatalf("number %d of %d gave way, the most are %d", i, len(visits), most)
				}
				gone = o
			}
		}
		if (gone != nil) != wantGone {
			t.Fatalf("displaced: %v, want %v", gone != nil, wantGone)
		}
		if gone != nil {
			displacements++
			forget(gone)
		}
		if v != nil {
			there = append(there, v)
			shaking[v.network.prefix] = append(shaking[v.network.prefix], v)
		}
	}
	if displacements < 500 {
		t.Errorf("only %d were displaced", displacements)
	}
	for _, v := range there {
		v.Leave()
	}
	if connections, handshakes, networks := c.Counts(); connections+handshakes+networks+len(c.ranks.with)+c.ranks.most != 0 {
		t.Errorf("something is left: %d connections, %d handshakes, %d networks, %v", connections, handshakes, networks, c.ranks)
	}
}
