package live

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/live/websocket"
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

// Container is what a stream is served in.
type Container struct {
	// Format makes the format of a log with those tracks that viewers want.
	Format func(wanted remux.Tracks) bytelog.Format
	// Protocol is what viewers are counted as, ContentType the container's.
	Protocol, ContentType string
	// MaxTime is the largest time, in ms, that the container can say; 0 is no bound.
	MaxTime int64
}

// ReasonSocketFlood is what a viewer over WebSocket is counted as who sends far more than a viewer has to say.
const ReasonSocketFlood = "websocket-flood"

// Server serves streams in one container.
type Server struct {
	config    Config // but for what is in limits
	container Container
	limits    atomic.Pointer[limits]
	metrics   bytelog.Metrics
	logs      bytelog.Logs[key]
	ctx       context.Context // ends waiting and writing when the server must stop now
	cancel    context.CancelFunc
	viewers   sync.WaitGroup
	flooded   atomic.Uint64 // viewers over WebSocket that were closed for sending too much

	mu     sync.Mutex
	closed bool
}

// limits are the part of a Config that Change replaces.
type limits struct {
	latency, wait time.Duration
	maxBacklog    int
}

// key says what a log holds.
type key struct{ noAudio, noVideo, chunked bool }

// NewServer returns a server without viewers.
func NewServer(config Config, container Container) *Server {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{config: config, container: container}
	s.Change(config)
	s.metrics.Delay = bytelog.NewDelay()
	s.logs.Make = func(k key) *bytelog.Log {
		format := container.Format(remux.Tracks{Audio: !k.noAudio, Video: !k.noVideo})
		if k.chunked {
			format = chunked{format}
		}
		return bytelog.New(format, bytelog.Options{
			Latency: s.limits.Load().latency, NoAudio: k.noAudio, NoVideo: k.noVideo, MaxTime: container.MaxTime, Delay: s.metrics.Delay,
		})
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Change puts Latency, Wait and MaxBacklog of a configuration in force: the latency for all viewers, the rest for those
// who come from now on. The rest of it is not looked at.
func (s *Server) Change(config Config) {
	if config.MaxBacklog <= 0 {
		config.MaxBacklog = 8 << 20
	}
	s.limits.Store(&limits{config.Latency, config.Wait, config.MaxBacklog})
	s.logs.SetLatency(config.Latency)
}

// Metrics returns the counters of all viewers.
func (s *Server) Metrics() *bytelog.Metrics { return &s.metrics }

// Refusals counts the viewers that were sent away for what they did, by reason.
func (s *Server) Refusals() map[string]uint64 {
	return map[string]uint64{ReasonSocketFlood: s.flooded.Load()}
}

// Close waits until the viewers have been sent what is left, and cuts them off when ctx ends.
// The hub must have been closed before, or the viewers stay.
func (s *Server) Close(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	defer context.AfterFunc(ctx, s.cancel)()
	s.viewers.Wait()
	s.logs.Wait()
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

// Serve answers a request for a stream: it plays it until either side ends. A viewer that comes
// before the publisher waits. It may return while the viewer stays, whose end is when leave is
// called, once, with how many bytes were sent; the viewer ends when permit does. CORS headers are the caller's.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request, name remux.StreamName, permit context.Context, leave func(sent uint64)) {
	setHeaders(w.Header(), s.container.ContentType)
	if k := requestKey(r); k.noAudio && k.noVideo {
		unavailable(w, http.StatusBadRequest, "without audio and video nothing is left")
		leave(0)
		return
	}
	if r.Method == http.MethodHead {
		s.serveHead(w, name)
		leave(0)
		return
	}
	upgrade := websocket.Requested(r)
	if upgrade {
		if status, err := websocket.Accept(w.Header(), r); err != nil {
			unavailable(w, status, err.Error())
			leave(0)
			return
		}
	}
	if !s.enter() {
		unavailable(w, http.StatusServiceUnavailable, "the server is stopping")
		leave(0)
		return
	}
	// The server's deadline is for answers that end. What knows none has none.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	permit, end := context.WithCancel(permit)
	v := &viewing{server: s, name: name, remote: r.RemoteAddr, permit: permit, leave: func(sent uint64) {
		end()
		leave(sent)
	}}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer v.watch(cancel)()
	if v.found = s.find(ctx, r, name, upgrade); v.found == nil {
		limitRest(w)
		unavailable(w, http.StatusNotFound, "no such stream, or it has not begun")
		v.left(errNotFound)
		return
	}
	remote, _ := netip.ParseAddrPort(r.RemoteAddr)
	v.remove = v.found.Stream.AddViewer(remux.Viewer{
		Protocol: s.container.Protocol, Remote: remote, Agent: r.UserAgent(), Sent: v.viewer.Sent, End: end,
	})
	if r.ProtoMajor == 1 {
		v.takeOver(w, r, upgrade)
		return
	}
	tune(ctx)
	err := v.to(newResponseOutput(w)).Run(ctx)
	limitRest(w)
	v.left(err)
}

// limitRest bounds how long a client may take over the rest of an answer that had no deadline, which net/http
// writes once Serve has returned.
func limitRest(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(bytelog.StallTimeout)) // what knows none has none
}

// serveHead says whether there is something to play now: HEAD does not wait.
func (s *Server) serveHead(w http.ResponseWriter, name remux.StreamName) {
	stream, cancel := s.config.Hub.Expect(name, func(*remux.Stream) {})
	if stream == nil {
		cancel()
		unavailable(w, http.StatusNotFound, "no such stream, or it has not begun")
		return
	}
	w.WriteHeader(http.StatusOK)
}

// find waits for a stream with the tracks that a request wants.
func (s *Server) find(ctx context.Context, r *http.Request, name remux.StreamName, upgrade bool) *bytelog.Found {
	k := requestKey(r)
	k.chunked = !upgrade && r.ProtoMajor == 1 && r.ProtoMinor > 0
	return s.logs.Find(ctx, s.config.Hub, name, k, s.limits.Load().wait)
}

// requestKey reads ?audio=0 and ?video=0. Anything else changes nothing.
func requestKey(r *http.Request) key {
	q := r.URL.Query()
	return key{noAudio: q.Get("audio") == "0", noVideo: q.Get("video") == "0"}
}

func setHeaders(h http.Header, contentType string) {
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
}

func unavailable(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Del("Upgrade")
	h.Del("Sec-WebSocket-Accept")
	h.Del("Connection")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // the client has gone: nothing is left to do
}
