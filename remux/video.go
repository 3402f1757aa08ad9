package remux

import (
	"bytes"

	"github.com/headwater-live/headwater/remux/flvtag"
	"github.com/headwater-live/headwater/remux/h264"
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
	// keyframe: bodies of sequence header tags. header is the last sequence header
	// that came, by which an identical repeat is known.
	config, next, header []byte
	avc, nextAVC         h264.Config
	explicit             bool // a sequence header came since the last keyframe
	// open: a keyframe has been passed on, so that what follows can be decoded.
	open   bool
	sawIDR bool
	early  []*Packet
	size   int
	frames frameMeter
}

// known reports whether the track can be announced.
func (v *videoTrack) known() bool { return v.config != nil || v.next != nil || v.open }

// giveUp drops the frames that waited for a configuration in vain.
func (v *videoTrack) giveUp(p *Publication) {
	p.counters.Unconfigured += uint64(len(v.early))
	v.early, v.size = nil, 0
}

func (p *Publication) writeVideo(m Message) {
	h, err := flvtag.ParseVideo(m.Payload)
	if err != nil {
		p.counters.Malformed++
		return
	}
	switch h.Packet {
	case flvtag.SequenceHeader:
		p.videoConfig(m.Payload, h)
	case flvtag.Frames:
		if h.Data < len(m.Payload) {
			p.videoFrame(m, h)
			return
		}
		p.counters.Ignored++
	default:
		p.counters.Ignored++
	}
}

// videoConfig takes a sequence header. It takes effect at the next keyframe; an
// identical repeat is nothing.
func (p *Publication) videoConfig(body []byte, h flvtag.VideoHeader) {
	v := &p.video
	v.explicit = true
	if bytes.Equal(body, v.header) {
		return
	}
	var avc h264.Config
	if h.Codec == flvtag.H264 {
		var err error
		if avc, err = h264.ParseConfig(body[h.Data:]); err != nil {
			p.counters.Malformed++
			return
		}
	}
	v.header = bytes.Clone(body)
	v.codec = h.Codec
	if bytes.Equal(v.header, v.config) {
		v.next = nil
		return
	}
	v.next, v.nextAVC = v.header, avc
	early := v.early
	v.early, v.size = nil, 0
	for _, pkt := range early {
		p.passVideo(pkt)
	}
}

// videoFrame takes an access unit.
func (p *Publication) videoFrame(m Message, h flvtag.VideoHeader) {
	dts, repair := p.place(Video, m.Timestamp)
	pkt := &Packet{
		Kind:          VideoFrame,
		Codec:         h.Codec,
		Keyframe:      h.Frame == flvtag.FrameKey,
		Discontinuity: repair == Jumped,
		DTS:           dts,
		Composition:   max(0, h.Composition),
		Payload:       m.Payload,
		Data:          h.Data,
	}
	p.counters.VideoFrames++
	p.video.frames.add(dts)
	if h.Codec == flvtag.H264 && !p.inspectH264(pkt, h) {
		p.counters.Malformed++
		return
	}
	if p.video.config == nil && p.video.next == nil && needsVideoConfig(h.Codec) {
		p.keepEarly(&p.video.early, &p.video.size, pkt)
		return
	}
	p.passVideo(pkt)
}

// passVideo emits a frame, with the configuration that takes effect at it.
func (p *Publication) passVideo(pkt *Packet) {
	v := &p.video
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
		return
	}
	p.emit(pkt)
}

// apply puts the next configuration in force and returns its packet.
func (v *videoTrack) apply(dts int64) *Packet {
	v.config, v.avc, v.next = v.next, v.nextAVC, nil
	h, _ := flvtag.ParseVideo(v.config)
	return &Packet{Kind: VideoConfig, Codec: h.Codec, DTS: dts, Payload: v.config, Data: h.Data}
}

// keepEarly keeps a frame until its configuration comes. Once the tracks are
// decided, or too much waits, the frames are dropped.
func (p *Publication) keepEarly(list *[]*Packet, size *int, pkt *Packet) {
	if len(*list) >= maxEarly || *size+len(pkt.Payload) > maxEarlyBytes {
		p.counters.Unconfigured += uint64(len(*list)) + 1
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
