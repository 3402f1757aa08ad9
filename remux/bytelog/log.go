package bytelog

import (
	"bytes"
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
	// viewers who had caught up; nil is not at all.
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
	// The newest of each, which who joins is sent first.
	metadata, video, audio *remux.Packet
	states                 remux.States
	// configs counts the changes of those, so that who jumps knows what it missed.
	configs uint64
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

// audioJoin is how far apart, in ms, the places are where a viewer may join a stream without
// video: it begins with up to so much, which lets a player start at once.
const audioJoin = 1_000

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
	l.begun, l.joinable, l.keyed, l.between = true, false, false, false
	l.joinAt = l.endLocked()
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
	l.wakeSoon()
}

// note keeps what who joins must be sent, and where it begins. It returns false for a
// configuration that says nothing new.
func (l *Log) note(pkt *remux.Packet) bool {
	var kept **remux.Packet
	switch pkt.Kind {
	case remux.Metadata:
		kept = &l.metadata
	case remux.VideoConfig:
		kept = &l.video
	case remux.AudioConfig:
		kept = &l.audio
	case remux.VideoState, remux.AudioState:
		if l.states.Keep(pkt) {
			l.configs++
		}
		return true
	default:
		l.clock.start(pkt.DTS)
		if l.joins(pkt) {
			l.release() // who joins begins after it
			l.joinAt, l.joinDTS, l.joinable, l.starting = l.endLocked(), pkt.DTS, true, true
		}
		l.keyed = l.keyed || pkt.Keyframe
		return true
	}
	if *kept != nil && bytes.Equal((*kept).Payload, pkt.Payload) {
		return false
	}
	*kept = pkt
	l.configs++
	return true
}

// joins reports whether who joins from now on begins with this frame: a keyframe, or a frame now
// and then where there is no video. A publication's first keyframe does not count if sound came
// shortly before it: who joins gets that too, as who was there did.
func (l *Log) joins(pkt *remux.Packet) bool {
	switch {
	case !l.joinable:
		return true
	case !l.tracks.Video || (pkt.Keyframe && !l.keyed):
		return pkt.DTS-l.joinDTS >= audioJoin
	}
	return pkt.Keyframe
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
