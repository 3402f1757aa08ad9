package remux

import (
	"bytes"

	"github.com/headwater-live/headwater/remux/flvtag"
)

// maxEarly and maxEarlyBytes bound the frames of a track that wait for its decoder
// configuration.
const (
	maxEarly      = 256
	maxEarlyBytes = 4 << 20
)

// videoTrack is the state of a publication's video.
type videoTrack struct {
	codec flvtag.Codec
	// config is the configuration in force, next the one that waits for its
	// keyframe, and facts those of config.
	config, next *videoConfig
	facts        videoFacts
	// header is the body of the last sequence header that came, by which an identical
	// repeat is known.
	header   []byte
	explicit bool // a sequence header came since the last keyframe
	// open: a keyframe has been passed on, so that what follows can be decoded.
	open     bool
	sawStart bool // a picture at which decoding can start, by its NALUs
	early    []*Packet
	size     int
	frames   frameMeter
}

// videoConfig is a decoder configuration.
type videoConfig struct {
	pkt     Packet  // without its DTS
	decoder decoder // nil for a codec that is not looked into
	facts   videoFacts
}

// current returns the newest configuration, nil if there is none.
func (v *videoTrack) current() *videoConfig {
	if v.next != nil {
		return v.next
	}
	return v.config
}

// known reports whether the track can be announced.
func (v *videoTrack) known() bool { return v.config != nil || v.next != nil || v.open }

// giveUp drops the frames that waited for a configuration in vain.
func (v *videoTrack) giveUp(p *Publication) {
	p.counters.Unconfigured += uint64(len(v.early))
	p.dropped(v.early...)
	v.early, v.size = nil, 0
}

func (p *Publication) writeVideo(m Message) {
	if len(m.Payload) == 0 {
		p.counters.Ignored++
		return
	}
	b, err := readVideo(m.Payload)
	if err != nil {
		p.counters.Malformed++
		return
	}
	switch {
	case b.relayed():
		p.relay(Video, m, b)
	case b.packet == flvtag.SequenceHeader:
		p.videoConfig(m.Payload, b)
	case b.packet == flvtag.Frames && !b.empty():
		p.videoFrame(m, b)
	default:
		p.counters.Ignored++
	}
}

// videoConfig takes a sequence header. It takes effect at the next keyframe; an
// identical repeat is nothing.
func (p *Publication) videoConfig(payload []byte, b body) {
	v := &p.video
	v.explicit = true
	if bytes.Equal(payload, v.header) {
		return
	}
	next := &videoConfig{pkt: *b.packetOf(VideoConfig, 0, bytes.Clone(payload))}
	if s := syntaxOf(b.codec); s != nil {
		d, err := s.parse(next.pkt.Body())
		if err != nil {
			p.counters.Malformed++
			return
		}
		next.decoder, next.facts = d, d.facts()
	}
	v.header = next.pkt.Payload
	v.codec = b.codec
	if v.config != nil && bytes.Equal(v.header, v.config.pkt.Payload) {
		v.next = nil
		return
	}
	v.next = next
	early := v.early
	v.early, v.size = nil, 0
	for _, pkt := range early {
		p.passVideo(pkt)
	}
}

// videoFrame takes an access unit.
func (p *Publication) videoFrame(m Message, b body) {
	dts, repair := p.place(Video, m.Timestamp)
	pkt := b.packetOf(VideoFrame, dts, m.Payload)
	pkt.Keyframe = b.key
	pkt.Discontinuity = repair == Jumped
	pkt.Composition = max(0, b.composition)
	p.counters.VideoFrames++
	p.video.frames.add(dts)
	if s := syntaxOf(b.codec); s != nil && !p.inspect(pkt, b, s) {
		p.counters.Malformed++
		p.dropped(pkt)
		return
	}
	if p.video.current() == nil && needsVideoConfig(b.codec) {
		p.keepEarly(&p.video.early, &p.video.size, pkt)
		return
	}
	p.passVideo(pkt)
}

// passVideo emits a frame, with the configuration that takes effect at it.
func (p *Publication) passVideo(pkt *Packet) {
	v := &p.video
	v.giveUp(p) // those that wait are of another codec: after this frame they would be late
	if pkt.Keyframe {
		p.counters.Keyframes++
		v.frames.addKeyframe(pkt.DTS)
		v.explicit = false
		if v.next != nil {
			p.emit(v.apply(pkt.DTS))
		}
		v.open = true
	}
	if !v.open {
		p.counters.Undecodable++
		p.dropped(pkt)
		return
	}
	p.emit(pkt)
}

// apply puts the next configuration in force and returns its packet.
func (v *videoTrack) apply(dts int64) *Packet {
	v.config, v.next = v.next, nil
	v.facts = v.config.facts
	pkt := v.config.pkt
	pkt.DTS = dts
	return &pkt
}

// keepEarly keeps a frame until its configuration comes. Once the tracks are
// decided, or too much waits, the frames are dropped.
func (p *Publication) keepEarly(list *[]*Packet, size *int, pkt *Packet) {
	if len(*list) >= maxEarly || *size+len(pkt.Payload) > maxEarlyBytes {
		p.counters.Unconfigured += uint64(len(*list)) + 1
		p.dropped(*list...)
		p.dropped(pkt)
		*list, *size = nil, 0
		return
	}
	*list = append(*list, pkt)
	*size += len(pkt.Payload)
}

// needsVideoConfig reports whether a codec cannot be decoded without a sequence
// header.
func needsVideoConfig(c flvtag.Codec) bool {
	switch c {
	case flvtag.H264, flvtag.HEVC, flvtag.VVC, flvtag.AV1, flvtag.VP9:
		return true
	}
	return false
}
