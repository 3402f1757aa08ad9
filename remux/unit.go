package remux

import "github.com/headwater-live/headwater/remux/h264"

// inspect puts an access unit right: Annex B gets lengths, the keyframe flag says what
// the slices say, and parameter sets that came in the frame become a configuration where
// none came otherwise. It returns false for what is no access unit.
func (p *Publication) inspect(pkt *Packet, b body, s *syntax) bool {
	v := &p.video
	facts, lengthSize := p.look(pkt, b, s)
	if facts.nalus == 0 {
		return false
	}
	if facts.start {
		v.sawStart = true
	}
	pkt.Keyframe = p.decodable(facts, b)
	pkt.Recovery = !pkt.Keyframe && facts.slices > 0 && (facts.recovery || b.key)
	if facts.sets && !v.explicit {
		p.deriveConfig(pkt, b, s, lengthSize)
	}
	return true
}

// look puts the NALUs of an access unit right and says what is in them, and how long their lengths are.
func (p *Publication) look(pkt *Packet, b body, s *syntax) (facts unitFacts, lengthSize int) {
	lengthSize = 4
	if c := p.video.current(); c != nil && c.pkt.Codec == pkt.Codec {
		lengthSize = c.facts.lengthSize
	}
	// What shares its body with other tracks stays as it is.
	if !b.multitrack && s.isAnnexB(pkt.Body()) {
		converted := append(make([]byte, 0, len(pkt.Payload)+64), pkt.Payload[:pkt.Data]...)
		pkt.Payload = h264.AppendAVCC(converted, pkt.Body())
		pkt.End = len(pkt.Payload)
		lengthSize = 4
	}
	return s.inspect(pkt.Body(), lengthSize), lengthSize
}

// decodable reports whether decoding can start at an access unit. An encoder that never sends such a picture (open GOP of
// H.264, intra refresh) is taken at its word, so that it gets a stream at all.
func (p *Publication) decodable(facts unitFacts, b body) bool {
	return facts.start || (!p.video.sawStart && b.key && facts.slices > 0)
}

// deriveConfig makes a sequence header from the parameter sets in an access unit,
// if they are not those in force. A sequence header that came since the last
// keyframe has the last word, else an encoder whose two copies differ would change
// configuration at every keyframe.
func (p *Publication) deriveConfig(pkt *Packet, b body, s *syntax, lengthSize int) {
	v := &p.video
	if c := v.current(); c != nil && c.decoder != nil && c.pkt.Codec == pkt.Codec && c.decoder.holds(pkt.Body(), lengthSize) {
		return
	}
	d, err := s.derive(pkt.Body(), lengthSize)
	if err != nil {
		p.counters.Malformed++
		return
	}
	front := s.header(b.enhanced)
	payload := d.Append(front)
	v.codec = s.codec
	v.next = &videoConfig{
		pkt:     Packet{Kind: VideoConfig, Codec: s.codec, Payload: payload, Data: len(front), End: len(payload)},
		decoder: d,
		facts:   d.facts(),
	}
}
