package remux

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/remux/flvtag"
)

// Errors that Hub.Publish returns.
var (
	// ErrBusy: somebody else publishes under that name.
	ErrBusy = errors.New("the stream is being published by somebody else")
	// ErrClosed: the server is stopping.
	ErrClosed = errors.New("the server is stopping")
	// ErrTooMany: the limit of streams is reached.
	ErrTooMany = errors.New("the limit of streams is reached")
)

// Conflict says what happens when a stream is published that already is.
type Conflict string

// The policies.
const (
	// Takeover lets the same credential replace its own older connection, at once.
	Takeover Conflict = "takeover"
	// Reject keeps the older connection in any case.
	Reject Conflict = "reject"
)

// Config configures a Hub.
type Config struct {
	// Grace is how long a stream outlives its publisher.
	Grace time.Duration
	// Conflict is the policy for a second publisher; "" is Takeover.
	Conflict Conflict
	// MaxStreams bounds the streams at one time; 0 is no bound.
	MaxStreams int
	// MaxTakeovers is how often a stream may be taken over in a minute from a publisher
	// that is alive, before the one that has it keeps it for half a minute; 0 is 10, and
	// less than 0 is no limit.
	MaxTakeovers int
	// CannotCarry names the outputs that cannot carry a codec, "" if all can; may be nil. It
	// must return at once.
	CannotCarry func(flvtag.Codec) string
	// Sinks make the sinks that each new stream begins with.
	Sinks []SinkFactory
	// Events hears of publications; may be zero.
	Events Events
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Events are called as things happen, with the stream's lock held: they must
// return at once and not call back.
type Events struct {
	Began func(StreamName, *Publication)
	// Live hears that a publication has shown its tracks: outputs have something to show.
	Live  func(StreamName, *Publication, Tracks)
	Ended func(StreamName, *Publication, EndReason, Counters)
	// Finding hears of a finding that is raised, and of its clearing; of one that comes and
	// goes only every ten minutes.
	Finding func(StreamName, *Publication, Finding)
	// Closed hears that a stream has ended, after its grace period or with the server, unless another process goes on
	// with it.
	Closed func(StreamName)
}

func (e Events) publicationEnded(s *Stream, p *Publication) {
	if e.Ended != nil {
		e.Ended(s.name, p, p.reason, p.counters)
	}
}

// limits are the part of a Config that Change replaces.
type limits struct {
	grace        time.Duration
	conflict     Conflict
	maxStreams   int
	maxTakeovers int
}

// Hub holds the streams by name.
type Hub struct {
	config Config // but for what is in limits
	limits atomic.Pointer[limits]
	now    func() time.Time
	// viewerIDs is the newest ID of a viewer.
	viewerIDs atomic.Uint64

	// mu guards all below. It may be held when a stream's lock is taken, never
	// the other way round.
	mu      sync.Mutex
	streams map[StreamName]*Stream
	// arrivals wait for a stream to be made.
	arrivals map[StreamName]map[*arrival]struct{}
	closed   bool
	retired  bool  // see Retire
	gone     tally // of streams that have ended
}

// arrival is somebody who waits for a stream.
type arrival struct{ made func(*Stream) }

// NewHub returns an empty hub.
func NewHub(config Config) *Hub {
	h := &Hub{
		config:   config,
		now:      config.Now,
		streams:  make(map[StreamName]*Stream),
		arrivals: make(map[StreamName]map[*arrival]struct{}),
	}
	if h.now == nil {
		h.now = time.Now
	}
	h.Change(config)
	return h
}

// Change puts Grace, Conflict, MaxStreams and MaxTakeovers of a configuration in force, for all that happens from
// now on: who is in stays, and a grace period that has begun takes as long as it was to. The rest is not looked at.
func (h *Hub) Change(config Config) {
	h.limits.Store(&limits{config.Grace, config.Conflict, config.MaxStreams, config.MaxTakeovers})
}

// Publish begins a publication. It fails with ErrBusy, ErrFlapping, ErrTooMany or
// ErrClosed.
// Who takes a stream over fences the publication before: its Done is closed and
// it can write nothing more.
func (h *Hub) Publish(name StreamName, publisher Publisher) (*Publication, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || h.retired {
		return nil, ErrClosed
	}
	return h.publishLocked(name, publisher)
}

func (h *Hub) publishLocked(name StreamName, publisher Publisher) (*Publication, error) {
	limits := h.limits.Load()
	s := h.streams[name]
	if s == nil {
		if limits.maxStreams > 0 && len(h.streams) >= limits.maxStreams {
			return nil, ErrTooMany
		}
		s = h.newStream(name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.publication; old != nil {
		if limits.conflict == Reject || old.publisher.Credential != publisher.Credential {
			return nil, ErrBusy
		}
		if !s.flaps.allow(h.now(), old, limits.maxTakeovers) {
			return nil, ErrFlapping
		}
		s.endLocked(old, EndTakenOver)
	}
	if s.grace != nil {
		s.grace.Stop()
	}
	s.generation++
	s.tally.begun++
	p := &Publication{
		stream:     s,
		generation: s.generation,
		publisher:  publisher,
		started:    h.now(),
		done:       make(chan struct{}),
	}
	if !publisher.Since.IsZero() {
		p.started = publisher.Since
	}
	s.publication, s.last = p, p
	if h.config.Events.Began != nil {
		h.config.Events.Began(name, p)
	}
	return p, nil
}

// newStream makes a stream and wakes who waits for it.
func (h *Hub) newStream(name StreamName) *Stream {
	s := &Stream{name: name, hub: h, created: h.now(), closed: make(chan struct{})}
	if !h.retired {
		for _, factory := range h.config.Sinks {
			s.sinks = append(s.sinks, factory.NewSink(name))
		}
		s.made = len(s.sinks)
	}
	h.streams[name] = s
	for a := range h.arrivals[name] {
		a.made(s)
	}
	delete(h.arrivals, name)
	return s
}

// Stream returns the stream of that name, or nil.
func (h *Hub) Stream(name StreamName) *Stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.streams[name]
}

// Expect returns the stream of that name if it exists. Otherwise made is called, once, when
// somebody publishes it: before its first packet, so who attaches a sink then misses nothing.
// When the hub is closed it is called with nil. It must not block or call the hub. The caller
// calls cancel when it waits no more.
func (h *Hub) Expect(name StreamName, made func(*Stream)) (s *Stream, cancel func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.streams[name]; s != nil {
		return s, func() {}
	}
	if h.closed {
		made(nil)
		return nil, func() {}
	}
	a := &arrival{made: made}
	if h.arrivals[name] == nil {
		h.arrivals[name] = make(map[*arrival]struct{})
	}
	h.arrivals[name][a] = struct{}{}
	return nil, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.arrivals[name], a)
		if len(h.arrivals[name]) == 0 {
			delete(h.arrivals, name)
		}
	}
}

// Waiting returns how many wait for each stream that is not there.
func (h *Hub) Waiting() map[StreamName]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	waiting := make(map[StreamName]int, len(h.arrivals))
	for name, arrivals := range h.arrivals {
		waiting[name] = len(arrivals)
	}
	return waiting
}

// Streams returns all streams, sorted by name.
func (h *Hub) Streams() []*Stream {
	h.mu.Lock()
	all := make([]*Stream, 0, len(h.streams))
	for _, s := range h.streams {
		all = append(all, s)
	}
	h.mu.Unlock()
	slices.SortFunc(all, func(a, b *Stream) int { return strings.Compare(string(a.name), string(b.name)) })
	return all
}

// expire ends a stream whose grace period has passed.
func (h *Hub) expire(s *Stream, generation uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.publication != nil || s.generation != generation || s.ended {
		return
	}
	delete(h.streams, s.name)
	s.closeLocked()
	h.gone.merge(&s.tally)
}

// Close ends all publications and streams. Publish fails from now on.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for name, waiting := range h.arrivals {
		for a := range waiting {
			a.made(nil)
		}
		delete(h.arrivals, name)
	}
	for name, s := range h.streams {
		s.mu.Lock()
		if s.publication != nil {
			s.endLocked(s.publication, EndShutdown)
		}
		s.closeLocked()
		h.gone.merge(&s.tally)
		s.mu.Unlock()
		delete(h.streams, name)
	}
}
