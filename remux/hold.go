package remux

import "github.com/headwater-live/headwater/remux/flvtag"

// When a timestamp jumps it cannot be known at once whether its track alone has
// jumped (then that one is put back beside the other) or the publisher's clock has
// (then both continue together, after a discontinuity). So messages wait, for a
// few frames, until the other track has shown what it does.

// mustHold reports whether a message begins such a wait.
func (p *Publication) mustHold(m Message) bool {
	track, ok := frameTrack(m)
	if !ok || !p.stream.timeline.Jumps(track, m.Timestamp) {
		return false
	}
	if p.stream.timeline.Alone(track) {
		p.stream.timeline.Rebase(track, m.Timestamp)
		return false
	}
	return true
}

// hold adds a message to those that wait, and ends the wait if it can.
func (p *Publication) hold(m Message) {
	p.held = append(p.held, m)
	p.heldBytes += len(m.Payload)
	jumped, _ := frameTrack(p.held[0])
	track, ok := frameTrack(m)
	t := &p.stream.timeline
	switch {
	case !ok:
	case track != jumped && t.Jumps(track, m.Timestamp):
		if near(p.held[0].Timestamp, m.Timestamp) {
			t.Rebase(jumped, p.held[0].Timestamp, m.Timestamp)
		}
		p.release()
		return
	default:
		if p.heldSpan(track) >= maxHeldSpan {
			p.release()
			return
		}
	}
	if len(p.held) >= maxHeld || p.heldBytes >= maxHeldBytes {
		p.release()
	}
}

// heldSpan is the time, in ms, between the first and last waiting frames of a
// track.
func (p *Publication) heldSpan(track Track) int32 {
	var first, last uint32
	found := false
	for _, m := range p.held {
		if t, ok := frameTrack(m); ok && t == track {
			if !found {
				first, found = m.Timestamp, true
			}
			last = m.Timestamp
		}
	}
	return int32(last - first)
}

// release writes all that waits.
func (p *Publication) release() {
	held := p.held
	p.held, p.heldBytes = nil, 0
	for _, m := range held {
		p.write(m)
	}
}

// near reports whether two timestamps of different tracks can be from the same
// clock.
func near(a, b uint32) bool {
	d := int32(a - b)
	return -maxForward < d && d < maxForward
}

// frameTrack returns the track of a message that carries a frame: only those have
// timestamps that mean something.
func frameTrack(m Message) (Track, bool) {
	switch m.Type {
	case flvtag.Video:
		b, err := readVideo(m.Payload)
		return Video, err == nil && b.isFrame()
	case flvtag.Audio:
		b, err := readAudio(m.Payload)
		return Audio, err == nil && b.isFrame()
	}
	return 0, false
}

// isFrame reports whether a body has a frame of the default track.
func (b *body) isFrame() bool { return b.packet == flvtag.Frames && !b.further && !b.empty() }
