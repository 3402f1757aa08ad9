package remux

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/headwater-live/headwater/remux/flvtag"
)

// What Headwater does not look into it passes on: further tracks, HDR colour information,
// the order of channels. Outputs that carry FLV tag bodies relay them untouched.

// relayed says whether a body is such.
func (b *body) relayed() bool { return b.further || b.packet == flvtag.Metadata }

// furtherSlot tells configurations of further tracks from what is said of the default one.
const furtherSlot = 1 << 8

// relay passes a message on.
func (p *Publication) relay(track Track, m Message, b body) {
	pkt := b.packetOf(FurtherVideo, p.stream.timeline.Beside(track, m.Timestamp), m.Payload)
	if track == Audio {
		pkt.Kind = FurtherAudio
	}
	switch b.packet {
	case flvtag.SequenceHeader:
		pkt.Slot = furtherSlot | uint16(b.id)
		p.noteFurther(track, b)
	case flvtag.Metadata:
		pkt.Slot = uint16(b.id)
		if b.further {
			pkt.Slot |= 2 * furtherSlot
		}
	case flvtag.Frames:
		if !p.opened(track) {
			p.counters.Undecodable++
			return
		}
		p.emit(pkt)
		return
	default:
		p.counters.Ignored++
		return
	}
	if len(pkt.Payload) <= maxStateSize {
		pkt.Payload = bytes.Clone(pkt.Payload) // it is kept, and would keep all that was read with it
	}
	pkt.Kind = VideoState
	if track == Audio {
		pkt.Kind = AudioState
	}
	p.emit(pkt)
}

// opened reports whether a track has begun, which further ones begin with.
func (p *Publication) opened(track Track) bool {
	if track == Video {
		return p.video.open
	}
	return p.audio.open
}

// FurtherTrack is a track beside the default ones.
type FurtherTrack struct {
	Kind  string `json:"kind"` // "video" or "audio"
	ID    uint8  `json:"id"`
	Codec string `json:"codec"`
}

// noteFurther takes note of a further track that has a configuration, for Info.
func (p *Publication) noteFurther(track Track, b body) {
	f := FurtherTrack{Kind: "video", ID: b.id, Codec: b.codec.String()}
	if track == Audio {
		f.Kind = "audio"
	}
	at, found := slices.BinarySearchFunc(p.further, f, func(a, b FurtherTrack) int {
		return cmp.Or(-cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	// Changes go into a copy: Info has handed out the list.
	switch {
	case found && p.further[at] != f:
		p.further = slices.Clone(p.further)
		p.further[at] = f
	case !found && len(p.further) < maxStates:
		p.further = slices.Insert(slices.Clone(p.further), at, f)
	}
}
