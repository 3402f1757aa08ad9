package remux

import "github.com/headwater-live/headwater/remux/flvtag"

// defaultTrack is the id of the track of a multitrack body that all outputs know. The
// others are further ones: relayed where the bytes are, and unknown elsewhere.
const defaultTrack = 0

// body is what a message says of itself: of its default track, if it has several.
type body struct {
	codec       flvtag.Codec
	packet      flvtag.Packet
	key         bool // the encoder calls it a keyframe
	composition int32
	data, end   int // where the coded data are
	enhanced    bool
	multitrack  bool
	// further: the default track is not in it. id is that of its first track.
	further bool
	id      uint8
}

func (b *body) empty() bool { return b.data >= b.end }

func readVideo(payload []byte) (body, error) {
	h, err := flvtag.ParseVideo(payload)
	b := body{
		codec: h.Codec, packet: h.Packet, key: h.Frame == flvtag.FrameKey, composition: h.Composition,
		data: h.Data, end: len(payload), enhanced: h.Enhanced,
	}
	if err != nil || h.Packet != flvtag.Multitrack {
		return b, err
	}
	return b.choose(func(yield func(flvtag.Track) bool) error { return flvtag.VideoTracks(payload, h, yield) })
}

func readAudio(payload []byte) (body, error) {
	h, err := flvtag.ParseAudio(payload)
	b := body{codec: h.Codec, packet: h.Packet, data: h.Data, end: len(payload), enhanced: h.Enhanced}
	if err != nil || h.Packet != flvtag.Multitrack {
		return b, err
	}
	return b.choose(func(yield func(flvtag.Track) bool) error { return flvtag.AudioTracks(payload, h, yield) })
}

// choose fills in what the default track says, or the first one where that is missing.
// A body that is cut off is an error only if nothing is found in it.
func (b body) choose(tracks func(yield func(flvtag.Track) bool) error) (body, error) {
	b.multitrack, b.further, b.packet = true, true, flvtag.Other
	first := true
	err := tracks(func(t flvtag.Track) bool {
		isDefault := t.ID == defaultTrack
		if first || isDefault {
			b.codec, b.packet, b.composition = t.Codec, t.Packet, t.Composition
			b.data, b.end = t.At, t.At+len(t.Data)
			b.id, b.further = t.ID, !isDefault
		}
		first = false
		return !isDefault
	})
	if first {
		return b, err
	}
	return b, nil
}

// packetOf returns a packet of the default track's data.
func (b *body) packetOf(kind Kind, dts int64, payload []byte) *Packet {
	return &Packet{Kind: kind, Codec: b.codec, DTS: dts, Payload: payload, Data: b.data, End: b.end}
}
