// Package admin is the private HTTP server: health, readiness, and the API that says
// what the server is doing. It belongs on loopback, sends no CORS headers, and on any
// other address wants a token.
//
//	GET    /healthz                    200 while the process runs
//	GET    /readyz                     200 while it takes publishers, else 503; the reason for
//	                                   either, if there is something to say
//	GET    /api/v1/streams             all streams, and how many viewers wait for others
//	GET    /api/v1/streams/APP/NAME    one stream
//	DELETE /api/v1/streams/APP/NAME    ends its publication
//	GET    /metrics                    the same in numbers, for Prometheus
//	GET    /api/v1/server              version, uptime, refusals, storage, limits in force
package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/headwater-live/headwater/remux"
)

// Streams is where streams are found.
type Streams interface {
	Streams() []*remux.Stream
	Stream(remux.StreamName) *remux.Stream
	// Waiting returns how many viewers wait for each stream that is not there.
	Waiting() map[remux.StreamName]int
}

// Config configures a Handler.
type Config struct {
	Streams Streams
	// Ready reports whether the server takes publishers, and if not, why. A server that
	// does, but not as well as it should, may give a reason, too.
	Ready func() (ok bool, reason string)
	// Sources tell of the server as a whole.
	Sources Sources
	// PerStream gives each stream metrics of its own, up to a bound.
	PerStream bool
	// Token is what requests must show as "Authorization: Bearer TOKEN"; "" is none.
	// Health and readiness need no token.
	Token  string
	Logger *slog.Logger
}

// NewHandler returns the handler of the admin addresses.
func NewHandler(config Config) http.Handler {
	h := &handler{config: config, token: sha256.Sum256([]byte(config.Token))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", h.health)
	mux.HandleFunc("GET /readyz", h.ready)
	mux.Handle("GET /api/v1/streams", h.authorised(h.list))
	mux.Handle("GET /api/v1/streams/{app}/{name}", h.authorised(h.show))
	mux.Handle("GET /metrics", h.authorised(metricsHandler(&h.config).ServeHTTP))
	mux.Handle("GET /api/v1/server", h.authorised(h.server))
	mux.Handle("DELETE /api/v1/streams/{app}/{name}", h.authorised(h.end))
	return mux
}

type handler struct {
	config Config
	token  [sha256.Size]byte
}

func (h *handler) health(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (h *handler) ready(w http.ResponseWriter, _ *http.Request) {
	status, answer := http.StatusOK, map[string]string{"status": "ready"}
	ok, reason := h.config.Ready()
	if !ok {
		status, answer = http.StatusServiceUnavailable, map[string]string{"status": "not ready"}
	}
	if reason != "" {
		answer["reason"] = reason
	}
	writeJSON(w, status, answer)
}

// authorised lets a request pass that shows the token. The comparison takes the same
// time whatever is shown.
func (h *handler) authorised(next http.HandlerFunc) http.Handler {
	if h.config.Token == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		shown := sha256.Sum256([]byte(token))
		if subtle.ConstantTimeCompare(shown[:], h.token[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			problem(w, http.StatusUnauthorized, "the request needs the admin token as a bearer token")
			return
		}
		next(w, r)
	})
}

func (h *handler) list(w http.ResponseWriter, _ *http.Request) {
	streams := h.config.Streams.Streams()
	list := make([]remux.Info, len(streams))
	for i, s := range streams {
		list[i] = s.Info()
	}
	writeJSON(w, http.StatusOK, map[string]any{"streams": list, "waiting": h.config.Streams.Waiting()})
}

func (h *handler) show(w http.ResponseWriter, r *http.Request) {
	if s := h.find(w, r); s != nil {
		writeJSON(w, http.StatusOK, s.Info())
	}
}

func (h *handler) end(w http.ResponseWriter, r *http.Request) {
	s := h.find(w, r)
	if s == nil {
		return
	}
	if !s.EndPublication(remux.EndKicked) {
		problem(w, http.StatusConflict, "nobody is publishing the stream")
		return
	}
	h.config.Logger.Info("publication ended by the API", "stream", string(s.Name()), "remote", r.RemoteAddr)
	w.WriteHeader(http.StatusNoContent)
}

// find returns the stream that a path names, or answers and returns nil.
func (h *handler) find(w http.ResponseWriter, r *http.Request) *remux.Stream {
	name, err := remux.ParseStreamName(r.PathValue("app"), r.PathValue("name"))
	if err != nil {
		problem(w, http.StatusNotFound, err.Error())
		return nil
	}
	s := h.config.Streams.Stream(name)
	if s == nil {
		problem(w, http.StatusNotFound, "no such stream")
	}
	return s
}

// problem answers with an error body of RFC 9457.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	writeJSON(w, status, map[string]any{"status": status, "title": http.StatusText(status), "detail": detail})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	h := w.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client has gone: nothing is left to do
}

// NewServer returns an HTTP server for the handler.
func NewServer(handler http.Handler, logger *slog.Logger) *http.Server {
	const timeout = 10 * time.Second // all answers are small
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: timeout,
		ReadTimeout:       timeout,
		WriteTimeout:      timeout,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}
