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
	// next frame; packets without their DTS.
	config, next *Packet
	aac          aac.Config
	open         bool
	early        []*Packet
	size         int
}

func (a *audioTrack) known() bool { return a.config != nil || a.next != nil || a.open }

func (a *audioTrack) giveUp(p *Publication) {
	p.counters.Unconfigured += uint64(len(a.early))
	p.dropped(a.early...)
	a.early, a.size = nil, 0
}

// writeAudio takes a message. Those of zero length are legal.
func (p *Publication) writeAudio(m Message) {
	if len(m.Payload) == 0 {
		p.counters.Ignored++
		return
	}
	b, err := readAudio(m.Payload)
	if err != nil {
		p.counters.Malformed++
		return
	}
	switch {
	case b.relayed():
		p.relay(Audio, m, b)
	case b.packet == flvtag.SequenceHeader:
		p.audioConfig(m.Payload, b)
	case b.packet == flvtag.Frames && !b.empty():
		p.audioFrame(m, b)
	default:
		p.counters.Ignored++
	}
}

// audioConfig takes a sequence header. It takes effect at the next frame; an
// identical repeat is nothing.
func (p *Publication) audioConfig(payload []byte, b body) {
	a := &p.audio
	if a.config != nil && bytes.Equal(payload, a.config.Payload) {
		if a.next != nil { // it was announced and taken back
			a.next, a.codec = nil, a.config.Codec
			a.aac, _ = aac.ParseConfig(a.config.Body()) // it was parsed before; of others there is none
		}
		return
	}
	next := b.packetOf(AudioConfig, 0, bytes.Clone(payload))
	config := aac.Config{}
	if b.codec == flvtag.AAC {
		var err error
		if config, err = aac.ParseConfig(next.Body()); err != nil {
			p.counters.Malformed++
			return
		}
	}
	a.aac, a.codec, a.next = config, b.codec, next
	early := a.early
	a.early, a.size = nil, 0
	for _, pkt := range early {
		p.passAudio(pkt)
	}
}

func (p *Publication) audioFrame(m Message, b body) {
	dts, repair := p.place(Audio, m.Timestamp)
	pkt := b.packetOf(AudioFrame, dts, m.Payload)
	pkt.Discontinuity = repair == Jumped
	p.counters.AudioFrames++
	if p.audio.config == nil && p.audio.next == nil && needsAudioConfig(b.codec) {
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
	a.giveUp(p) // of another codec: after this frame they would be late
	p.emit(pkt)
}

// apply puts the next configuration in force and returns its packet.
func (a *audioTrack) apply(dts int64) *Packet {
	a.config, a.next = a.next, nil
	pkt := *a.config
	pkt.DTS = dts
	return &pkt
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
