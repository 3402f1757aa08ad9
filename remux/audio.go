package remux

import (
	"bytes"

	"github.com/headwater-live/headwater/remux/aac"
	"github.com/headwater-live/headwater/remux/flvtag"
)

// audioTrack is the state of a publication's audio.
type audioTrack struct {
	codec flvtag.Codec
	// config is the configuration in force, next the one that comes before the
	// next frame: bodies of sequence header tags.
	config, next []byte
	aac          aac.Config
	open         bool
	early        []*Packet
	size         int
}

func (a *audioTrack) known() bool { return a.config != nil || a.next != nil || a.open }

func (a *audioTrack) giveUp(p *Publication) {
	p.counters.Unconfigured += uint64(len(a.early))
	a.early, a.size = nil, 0
}

func (p *Publication) writeAudio(m Message) {
	h, err := flvtag.ParseAudio(m.Payload)
	if err != nil {
		p.counters.Malformed++
		return
	}
	switch h.Packet {
	case flvtag.SequenceHeader:
		p.audioConfig(m.Payload, h)
	case flvtag.Frames:
		if h.Data < len(m.Payload) {
			p.audioFrame(m, h)
			return
		}
		p.counters.Ignored++
	default:
		p.counters.Ignored++
	}
}

// audioConfig takes a sequence header. It takes effect at the next frame; an
// identical repeat is nothing.
func (p *Publication) audioConfig(body []byte, h flvtag.AudioHeader) {
	a := &p.audio
	if bytes.Equal(body, a.config) {
		a.next = nil
		return
	}
	if h.Codec == flvtag.AAC {
		config, err := aac.ParseConfig(body[h.Data:])
		if err != nil {
			p.counters.Malformed++
			return
		}
		a.aac = config
	}
	a.codec, a.next = h.Codec, bytes.Clone(body)
	early := a.early
	a.early, a.size = nil, 0
	for _, pkt := range early {
		p.passAudio(pkt)
	}
}

func (p *Publication) audioFrame(m Message, h flvtag.AudioHeader) {
	dts, repair := p.place(Audio, m.Timestamp)
	pkt := &Packet{
		Kind:          AudioFrame,
		Codec:         h.Codec,
		Discontinuity: repair == Jumped,
		DTS:           dts,
		Payload:       m.Payload,
		Data:          h.Data,
	}
	p.counters.AudioFrames++
	if p.audio.config == nil && p.audio.next == nil && needsAudioConfig(h.Codec) {
		p.keepEarly(&p.audio.early, &p.audio.size, pkt)
		return
	}
	p.passAudio(pkt)
}

func (p *Publication) passAudio(pkt *Packet) {
	a := &p.audio
	if a.next != nil {
		p.emit(a.apply(pkt.DTS))
	}
	if !a.open {
		a.codec, a.open = pkt.Codec, true
	}
	p.emit(pkt)
}

// apply puts the next configuration in force and returns its packet.
func (a *audioTrack) apply(dts int64) *Packet {
	a.config, a.next = a.next, nil
	h, _ := flvtag.ParseAudio(a.config)
	return &Packet{Kind: AudioConfig, Codec: h.Codec, DTS: dts, Payload: a.config, Data: h.Data}
}

// needsAudioConfig reports whether a codec cannot be decoded without a sequence
// header.
func needsAudioConfig(c flvtag.Codec) bool {
	switch c {
	case flvtag.AAC, flvtag.Opus, flvtag.FLAC:
		return true
	}
	return false
}
