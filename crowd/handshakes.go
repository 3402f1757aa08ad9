package crowd

import (
	"container/list"
	"net/netip"
)

// network is those who come from one, while there are any. All but prefix is guarded by Counter.mu.
type network struct {
	prefix      netip.Prefix
	connections int
	handshakes  list.List     // of *Visit, the oldest first
	rank        *list.Element // among those with so many handshakes; nil if it has none
}

// ranks are the networks by how many handshakes they have, so that one with the most is found without looking at all of
// them: those who displace others may be many by the second. Guarded by Counter.mu.
type ranks struct {
	with map[int]*list.List // of *network; who has had so many for longest is first
	most int                // how many one has at most
}

// oldest returns the oldest handshake of the network with the most. There must be one.
func (r *ranks) oldest() *Visit {
	n := r.with[r.most].Front().Value.(*network)
	return n.handshakes.Front().Value.(*Visit)
}

// moved puts a network in its place that had another number of handshakes before, by one.
func (r *ranks) moved(n *network, before int) {
	if n.rank != nil {
		peers := r.with[before]
		peers.Remove(n.rank)
		n.rank = nil
		if peers.Len() == 0 {
			delete(r.with, before)
		}
	}
	now := n.handshakes.Len()
	if now > 0 {
		if r.with[now] == nil {
			r.with[now] = list.New()
		}
		n.rank = r.with[now].PushBack(n)
	}
	if now > r.most || r.with[r.most] == nil {
		r.most = now // if it was the only one with the most, it has the most still
	}
}

// beginHandshake counts a visit among those that have not said anything yet. The lock must be held.
func (c *Counter) beginHandshake(v *Visit) {
	c.handshakes++
	v.shaking = v.network.handshakes.PushBack(v)
	c.ranks.moved(v.network, v.network.handshakes.Len()-1)
}

// endHandshake counts a visit among them no more, if it was. The lock must be held.
func (c *Counter) endHandshake(v *Visit) {
	if v.shaking == nil {
		return
	}
	c.handshakes--
	v.network.handshakes.Remove(v.shaking)
	v.shaking = nil
	c.ranks.moved(v.network, v.network.handshakes.Len()+1)
}
