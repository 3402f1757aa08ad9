// Package crowd counts the connections of a listener and keeps them within limits: all of them, those from one
// network, and those that have not said anything yet.
//
// A connection is counted from Enter to Leave. Until it has proved that somebody is there, by ending a handshake or
// sending a request, it is also counted among the handshakes, of which one network gets only a share: it takes next to
// nothing to open connections and say nothing, and whoever does must not keep all others out.
//
// What a limit calls an address is a network: an IPv4 address, or the 64 bits of an IPv6 address that a provider gives
// to one subscriber, who has 2^64 addresses in it.
package crowd

import (
	"net"
	"net/netip"
	"sync"
)

// Limits bound the connections that are there at once. 0 is no limit.
type Limits struct {
	Connections, PerNetwork int
	// Handshakes are those that have not said anything yet. HandshakesPerNetwork of 0 is half of Handshakes.
	Handshakes, HandshakesPerNetwork int
}

// share is the part of the handshakes that one network gets if nothing else is said.
const share = 2

// PerNetworkHandshakes returns how many handshakes one network may have; 0 is no limit.
func (l Limits) PerNetworkHandshakes() int {
	switch {
	case l.HandshakesPerNetwork > 0:
		return l.HandshakesPerNetwork
	case l.Handshakes > 0:
		return (l.Handshakes + share - 1) / share
	}
	return 0
}

// Refusal is which limit a connection is beyond, as it is counted; "" is none.
type Refusal string

// The refusals. That of a network comes before that of all: it says more.
const (
	TooManyFromAddress           Refusal = "too-many-connections-from-address"
	TooMany                      Refusal = "too-many-connections"
	TooManyHandshakesFromAddress Refusal = "too-many-handshakes-from-address"
	TooManyHandshakes            Refusal = "too-many-handshakes"
)

// Refusals are all of them.
var Refusals = []Refusal{TooManyFromAddress, TooMany, TooManyHandshakesFromAddress, TooManyHandshakes}

// Counter counts connections. All methods may be called from any goroutine.
type Counter struct {
	// mu guards all below, and the fields of visits that say so.
	mu       sync.Mutex
	limits   Limits
	all      tally
	networks map[netip.Prefix]tally
}

// tally is how many connections there are, and how many of them have not said anything yet.
type tally struct{ connections, handshakes int }

// NewCounter returns a counter of nobody.
func NewCounter(limits Limits) *Counter {
	return &Counter{limits: limits, networks: make(map[netip.Prefix]tally)}
}

// Change puts other limits in force for connections that come from now on. Those there are stay.
func (c *Counter) Change(limits Limits) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limits = limits
}

// Visit is a connection that was let in.
type Visit struct {
	counter *Counter
	network netip.Prefix
	// Guarded by counter.mu.
	shaking, left bool
}

// Enter lets a connection in, or says why not. All peers that have no IP address are one network.
func (c *Counter) Enter(peer net.Addr) (*Visit, Refusal) {
	network := NetworkOf(peer)
	c.mu.Lock()
	defer c.mu.Unlock()
	own := c.networks[network]
	over := func(limit, n int) bool { return limit > 0 && n >= limit }
	switch {
	case over(c.limits.PerNetwork, own.connections):
		return nil, TooManyFromAddress
	case over(c.limits.Connections, c.all.connections):
		return nil, TooMany
	case over(c.limits.PerNetworkHandshakes(), own.handshakes):
		return nil, TooManyHandshakesFromAddress
	case over(c.limits.Handshakes, c.all.handshakes):
		return nil, TooManyHandshakes
	}
	v := &Visit{counter: c, network: network, shaking: true}
	c.add(network, tally{1, 1})
	return v, ""
}

// add adds to the tallies. The lock must be held.
func (c *Counter) add(network netip.Prefix, t tally) {
	c.all.connections += t.connections
	c.all.handshakes += t.handshakes
	own := c.networks[network]
	own.connections += t.connections
	own.handshakes += t.handshakes
	if own == (tally{}) {
		delete(c.networks, network)
		return
	}
	c.networks[network] = own
}

// Spoken says that somebody is there. Further calls do nothing.
func (v *Visit) Spoken() {
	v.counter.mu.Lock()
	defer v.counter.mu.Unlock()
	if v.shaking && !v.left {
		v.shaking = false
		v.counter.add(v.network, tally{handshakes: -1})
	}
}

// Leave says that the connection is closed. Further calls do nothing.
func (v *Visit) Leave() {
	v.counter.mu.Lock()
	defer v.counter.mu.Unlock()
	if v.left {
		return
	}
	v.left = true
	gone := tally{connections: -1}
	if v.shaking {
		gone.handshakes = -1
	}
	v.counter.add(v.network, gone)
}

// Counts returns how many connections there are, how many of them have not said anything yet, and of how many networks
// they are.
func (c *Counter) Counts() (connections, handshakes, networks int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all.connections, c.all.handshakes, len(c.networks)
}

// subscriber is how many bits of an IPv6 address a provider gives to one subscriber at least (RFC 6177, section 2;
// RFC 4291, section 2.5.1).
const subscriber = 64

// NetworkOf returns the network of a peer: its IPv4 address, however it is written, or the first 64 bits of its IPv6
// address. It is the zero Prefix for a peer that has neither.
func NetworkOf(peer net.Addr) netip.Prefix {
	tcp, ok := peer.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = subscriber
	}
	p, _ := ip.Prefix(bits) // the zero Prefix for an address that is none
	return p
}
