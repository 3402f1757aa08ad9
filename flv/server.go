package flv

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/bytelog"
)

// Config configures a Server.
type Config struct {
	Hub bytelog.Hub
	// Latency is the longest time a packet waits for others before viewers are written to; 0
	// is at once.
	Latency time.Duration
	// Wait is how long a viewer may wait for a publisher; 0 is not at all.
	Wait time.Duration
	// MaxBacklog is how many bytes a viewer may be behind before it continues at the newest
	// keyframe (8 MiB).
	MaxBacklog int
	Logger     *slog.Logger
}

// Server serves streams as HTTP-FLV.
type Server struct {
	config  Config
	metrics bytelog.Metrics
	logs    bytelog.Logs[filter]
	ctx     context.Context // ends waiting and writing when the server must stop now
	cancel  context.CancelFunc
	viewers sync.WaitGroup

	mu     sync.Mutex
	closed bool
}

// filter says which tracks a viewer does not want.
type filter struct{ noAudio, noVideo bool }

// NewServer returns a server without viewers.
func NewServer(config Config) *Server {
	if config.MaxBacklog <= 0 {
		config.MaxBacklog = 8 << 20
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{config: config}
	s.logs.Make = func(f filter) *bytelog.Log {
		wanted := remux.Tracks{Audio: !f.noAudio, Video: !f.noVideo}
		return bytelog.New(chunked{tracks: wanted}, bytelog.Options{
			Latency: config.Latency, NoAudio: f.noAudio, NoVideo: f.noVideo,
		})
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Metrics returns the counters of all viewers.
func (s *Server) Metrics() *bytelog.Metrics { return &s.metrics }

// Close waits until the viewers have been sent what is left, and cuts them off when ctx ends.
// The hub must have been closed before, or the viewers stay.
func (s *Server) Close(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	defer context.AfterFunc(ctx, s.cancel)()
	s.viewers.Wait()
	s.cancel()
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

// Serve answers a request for /APP/NAME.flv: it plays the stream until either side ends. A
// viewer that comes before the publisher waits. CORS headers are the caller's.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request, name remux.StreamName) {
	if r.Method == http.MethodHead {
		s.serveHead(w, name)
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

	found := s.logs.Find(ctx, s.config.Hub, name, requestFilter(r), s.config.Wait)
	if found == nil {
		unavailable(w, http.StatusNotFound, "no such stream, or it has not begun")
		return
	}
	defer found.Leave()
	defer found.Stream.AddViewer()()
	out, err := newOutput(w, r)
	if err != nil {
		s.config.Logger.Debug("viewer not started", "stream", string(name), "error", err)
		return
	}
	defer out.close()
	if raw, ok := out.(*rawOutput); ok {
		defer context.AfterFunc(ctx, raw.close)()
	}
	err = s.play(ctx, found, out)
	s.config.Logger.Debug("viewer left", "stream", string(name), "remote", r.RemoteAddr, "error", err)
}

// serveHead says whether there is something to play now: HEAD does not wait.
func (s *Server) serveHead(w http.ResponseWriter, name remux.StreamName) {
	stream, cancel := s.config.Hub.Expect(name, func(*remux.Stream) {})
	if stream == nil {
		cancel()
		unavailable(w, http.StatusNotFound, "no such stream, or it has not begun")
		return
	}
	setHeaders(w.Header())
	w.WriteHeader(http.StatusOK)
}

func (s *Server) play(ctx context.Context, found *bytelog.Found, out output) error {
	v := bytelog.Viewer{
		Log:        found.Log,
		From:       found.From,
		MaxBacklog: int64(s.config.MaxBacklog),
		Metrics:    &s.metrics,
		Prologue:   out.tags,
		Units:      out.chunks,
	}
	if err := v.Run(ctx); err != nil {
		return err
	}
	return out.finish()
}

// requestFilter reads ?audio=0 and ?video=0. Anything else changes nothing.
func requestFilter(r *http.Request) filter {
	q := r.URL.Query()
	return filter{noAudio: q.Get("audio") == "0", noVideo: q.Get("video") == "0"}
}
