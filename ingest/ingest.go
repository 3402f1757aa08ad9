// Package ingest is the RTMP listener and its sessions: who connected, what they may
// publish, and when they are gone.
//
// A session is one connection and one goroutine. It speaks the wire through package
// ingest/rtmp and writes what comes into publications of package remux. A second, small
// goroutine lives as long as a publication and closes the connection when somebody else has
// ended it. A player has a goroutine that sends it a byte log (package remux/bytelog), the
// same way as HTTP-FLV does.
package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/crowd"
	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/bytelog"
	"github.com/headwater-live/headwater/remux/flvtag"
)

// Hub is where streams are published and found.
type Hub interface {
	Publish(remux.StreamName, remux.Publisher) (*remux.Publication, error)
	bytelog.Hub
}

// Config configures a Server. Zero values mean no limit, or the defaults of package rtmp.
type Config struct {
	Hub Hub
	// MayPublish and MayPlay decide on requests, and may take their time: they are called by the session's own
	// goroutine. Without MayPlay everybody may play.
	MayPublish, MayPlay func(Request) Decision
	// Played, if set, hears of every playback that has ended, was refused, or had nothing to play. It must not wait.
	Played func(Playback)
	// GoOn decides on what MayPublish has let in in another process, by its Decision's Admission: see Server.Adopt. It
	// returns at once. Without it everybody may go on.
	GoOn func(json.RawMessage) Decision
	// MaxMessage bounds a media message, in bytes.
	MaxMessage int
	// Crowd bounds the connections: in all, from one network, and those whose handshake, that of TLS included, has not
	// ended.
	Crowd crowd.Limits
	// MaxBeforeAuth bounds the bytes that are taken from a connection before it may publish or play.
	MaxBeforeAuth int
	// HandshakeTimeout bounds the handshake, RequestTimeout the time from there to
	// publish.
	HandshakeTimeout, RequestTimeout time.Duration
	// MediaTimeout is how long a publisher may send no media (15 s), IdleTimeout how long
	// a peer may send nothing at all, which is pinged meanwhile (15 s), and WriteTimeout how
	// long a peer may take nothing of what is sent to it (10 s).
	MediaTimeout, IdleTimeout, WriteTimeout time.Duration
	// MaxPartial bounds the bytes of a connection's unfinished messages (twice
	// MaxMessage), MaxPartialMessages their number (64, which is also the most).
	MaxPartial, MaxPartialMessages int
	// Latency is the longest time a packet waits for others before players are written
	// to, Wait how long a player may wait for a publisher, and MaxBacklog how many bytes
	// it may be behind before it continues at the newest keyframe (8 MiB).
	Latency, Wait time.Duration
	MaxBacklog    int
	Logger        *slog.Logger
}

// Server accepts publishers.
type Server struct {
	config   Config                 // as it was made; what may change is in limits
	limits   atomic.Pointer[Config] // in force: of it, what Change replaces
	refusals refusals
	metrics  bytelog.Metrics
	logs     bytelog.Logs[playFormat]
	sessions sync.WaitGroup
	ctx      context.Context // ends handshakes and playing
	cancel   context.CancelFunc
	rest     time.Duration          // see restTime
	refusing atomic.Bool            // see Refuse
	freezing atomic.Pointer[freeze] // nil before Freeze
	turns    turns
	crowd    *crowd.Counter

	// mu guards all below.
	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[net.Conn]*connection
	skipped   map[rtmp.Skip]uint64 // of connections that have ended, and of what the sessions skipped themselves
	closed    bool
}

// connection is what the server knows of a connection.
type connection struct {
	visit *crowd.Visit
	// playing and publishing are how many playbacks, those that wait for their stream included, and publications its
	// session has in progress. If the server stops, the session ends with the last playback.
	playing, publishing atomic.Int32
	// blamed: why it is broken off has been counted.
	blamed atomic.Bool
	conn   *rtmp.ServerConn // guarded by Server.mu; nil before its session begins
}

// NewServer returns a server that listens nowhere yet.
func NewServer(config Config) *Server {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		config:    config,
		rest:      restTime,
		turns:     newTurns(),
		listeners: make(map[net.Listener]struct{}),
		conns:     make(map[net.Conn]*connection),
		skipped:   make(map[rtmp.Skip]uint64),
		crowd:     crowd.NewCounter(config.Crowd),
	}
	s.Change(config)
	s.metrics.Delay = bytelog.NewDelay()
	s.logs.Make = func(f playFormat) *bytelog.Log {
		return bytelog.New(f, bytelog.Options{Latency: s.limits.Load().Latency, MaxTime: flvtag.MaxTimestamp, Delay: s.metrics.Delay})
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Change puts the limits and times of a configuration in force: Latency for all, how many connections there may be for
// those who come from now on, and the rest for the connections that begin from now on. Hub, MayPublish, MayPlay,
// GoOn, Played and Logger stay as they were.
func (s *Server) Change(config Config) {
	if config.MaxBacklog <= 0 {
		config.MaxBacklog = 8 << 20
	}
	s.limits.Store(&config)
	s.crowd.Change(config.Crowd)
	s.logs.SetLatency(config.Latency)
}

// Metrics returns the counters of all players.
func (s *Server) Metrics() *bytelog.Metrics { return &s.metrics }

// Refusals returns how many connections and requests were refused or broken off, by reason.
func (s *Server) Refusals() map[string]uint64 { return s.refusals.snapshot() }

// acceptPause is how long accepting rests when the process has no descriptor left.
const acceptPause = 50 * time.Millisecond

// Serve accepts connections until Close, or until the listener fails. It returns
// net.ErrClosed after Close.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return net.ErrClosed
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	for {
		nc, err := l.Accept()
		if err != nil {
			var temporary interface{ Temporary() bool }
			if errors.As(err, &temporary) && temporary.Temporary() {
				s.refusals.count("accept-failed")
				time.Sleep(acceptPause)
				continue
			}
			return err
		}
		c := s.admit(nc)
		if c == nil {
			_ = nc.Close()
			continue
		}
		s.sessions.Go(func() { s.serve(nc, c) })
	}
}

// Refuse takes no publisher any more, and tells those who come to go elsewhere. Who publishes goes on, and players come
// and go.
func (s *Server) Refuse() { s.refusing.Store(true) }

// Drain stops accepting and ends all publications, with what they have sent. Players go on.
func (s *Server) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for l := range s.listeners {
		_ = l.Close()
	}
	for nc, c := range s.conns {
		if c.playing.Load() == 0 {
			_ = nc.Close()
		}
	}
}

// Close drains, waits until the players have been sent what is left, and cuts them off when
// ctx ends. The hub must have been closed before, or the players stay. It returns when all
// sessions have ended.
func (s *Server) Close(ctx context.Context) {
	s.Drain()
	defer context.AfterFunc(ctx, s.cut)()
	s.sessions.Wait()
	s.logs.Wait()
	s.cancel()
}

// cut ends all sessions now.
func (s *Server) cut() {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	for nc := range s.conns {
		_ = nc.Close()
	}
}

func (s *Server) stopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// addrPort returns the address of a TCP peer, the zero value for anything else.
func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return netip.AddrPortFrom(tcp.AddrPort().Addr().Unmap(), tcp.AddrPort().Port())
	}
	return netip.AddrPort{}
}
