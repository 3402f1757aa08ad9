package bytelog

import (
	"bytes"

	"github.com/headwater-live/headwater/remux"
)

const (
	// audioJoin is how far apart, in ms, the places are where a viewer may join a stream without
	// video: it begins with up to so much, which lets a player start at once.
	audioJoin = 1_000
	// maxJoin is how many bytes of a log may come after the place where viewers join, and
	// remux.MaxGOPPackets how many packets: what a stream keeps of a GOP, with an eighth for what
	// formats add to it.
	maxJoin = remux.MaxGOPBytes + remux.MaxGOPBytes/8
)

// setup is the newest packet of a kind that who joins must have.
type setup struct {
	pkt *remux.Packet // nil before the first
	// confirmed: the running publication has sent it. Else it is an earlier one's, and this one
	// may not even have the track.
	confirmed bool
}

// setups returns them in the order in which they are sent.
func (l *Log) setups() [3]*setup { return [...]*setup{&l.metadata, &l.video, &l.audio} }

// note keeps what who joins must be sent, and where it begins. It returns false for what the log
// leaves out.
func (l *Log) note(pkt *remux.Packet) bool {
	switch pkt.Kind {
	case remux.Metadata:
		return l.keep(&l.metadata, pkt)
	case remux.VideoConfig:
		l.tracks.Video = true // it may come later than Begin
		return l.keep(&l.video, pkt)
	case remux.AudioConfig:
		l.tracks.Audio = true
		return l.keep(&l.audio, pkt)
	case remux.VideoState, remux.AudioState:
		if l.states.Keep(pkt) {
			l.configs++
		}
		return true
	case remux.VideoFrame:
		if !l.keyed && !pkt.Keyframe { // the GOP was too large to be kept: this is its middle
			if !pkt.Recovery {
				return false
			}
			l.keyless = true
		}
	}
	l.clock.start(pkt.DTS)
	if l.joins(pkt) {
		l.release() // who joins begins after it
		l.joinAt, l.joinDTS, l.joinable, l.starting = l.endLocked(), pkt.DTS, true, true
		l.joinPackets, l.adrift = 0, false
	}
	l.keyed = l.keyed || l.starts(pkt)
	l.keyless = l.keyless && !pkt.Keyframe
	return true
}

// keep keeps a packet for who joins. It returns false if all viewers have been sent it already.
func (l *Log) keep(s *setup, pkt *remux.Packet) bool {
	known := s.pkt != nil && bytes.Equal(s.pkt.Payload, pkt.Payload) && (s.confirmed || !l.unaware)
	s.confirmed = true
	if known {
		return false
	}
	s.pkt = pkt
	l.configs++
	return true
}

// joins reports whether who joins from now on begins with this frame: a keyframe, or sound now
// and then where there is no video. A publication's first keyframe does not count if sound came
// shortly before it: who joins gets that too, as who was there did.
func (l *Log) joins(pkt *remux.Packet) bool {
	start := l.starts(pkt)
	if track, _ := pkt.Track(); l.keyed || track == remux.Video && !start {
		return start
	}
	return !l.joinable || pkt.DTS-l.joinDTS >= audioJoin
}

// starts reports whether decoding of video can start with a frame. As long as a keyframe is near enough recovery
// points do not count: browsers begin with nothing else. Where it is not they are the best there is: ffmpeg's
// decoder, which most other players have, shows a picture when it is whole.
func (l *Log) starts(pkt *remux.Packet) bool { return pkt.Keyframe || l.keyless && pkt.Recovery }

// drift bounds the memory that the place where viewers join holds. Where keyframes cease, or are
// too far apart, it goes along with the log's end until the next recovery point or keyframe: who joins or jumps has
// the sound at once, and a picture from there on, or as soon as its decoder can make one.
func (l *Log) drift(pkt *remux.Packet) {
	end := l.endLocked()
	if l.joinPackets++; l.joinPackets > remux.MaxGOPPackets || end.Offset()-l.joinAt.Offset() > maxJoin {
		l.adrift, l.joinable, l.keyless = true, false, true
	}
	if l.adrift {
		l.joinAt, l.joinDTS = end, max(l.joinDTS, pkt.DTS)
	}
}
