package flv

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/remux"
)

// Hub is where streams are found.
type Hub interface {
	// Await returns a stream, or a channel that is closed when it is published.
	Await(remux.StreamName) (s *remux.Stream, made <-chan struct{}, cancel func())
}

// Config configures a Server.
type Config struct {
	Hub Hub
	// Latency is the longest time a packet waits for others before viewers are
	// written to; 0 is at once.
	Latency time.Duration
	// Wait is how long a viewer may wait for a publisher; 0 is not at all.
	Wait time.Duration
	// MaxBacklog is how many bytes a viewer may be behind before it continues at
	// the newest keyframe.
	MaxBacklog int
	Logger     *slog.Logger
}

// Metrics count what happened to all viewers.
type Metrics struct {
	Viewers   atomic.Int64
	BytesSent atomic.Uint64
	// Jumps counts viewers that fell behind and continued at a keyframe.
	Jumps atomic.Uint64
	// SlowClosed counts viewers closed for falling behind again and again, or for
	// taking nothing.
	SlowClosed atomic.Uint64
}

// Server serves streams as HTTP-FLV.
type Server struct {
	config  Config
	metrics Metrics
	ctx     context.Context // ends waiting and writing when the server must stop now
	cancel  context.CancelFunc
	viewers sync.WaitGroup

	mu     sync.Mutex
	logs   map[*remux.Stream]map[filter]*Log
	closed bool
}

// NewServer returns a server without viewers.
func NewServer(config Config) *Server {
	if config.MaxBacklog <= 0 {
		config.MaxBacklog = 8 << 20
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{config: config, logs: make(map[*remux.Stream]map[filter]*Log)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Metrics returns the counters of all viewers.
func (s *Server) Metrics() *Metrics { return &s.metrics }

// Close waits until the viewers have been sent what is left, and cuts them off when
// ctx ends. The hub must have been closed before, or the viewers stay.
func (s *Server) Close(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	gone := make(chan struct{})
	go func() {
		s.viewers.Wait()
		close(gone)
	}()
	select {
	case <-gone:
	case <-ctx.Done():
	}
	s.cancel()
	<-gone
}

// enter counts a viewer in; it returns false when the server is stopping.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.viewers.Add(1)
	return true
}

// watch returns the log of a stream, attaching it for its first viewer. leave must be
// called once. It returns nil if the stream has ended.
func (s *Server) watch(stream *remux.Stream, f filter) (l *Log, leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	logs := s.logs[stream]
	l = logs[f]
	if l == nil {
		l = newLog(f, s.config.Latency)
		if !stream.Attach(l) {
			return nil, nil
		}
		if logs == nil {
			logs = make(map[filter]*Log)
			s.logs[stream] = logs
		}
		logs[f] = l
	}
	l.viewers++
	return l, func() { s.unwatch(stream, f, l) }
}

// unwatch detaches a log when its last viewer leaves: what nobody watches is not
// rendered.
func (s *Server) unwatch(stream *remux.Stream, f filter, l *Log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.viewers--; l.viewers > 0 {
		return
	}
	stream.Detach(l)
	delete(s.logs[stream], f)
	if len(s.logs[stream]) == 0 {
		delete(s.logs, stream)
	}
}

// Serve answers a request for /APP/NAME.flv: it plays the stream until either side
// ends. A viewer that comes before the publisher waits. CORS headers are the caller's.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request, name remux.StreamName) {
	if r.Method == http.MethodHead {
		setHeaders(w.Header())
		w.WriteHeader(http.StatusOK)
		return
	}
	if !s.enter() {
		unavailable(w, http.StatusServiceUnavailable, "the server is stopping")
		return
	}
	defer s.viewers.Done()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()

	stream, l, leave := s.find(ctx, name, requestFilter(r))
	if l == nil {
		unavailable(w, http.StatusNotFound, "no such stream, or it has not begun")
		return
	}
	defer leave()
	defer stream.AddViewer()()
	s.metrics.Viewers.Add(1)
	defer s.metrics.Viewers.Add(-1)

	v, err := newViewer(w, r)
	if err != nil {
		s.config.Logger.Warn("viewer not started", "stream", string(name), "error", err)
		return
	}
	v.server, v.log = s, l
	reason := v.run(ctx)
	s.config.Logger.Debug("viewer left", "stream", string(name), "remote", r.RemoteAddr, "reason", reason)
}

// find waits until the stream is there and has begun, for as long as a viewer may.
func (s *Server) find(ctx context.Context, name remux.StreamName, f filter) (*remux.Stream, *Log, func()) {
	patience := time.NewTimer(s.config.Wait)
	defer patience.Stop()
	for {
		stream, made, cancel := s.config.Hub.Await(name)
		if stream == nil {
			select {
			case <-made:
				cancel()
				continue
			case <-patience.C:
			case <-ctx.Done():
			}
			cancel()
			return nil, nil, nil
		}
		l, leave := s.watch(stream, f)
		if l == nil {
			select { // it ends this moment: look again when it has
			case <-stream.Closed():
				continue
			case <-ctx.Done():
				return nil, nil, nil
			}
		}
		for {
			now := l.state()
			if now.begun {
				return stream, l, leave
			}
			if now.closed {
				break
			}
			select {
			case <-now.wake:
				continue
			case <-patience.C:
			case <-ctx.Done():
			}
			leave()
			return nil, nil, nil
		}
		leave()
	}
}

// requestFilter reads ?audio=0 and ?video=0. Anything else changes nothing.
func requestFilter(r *http.Request) filter {
	q := r.URL.Query()
	return filter{noAudio: q.Get("audio") == "0", noVideo: q.Get("video") == "0"}
}
