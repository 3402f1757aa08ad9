package hls

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/histogram"
)

// Config configures a Server. Zero values mean the defaults of the contract.
type Config struct {
	// Segment is the shortest segment; the cut waits for the next keyframe.
	Segment time.Duration
	// Window is the number of segments in the live playlist.
	Window int
	// SegmentMaxAge is how long caches may keep a segment.
	SegmentMaxAge time.Duration
	// Carry says what becomes of a token in a playlist's query.
	Carry Carry
	// Grace is how long a stream that was restored waits for its publisher; 0 is 30 s.
	Grace time.Duration
	// Retain says how long segments stay after they have left the playlist.
	Retain Retention
	// Quota bounds what all segments together may take in the storage, in bytes; 0 is
	// no bound. Beyond it removed segments go before their time, listed ones never.
	Quota int64
	// StoreTimeout is how long a listing waits for the storage; 0 is 300 ms. What
	// takes longer is listed from memory.
	StoreTimeout time.Duration
	// MaxHeld bounds the finished segments that all channels may have in memory, while
	// they wait to be stored and listed and while the storage fails, in bytes; 0 is 256
	// MiB. Beyond it each channel may have one that waits, and one that it lists.
	MaxHeld int64
	Storage Storage
	// Listed hears of each segment that was listed, in order for each stream. It must not block;
	// may be nil.
	Listed func(SegmentStatus)
	Logger *slog.Logger
	// Now is the wall clock, for dates; nil is time.Now.
	Now func() time.Time
}

const (
	// defaultStoreTimeout leaves the longest segment in time: a new one is due 1.5 target
	// durations after the one before (listingDelay).
	defaultStoreTimeout = 300 * time.Millisecond
	defaultMaxHeld      = 256 << 20
)

func (c Config) withDefaults() Config {
	if c.Segment <= 0 {
		c.Segment = 2 * time.Second
	}
	if c.Window <= 0 {
		c.Window = 6
	}
	if c.Grace <= 0 {
		c.Grace = 30 * time.Second
	}
	if c.StoreTimeout <= 0 {
		c.StoreTimeout = defaultStoreTimeout
	}
	if c.MaxHeld <= 0 {
		c.MaxHeld = defaultMaxHeld
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Metrics count what happened in all channels.
type Metrics struct {
	SegmentsListed atomic.Uint64
	// SegmentsLost counts segments given up because the storage failed and memory was
	// full.
	SegmentsLost atomic.Uint64
	// StorageErrors counts writes that failed, StorageTimeouts listings that did not
	// wait for the storage any longer.
	StorageErrors, StorageTimeouts atomic.Uint64
	// SegmentsEvicted counts segments that went before their time because of the quota.
	SegmentsEvicted atomic.Uint64
	// FramesLeftOut counts audio frames that no segment could take: sound before the
	// first picture, and frames larger than MPEG-TS allows.
	FramesLeftOut atomic.Uint64
	// BytesSent counts the bytes of all answers' bodies.
	BytesSent atomic.Uint64
	// PublishDelay is the time from a segment's last packet to its listing.
	PublishDelay *histogram.Histogram
}

// publishDelays are the bounds of Metrics.PublishDelay: some milliseconds are usual, defaultStoreTimeout
// is the most that storing adds, and what is beyond a second is a machine that does not keep up.
var publishDelays = []time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond,
}

// Server makes a channel for each stream and answers requests for all of them. It
// is a remux.SinkFactory.
type Server struct {
	config   Config                 // as it was made; what may change is in limits
	limits   atomic.Pointer[limits] // in force
	metrics  Metrics
	stopping atomic.Bool
	held     atomic.Int64    // bytes that channels hold in memory, since the storage has not got them
	memory   atomic.Int64    // these, and those of finished segments that are not listed yet
	used     atomic.Int64    // bytes of all segments in the storage
	ctx      context.Context // ends the channels' goroutines, which finish their work
	cancel   context.CancelFunc
	hard     context.Context // ends that work
	cut      context.CancelFunc
	channels sync.WaitGroup
	quota    quota
	unread   unread
	files    openFiles

	mu     sync.RWMutex
	byName map[remux.StreamName]*names
}

// limits are the part of a Config that Change replaces.
type limits struct {
	segment      time.Duration
	window       int
	segmentCache []string
	carry        Carry
	grace        time.Duration
	retain       Retention
	quota        int64
	maxHeld      int64
}

// NewServer returns a server without channels.
func NewServer(config Config) *Server {
	s := &Server{config: config.withDefaults(), byName: make(map[remux.StreamName]*names)}
	s.metrics.PublishDelay = histogram.New(publishDelays...)
	s.files.max = openFilesLimit()
	s.Change(config)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.hard, s.cut = context.WithCancel(context.Background())
	return s
}

// Change puts a part of a configuration in force: Segment and Window for streams that begin from now on, and for all
// SegmentMaxAge, Carry, Retain, Quota and MaxHeld. Grace is for channels that are restored. The rest is not looked at.
func (s *Server) Change(config Config) {
	config = config.withDefaults()
	s.limits.Store(&limits{
		segment: config.Segment, window: config.Window, segmentCache: segmentCacheControl(config.SegmentMaxAge),
		carry: config.Carry, grace: config.Grace, retain: config.Retain, quota: config.Quota, maxHeld: config.MaxHeld,
	})
	s.enforceQuota()
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, n := range s.byName {
		for _, c := range n.all {
			c.signal() // segments may go earlier than it thinks
		}
	}
}

// Metrics returns the counters of all channels.
func (s *Server) Metrics() *Metrics { return &s.metrics }

// Stop says that the streams which end from now on end because the server stops:
// their playlists stay as they are, and the next process goes on with them.
func (s *Server) Stop() { s.stopping.Store(true) }

// Close waits until all channels have stored what they were given, until ctx ends, and
// stops them. The hub must have been closed before. If the storage does not answer,
// Close returns all the same; what waits for it then ends with the process.
func (s *Server) Close(ctx context.Context) {
	s.Stop()
	defer s.cut()
	defer s.files.close()
	s.cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.channels.Wait()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.cut()
		select {
		case <-done:
		case <-time.After(s.config.StoreTimeout):
		}
	}
}
