package remux

const (
	// MaxGOPPackets and MaxGOPBytes bound what a stream keeps for those who join:
	// a minute of 60 fps video with audio, or an 8 s GOP at 16 Mbit/s. A longer GOP
	// cannot be joined in its middle but at a recovery point, so all of it is let go.
	MaxGOPPackets = 6_400
	MaxGOPBytes   = 16 << 20
	// audioGOP is how much, in ms, is kept of a stream without video.
	audioGOP = 1_000
)

// gopCache keeps the packets since the newest keyframe, so that who joins can
// begin to decode at once.
type gopCache struct {
	packets []*Packet
	bytes   int
	// full: the GOP outgrew the bounds; nothing is kept until the next keyframe.
	full bool
	// keyless: the GOP has outgrown the bounds, and recovery points serve until the next keyframe.
	keyless bool
	// keyed: there was a keyframe since the publication began.
	keyed bool
}

// add takes a frame. hasVideo tells whether the stream has keyframes to wait for.
func (g *gopCache) add(pkt *Packet, hasVideo bool) {
	start := pkt.Keyframe || g.keyless && pkt.Recovery
	// The sound shortly before a publication's first keyframe stays with it.
	if (!hasVideo || !g.keyed) && len(g.packets) > 0 {
		start = pkt.DTS-g.packets[0].DTS >= audioGOP
	}
	if pkt.Keyframe {
		g.keyed, g.keyless = true, false
	}
	if start {
		g.reset()
	}
	if g.full {
		return
	}
	if len(g.packets) >= MaxGOPPackets || g.bytes+len(pkt.Payload) > MaxGOPBytes {
		g.reset()
		g.full, g.keyless = true, true
		return
	}
	g.packets = append(g.packets, pkt)
	g.bytes += len(pkt.Payload)
}

// restart forgets everything: another publication begins.
func (g *gopCache) restart() {
	g.reset()
	g.keyed, g.keyless = false, false
}

// reset forgets all packets, keeping the slice for the next GOP.
func (g *gopCache) reset() {
	clear(g.packets)
	g.packets, g.bytes, g.full = g.packets[:0], 0, false
}
