package load

import "time"

// playback is the buffer of a player: segments fill it, time empties it, and when it is empty the picture
// stands still until there is a segment again.
type playback struct {
	meter   *meter
	playing bool
	empty   bool // a stall is going on
	buffer  time.Duration
	at      time.Time // when buffer was true
}

// add puts a segment into the buffer. Playing begins with begin.
func (p *playback) add(d time.Duration, now time.Time) {
	p.advance(now)
	p.buffer += d
	p.empty = p.empty && p.buffer <= 0
}

// begin starts to play, when the player has what it wants to have before.
func (p *playback) begin(now time.Time) {
	if !p.playing {
		p.playing, p.at = true, now
	}
}

// advance plays up to now.
func (p *playback) advance(now time.Time) {
	if !p.playing {
		return
	}
	played := now.Sub(p.at)
	p.at = now
	if played <= p.buffer {
		p.buffer -= played
		return
	}
	stalls := int64(0)
	if !p.empty {
		stalls, p.empty = 1, true
	}
	p.meter.stall(stalls, played-p.buffer)
	p.buffer = 0
}
