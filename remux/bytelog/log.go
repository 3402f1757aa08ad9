package bytelog

import (
	"sync"
	"time"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/histogram"
)

// Options are what logs of one format may differ in.
type Options struct {
	// Latency is the longest time a packet waits for others before viewers are woken; 0 is
	// at once.
	Latency time.Duration
	// NoAudio and NoVideo leave a track out.
	NoAudio, NoVideo bool
	// MaxTime is the largest time, in ms, that the format can say; 0 is no bound. See clock.
	MaxTime int64
	// Delay observes how long it takes from a packet's arrival until it has been written to those
	// viewers who are swept, that is who had caught up, and over a bare TCP connection; nil is not
	// at all.
	Delay *histogram.Histogram
}

// Log is a stream rendered in one format. It is a remux.Sink.
type Log struct {
	format  Format
	options Options // but for the latency

	mu      sync.Mutex
	latency time.Duration
	clock   clock
	tail    *slab
	// slabSize is that of the next slab, by the wakes since the tail began.
	slabSize, wakes int
	joinAt          Position // where who joins begins, and who fell behind continues
	joinDTS         int64
	// joinPackets have been written since joinAt.
	joinPackets int
	// adrift: too much has come since a keyframe, and joinAt goes along with the end. See drift.
	adrift bool
	// keyless: there was too much, and recovery points serve until the next keyframe. See starts.
	keyless bool
	// joinable: joinAt is at a frame of the running publication.
	joinable bool
	// between: the publication has ended and no other has begun. Who joins waits at the end.
	between bool
	// starting: the next unit is where who joins begins.
	starting bool
	// keyed: the running publication has had a keyframe.
	keyed  bool
	begun  bool
	closed bool
	// retired: closed because its clock has come to its end, while the stream goes on.
	retired bool
	tracks  remux.Tracks
	// What who joins is sent first, and states after it.
	metadata, video, audio setup
	states                 remux.States
	// configs counts the changes of those, so that who jumps knows what it missed.
	configs uint64
	// unaware: somebody joined this publication before all of a setup was confirmed.
	unaware bool
	// wake is closed and replaced when there is something new to read.
	wake    chan struct{}
	pending *time.Timer
	due     bool // pending runs
	// sweepers write to who has caught up, and running counts them. announced is the end as
	// they have been told of it.
	sweepers  []*sweeper
	running   *sync.WaitGroup
	announced int64
	// arrived is when the first packet came that viewers have not been told of, zero if
	// there is none.
	arrived time.Time

	// viewers is guarded by the mutex of Logs.
	viewers int
}

// New returns an empty log.
func New(format Format, options Options) *Log {
	first := newSlab(0, minSlab)
	return &Log{
		format:   format,
		options:  options,
		latency:  options.Latency,
		tail:     first,
		slabSize: minSlab,
		joinAt:   Position{slab: first},
		clock:    clock{max: options.MaxTime},
		wake:     make(chan struct{}),
		running:  new(sync.WaitGroup),
	}
}

// Begin implements remux.Sink.
func (l *Log) Begin(tracks remux.Tracks) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.tracks = remux.Tracks{
		Audio: tracks.Audio && !l.options.NoAudio,
		Video: tracks.Video && !l.options.NoVideo,
	}
	if f, ok := l.format.(Beginner); ok {
		f.Begin(l.tracks)
	}
	l.begun, l.joinable, l.keyed, l.between = true, false, false, false
	l.joinAt, l.joinPackets, l.adrift, l.keyless = l.endLocked(), 0, false, false
	for _, s := range l.setups() {
		s.confirmed = false
	}
	l.unaware = false
	if len(l.states.All()) > 0 {
		l.states.Reset()
		l.configs++
	}
	l.wakeLocked()
}

// Write implements remux.Sink.
func (l *Log) Write(pkt *remux.Packet) {
	if track, ok := pkt.Track(); ok && (track == remux.Audio && l.options.NoAudio || track == remux.Video && l.options.NoVideo) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.retire(pkt) || !l.note(pkt) {
		return
	}
	l.append(pkt)
	l.drift(pkt)
	l.wakeSoon()
}

// End implements remux.Sink: viewers stay and wait for the next publication.
func (l *Log) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.release()
	l.between = true
	l.wakeLocked()
}

// Close implements remux.Sink: viewers read to the end and leave.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeLocked()
}

func (l *Log) closeLocked() {
	l.closed = true
	l.wakeLocked()
	if l.pending != nil {
		l.pending.Stop()
	}
}

func (l *Log) endLocked() Position { return Position{slab: l.tail, at: int(l.tail.n.Load())} }
