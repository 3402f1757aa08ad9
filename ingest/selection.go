package ingest

import (
	"sync/atomic"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
)

// The chunk streams of what players are sent. Keyframes, recovery points where players begin with them, and decoder
// configurations have chunk streams of their own, so that in a stream that is rendered once for all its players a
// selection can tell them.
const (
	audioChunks  = rtmp.ChunkStreamAudio
	videoChunks  = rtmp.ChunkStreamVideo
	dataChunks   = rtmp.ChunkStreamData
	keyChunks    = 8
	configChunks = 9
)

// chunksOf returns the chunk stream of a packet. start: viewers may begin with it. Among keyframes they do not with a
// recovery point, after which pictures are whole only some time later.
func chunksOf(pkt *remux.Packet, start bool) uint32 {
	switch pkt.Kind {
	case remux.VideoFrame, remux.FurtherVideo:
		if pkt.Keyframe || pkt.Recovery && start {
			return keyChunks
		}
		return videoChunks
	case remux.AudioFrame, remux.FurtherAudio:
		return audioChunks
	case remux.Metadata:
		return dataChunks
	}
	return configChunks
}

// selection is what a player wants of a stream: all, until it says something else. It leaves
// frames out, but never what a decoder must know for those that come later.
type selection struct {
	// Set by the session as the player wishes. Until it has a wish, nothing is looked at.
	wishes                   atomic.Bool
	paused, noAudio, noVideo atomic.Bool

	// broken: pictures have been left out, so that others are of no use before a keyframe.
	broken bool
	// stopped: all has been left out because of a pause, and nothing has been sent since.
	stopped bool
}

func (s *selection) pause(paused bool) {
	s.paused.Store(paused)
	s.wishes.Store(true)
}

func (s *selection) receive(kind uint8, wanted bool) {
	if kind == rtmp.TypeAudio {
		s.noAudio.Store(!wanted)
	} else {
		s.noVideo.Store(!wanted)
	}
	s.wishes.Store(true)
}

// cut returns what is wanted up to the first message that is not, and all that follows that one.
func (s *selection) cut(units []byte, chunkSize int) (wanted, rest []byte) {
	if !s.wishes.Load() {
		return units, nil
	}
	n := 0
	for n < len(units) {
		csid, message, after := rtmp.CutMessage(units[n:], chunkSize)
		if !s.wants(csid) {
			return units[:n], after
		}
		n += len(message)
	}
	return units, nil
}

// wants decides on the next message.
func (s *selection) wants(csid uint32) bool {
	paused := s.paused.Load()
	s.stopped = s.stopped || paused
	switch csid {
	case videoChunks, keyChunks:
		if paused || s.noVideo.Load() {
			s.broken = true
			return false
		}
		s.broken = s.broken && csid != keyChunks
		if s.broken {
			return false
		}
	case audioChunks:
		if paused || s.noAudio.Load() {
			return false
		}
		// After a pause sound goes on where the picture does.
		if s.stopped && s.broken && !s.noVideo.Load() {
			return false
		}
	case dataChunks:
		return !paused
	default:
		return true
	}
	s.stopped = false
	return true
}
