package hls

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/remux"
)

// Blob is a stored segment that is being read.
type Blob interface {
	io.ReadSeekCloser
	Stat() (fs.FileInfo, error)
}

// Storage keeps segments. Names are slash paths below its root.
type Storage interface {
	// Put stores a blob as a whole or not at all. It may use parts only until it
	// returns.
	Put(ctx context.Context, name string, parts [][]byte) error
	// Open opens a blob; the error wraps fs.ErrNotExist if there is none.
	Open(name string) (Blob, error)
	// Remove removes a blob.
	Remove(name string) error
	// RemoveAll removes all blobs beneath a folder.
	RemoveAll(folder string) error
}

// Config configures a Server. Zero values mean the defaults of the contract.
type Config struct {
	// Segment is the shortest segment; the cut waits for the next keyframe.
	Segment time.Duration
	// Window is the number of segments in the live playlist.
	Window int
	// SegmentMaxAge is how long caches may keep a segment.
	SegmentMaxAge time.Duration
	// Grace is how long a stream that was restored waits for a publisher.
	Grace   time.Duration
	Storage Storage
	Logger  *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Metrics count what happened in all channels.
type Metrics struct {
	SegmentsListed atomic.Uint64
	// SegmentsLost counts segments given up because storing was too slow.
	SegmentsLost atomic.Uint64
	// StorageErrors counts failed writes; the segment is served from memory.
	StorageErrors atomic.Uint64
	// FramesLeftOut counts audio frames that no segment could take: sound before the
	// first picture, and frames larger than MPEG-TS allows.
	FramesLeftOut atomic.Uint64
}

// Server makes a channel for each stream and answers requests for all of them. It
// is a remux.SinkFactory.
type Server struct {
	config       Config
	metrics      Metrics
	segmentCache string
	stopping     atomic.Bool
	ctx          context.Context // ends the channels' goroutines, which finish their work
	cancel       context.CancelFunc
	hard         context.Context // ends that work
	cut          context.CancelFunc
	channels     sync.WaitGroup

	mu     sync.RWMutex
	byName map[remux.StreamName]*names
}

// names are the channels of one name: the newest, and older ones whose playlists
// and segments must stay for a while.
type names struct {
	newest *Channel
	all    map[string]*Channel // by incarnation
	// next is the sequence number that the next channel begins with.
	next uint64
}

// NewServer returns a server without channels.
func NewServer(config Config) *Server {
	if config.Segment <= 0 {
		config.Segment = 2 * time.Second
	}
	if config.Window <= 0 {
		config.Window = 6
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{config: config, byName: make(map[remux.StreamName]*names)}
	s.segmentCache = segmentCacheControl(config.SegmentMaxAge)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.hard, s.cut = context.WithCancel(context.Background())
	return s
}

// Metrics returns the counters of all channels.
func (s *Server) Metrics() *Metrics { return &s.metrics }

// NewSink implements remux.SinkFactory: it makes the channel of a new stream.
func (s *Server) NewSink(name remux.StreamName) remux.Sink {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.byName[name]
	if n == nil {
		n = &names{all: make(map[string]*Channel)}
		s.byName[name] = n
	}
	c := newChannel(s, name, newIncarnation(s.config.Now()))
	c.window.next = n.next
	n.all[c.incarnation] = c
	n.newest = c
	s.channels.Go(func() { c.run(s.ctx) })
	return c
}

// newIncarnation returns an identifier that no channel has had: the time makes it
// sortable, the random part makes it new even if the clock was set back.
func newIncarnation(now time.Time) string {
	var id [8]byte
	ms := uint64(now.UnixMilli())
	for i := range 5 { // 40 bits of milliseconds last 34 years
		id[i] = byte(ms >> (32 - 8*i))
	}
	_, _ = rand.Read(id[5:]) // never fails, by its documentation
	return hex.EncodeToString(id[:])
}

// newest returns the newest channel of a name, or nil.
func (s *Server) newest(name remux.StreamName) *Channel {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if n := s.byName[name]; n != nil {
		return n.newest
	}
	return nil
}

// incarnation returns a channel by its incarnation, or nil.
func (s *Server) incarnation(name remux.StreamName, incarnation string) *Channel {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if n := s.byName[name]; n != nil {
		return n.all[incarnation]
	}
	return nil
}

// forget removes a channel whose last segment has gone. The name's sequence number
// is kept while another channel of that name is there.
func (s *Server) forget(c *Channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.byName[c.name]
	if n == nil {
		return
	}
	delete(n.all, c.incarnation)
	if n.newest == c {
		n.newest = nil
	}
	if len(n.all) == 0 {
		delete(s.byName, c.name)
	}
}

// listed takes note of a sequence number, so that a later channel of that name goes
// on behind it.
func (s *Server) listed(name remux.StreamName, sequence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.byName[name]; n != nil {
		n.next = max(n.next, sequence+1)
	}
}

// Stop says that the streams which end from now on end because the server stops:
// their playlists stay as they are.
func (s *Server) Stop() { s.stopping.Store(true) }

// Close waits until all channels have stored what they were given, until ctx ends, and
// stops them. The hub must have been closed before.
func (s *Server) Close(ctx context.Context) {
	s.Stop()
	defer s.cut()
	defer context.AfterFunc(ctx, s.cut)()
	s.cancel()
	s.channels.Wait()
}
