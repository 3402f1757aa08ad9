package remux

import (
	"slices"

	"github.com/headwater-live/headwater/remux/flvtag"
)

// Another process can go on with a publisher. Its publication ends here and another one begins there, at a frame with
// which one can: so that nothing is missing between both, and nothing there twice.

// CanBegin reports whether a publication could begin with a message, as far as it is known from this one: at a keyframe,
// or at any sound where there are no pictures.
func (p *Publication) CanBegin(m Message) bool {
	s := p.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m.Type {
	case flvtag.Video:
		b, err := readVideo(m.Payload)
		return err == nil && b.isFrame() && p.isKeyframe(b, m.Payload)
	case flvtag.Audio:
		b, err := readAudio(m.Payload)
		return err == nil && b.isFrame() && p.decided && !p.video.known()
	}
	return false
}

// isKeyframe is what inspect would find.
func (p *Publication) isKeyframe(b body, payload []byte) bool {
	s := syntaxOf(b.codec)
	if s == nil {
		return b.key
	}
	pkt := b.packetOf(VideoFrame, 0, payload)
	facts, _ := p.look(pkt, b, s)
	return p.decodable(facts, b)
}

// HandOver ends the publication with EndUpgrade, and returns what another one has to begin with so that it stands where
// this one stood: configurations and states as messages, whose timestamps mean nothing, and what the encoder said of
// itself. It returns false if the publication has ended before.
func (p *Publication) HandOver() (preamble []Message, properties []flvtag.Property, ok bool) {
	s := p.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.ended {
		return nil, nil, false
	}
	s.endLocked(p, EndUpgrade)
	if c := p.video.current(); c != nil {
		preamble = append(preamble, Message{Type: flvtag.Video, Payload: c.pkt.Payload})
	}
	if a := &p.audio; a.next != nil {
		preamble = append(preamble, Message{Type: flvtag.Audio, Payload: a.next.Payload})
	} else if a.config != nil {
		preamble = append(preamble, Message{Type: flvtag.Audio, Payload: a.config.Payload})
	}
	states := s.states.All()
	if !p.decided {
		states = p.early.All()
	}
	for _, pkt := range states {
		preamble = append(preamble, Message{Type: pkt.TagType(), Payload: pkt.Payload})
	}
	return preamble, slices.Clone(p.properties), true
}

// TakenBack reports whether the publication was to end after HandOver. It must not go on then.
func (p *Publication) TakenBack() bool {
	p.stream.mu.Lock()
	defer p.stream.mu.Unlock()
	return p.takenBack
}

// takeBack ends the newest publication, which has ended, if it is being handed over. The caller holds mu.
func (s *Stream) takeBack() bool {
	p := s.last
	if p == nil || p.reason != EndUpgrade || p.takenBack {
		return false
	}
	p.takenBack = true
	return true
}
