// Package crowd counts the connections of a listener and keeps them within limits: all of them, those from one
// network, and those that have not said anything yet.
//
// A connection is counted from Enter to Leave. Until it has proved that somebody is there, by ending a handshake or
// sending a request, it is also counted among the handshakes, of which one network gets only a share: it takes next to
// nothing to open connections and say nothing, and whoever does must not keep all others out. A few networks together
// must not either: when all handshakes are taken, whoever comes from a network that has fewer than the one with the most
// displaces the oldest of that one.
//
// What a limit calls an address is a network: an IPv4 address, or the 64 bits of an IPv6 address that a provider gives
// to one subscriber, who has 2^64 addresses in it.
package crowd

import (
	"container/list"
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
	// HandshakeDisplaced is what a connection is counted as that was let in, said nothing, and was closed for another.
	HandshakeDisplaced Refusal = "handshake-displaced"
)

// Refusals are all of them.
var Refusals = []Refusal{TooManyFromAddress, TooMany, TooManyHandshakesFromAddress, TooManyHandshakes, HandshakeDisplaced}

// Counter counts connections. All methods may be called from any goroutine.
type Counter struct {
	// mu guards all below, and the fields of networks and visits that say so.
	mu                      sync.Mutex
	limits                  Limits
	connections, handshakes int
	networks                map[netip.Prefix]*network
	ranks                   ranks
}

// NewCounter returns a counter of nobody.
func NewCounter(limits Limits) *Counter {
	return &Counter{limits: limits, networks: make(map[netip.Prefix]*network), ranks: ranks{with: make(map[int]*list.List)}}
}

// Change puts other limits in force for connections that come from now on. Those there are stay.
func (c *Counter) Change(limits Limits) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limits = limits
}

// Visit is a connection that was let in.
type Visit struct {
	counter   *Counter
	network   *network
	displaced func()
	// Guarded by counter.mu.
	shaking *list.Element // of the network's handshakes; nil if it is none any more
	left    bool
}

// Enter lets a connection in, or says why not. All peers that have no IP address are one network. While the connection
// has not spoken it may have to make room for another: then displaced is called, once, by whoever comes in, and has to
// close it without waiting for anything. Whether it is called or not, Leave is to follow.
func (c *Counter) Enter(peer net.Addr, displaced func()) (*Visit, Refusal) {
	v, gone, refusal := c.enter(NetworkOf(peer), displaced)
	if gone != nil {
		gone.displaced()
	}
	return v, refusal
}

// enter also returns whose handshake gave way.
func (c *Counter) enter(prefix netip.Prefix, displaced func()) (v, gone *Visit, refusal Refusal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	own := c.networks[prefix]
	if own == nil {
		own = &network{prefix: prefix}
	}
	over := func(limit, n int) bool { return limit > 0 && n >= limit }
	switch handshakes := own.handshakes.Len(); {
	case over(c.limits.PerNetwork, own.connections):
		return nil, nil, TooManyFromAddress
	case over(c.limits.Connections, c.connections):
		return nil, nil, TooMany
	case over(c.limits.PerNetworkHandshakes(), handshakes):
		return nil, nil, TooManyHandshakesFromAddress
	case over(c.limits.Handshakes, c.handshakes):
		if handshakes >= c.ranks.most {
			return nil, nil, TooManyHandshakes
		}
		gone = c.ranks.oldest()
		c.endHandshake(gone)
	}
	c.networks[prefix] = own
	own.connections++
	c.connections++
	v = &Visit{counter: c, network: own, displaced: displaced}
	c.beginHandshake(v)
	return v, gone, ""
}

// Spoken says that somebody is there. Further calls do nothing.
func (v *Visit) Spoken() {
	v.counter.mu.Lock()
	defer v.counter.mu.Unlock()
	v.counter.endHandshake(v)
}

// Leave says that the connection is closed. Further calls do nothing.
func (v *Visit) Leave() {
	c := v.counter
	c.mu.Lock()
	defer c.mu.Unlock()
	if v.left {
		return
	}
	v.left = true
	c.endHandshake(v)
	c.connections--
	if v.network.connections--; v.network.connections == 0 {
		delete(c.networks, v.network.prefix)
	}
}

// Counts returns how many connections there are, how many of them have not said anything yet, and of how many networks
// they are.
func (c *Counter) Counts() (connections, handshakes, networks int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.connections, c.handshakes, len(c.networks)
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
