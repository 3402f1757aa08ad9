package remux

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Publisher is who publishes, as ingest knows it.
type Publisher struct {
	// Remote is the address of the publisher.
	Remote netip.AddrPort
	// Credential identifies the publisher when it comes back: only the same
	// credential may take over. It is compared, never shown.
	Credential string
	// Encoder is the name the encoder gives itself; untrusted text.
	Encoder string
	// Protocol is "rtmp" or "rtmps".
	Protocol string
	// Since is when it began, if that was in another process; zero is now.
	Since time.Time
}

// Stream is what a name stands for. It outlives its publishers by the grace period.
type Stream struct {
	name    StreamName
	hub     *Hub
	created time.Time
	closed  chan struct{}
	viewers viewers

	// mu guards all below, and the state of the current publication.
	mu          sync.Mutex
	timeline    Timeline
	publication *Publication // the current one, nil between publishers
	generation  uint64
	last        *Publication // the newest one, ended or not
	sinks       []Sink
	made        int // of the sinks, the first: the hub's factories made them
	gop         gopCache
	tracks      Tracks
	begun       bool // sinks have been told of the current publication
	metadata    *Packet
	videoConfig *Packet
	audioConfig *Packet
	states      States
	grace       *time.Timer
	ended       bool
	flaps       flaps
	tally       tally                  // of ended publications
	said        [numFindings]time.Time // when a finding was last logged
}

// Name returns the stream's name.
func (s *Stream) Name() StreamName { return s.name }

// Closed is closed when the stream has ended: nothing will be published on this
// Stream again, though the name may return as a new one.
func (s *Stream) Closed() <-chan struct{} { return s.closed }

// Attach adds a sink. If the stream is live the sink is brought up to date at
// once: Begin, the metadata, the configurations, and the packets of the current
// GOP. It returns false if the stream has ended.
func (s *Stream) Attach(sink Sink) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.sinks = append(s.sinks, sink)
	if !s.begun {
		return true
	}
	sink.Begin(s.tracks)
	for _, pkt := range []*Packet{s.metadata, s.videoConfig, s.audioConfig} {
		if pkt != nil {
			sink.Write(pkt)
		}
	}
	for _, pkt := range s.states.All() {
		sink.Write(pkt)
	}
	for _, pkt := range s.gop.packets {
		sink.Write(pkt)
	}
	return true
}

// Detach removes a sink without closing it. When it returns the sink will not be
// called again.
func (s *Stream) Detach(sink Sink) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sinks = slices.DeleteFunc(s.sinks, func(other Sink) bool { return other == sink })
}

// Live reports whether somebody publishes the stream.
func (s *Stream) Live() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.publication != nil
}

// EndPublication ends the current publication, if there is one, or takes back one that is being handed over.
func (s *Stream) EndPublication(reason EndReason) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.publication == nil {
		return s.takeBack()
	}
	s.endLocked(s.publication, reason)
	return true
}

// EndGeneration is EndPublication if the publication is the one of that generation.
func (s *Stream) EndGeneration(generation uint64, reason EndReason) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.publication == nil && s.generation == generation {
		return s.takeBack()
	}
	if s.publication == nil || s.publication.generation != generation {
		return false
	}
	s.endLocked(s.publication, reason)
	return true
}

// begin tells the sinks that the current publication has shown its tracks.
func (s *Stream) begin(tracks Tracks) {
	s.tracks, s.begun = tracks, true
	s.videoConfig, s.audioConfig, s.metadata = nil, nil, nil
	s.states.Reset()
	for _, sink := range s.sinks {
		sink.Begin(tracks)
	}
	if live := s.hub.config.Events.Live; live != nil {
		live(s.name, s.publication, tracks)
	}
}

// write passes a packet to the sinks and keeps what those who join will need.
func (s *Stream) write(pkt *Packet) {
	switch pkt.Kind {
	case VideoConfig:
		s.videoConfig, s.tracks.Video = pkt, true
	case AudioConfig:
		s.audioConfig, s.tracks.Audio = pkt, true
	case Metadata:
		s.metadata = pkt
	case VideoState, AudioState:
		s.states.Keep(pkt)
	default:
		s.gop.add(pkt, s.tracks.Video)
	}
	for _, sink := range s.sinks {
		sink.Write(pkt)
	}
}

// endLocked ends a publication, once, and starts the grace period.
func (s *Stream) endLocked(p *Publication, reason EndReason) {
	if p.ended {
		return
	}
	p.finish()
	p.ended, p.reason, p.endedAt = true, reason, s.hub.now()
	s.tally.end(p)
	if s.publication == p {
		s.publication = nil
		s.gop.restart()
		if s.begun {
			s.begun = false
			for _, sink := range s.sinks {
				sink.End()
			}
		}
		s.timeline.Resume()
		s.startGrace()
	}
	close(p.done)
	s.hub.config.Events.publicationEnded(s, p)
}

// startGrace lets the stream end after the grace period unless a publisher comes.
func (s *Stream) startGrace() {
	generation := s.generation
	s.grace = time.AfterFunc(s.hub.limits.Load().grace, func() { s.hub.expire(s, generation) })
}

// closeLocked ends the stream and its sinks.
func (s *Stream) closeLocked() {
	if s.ended {
		return
	}
	s.ended = true
	if s.grace != nil {
		s.grace.Stop()
	}
	for _, sink := range s.sinks {
		sink.Close()
	}
	s.sinks = nil
	close(s.closed)
	handedOver := s.last != nil && s.last.reason == EndUpgrade // it goes on elsewhere
	if closed := s.hub.config.Events.Closed; closed != nil && !handedOver {
		closed(s.name)
	}
}
