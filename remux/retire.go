package remux

import (
	"maps"
	"slices"
)

// A process in whose place another one publishes may go on for those who watch: its hub retires, and gets what it shows
// them from there.

// Retire ends all publications, and closes the sinks that the hub's factories have made: another process does their work.
// Streams stay for those who watch them, and end only by EndStream or Close. From now on Publish fails with ErrClosed,
// and Relay publishes.
func (h *Hub) Retire() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.retired = true
	for _, s := range h.streams {
		s.mu.Lock()
		if s.publication != nil {
			s.endLocked(s.publication, EndShutdown)
		}
		if s.grace != nil {
			s.grace.Stop()
		}
		for _, sink := range s.sinks[:s.made] {
			sink.Close()
		}
		s.sinks = slices.Clone(s.sinks[s.made:])
		s.made = 0
		s.mu.Unlock()
	}
}

// Relay begins a publication in a hub that has retired, as Publish does in others.
func (h *Hub) Relay(name StreamName, publisher Publisher) (*Publication, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	return h.publishLocked(name, publisher)
}

// Watched returns the names of all streams of a hub that has retired which somebody watches, or waits for.
func (h *Hub) Watched() []StreamName {
	h.mu.Lock()
	defer h.mu.Unlock()
	names := slices.Collect(maps.Keys(h.arrivals))
	for name, s := range h.streams {
		s.mu.Lock()
		if len(s.sinks) > 0 {
			names = append(names, name)
		}
		s.mu.Unlock()
	}
	return names
}

// EndStream ends a stream, if there is one of that name, without a grace period.
func (h *Hub) EndStream(name StreamName) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.streams[name]
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.publication != nil {
		s.endLocked(s.publication, EndShutdown)
	}
	delete(h.streams, name)
	s.closeLocked()
	h.gone.merge(&s.tally)
}
