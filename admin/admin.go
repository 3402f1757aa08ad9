// Package admin is the private HTTP server: health, readiness, and the API that says
// what the server is doing. It belongs on loopback, sends no CORS headers, and on any
// other address wants a token.
//
//	/healthz            200 while the process runs
//	/readyz             200 while it takes publishers, else 503
//	/metrics            everything in numbers, for Prometheus
//	/                   the console, a web page that asks the API
//	/preview/APP/NAME   .flv, /index.m3u8: what the console plays
//	/api/v1/...         streams, publications, viewers, events, server and configuration;
//	                    openapi.yaml describes them, and is served beside them
//
// An answer of the API carries an entity tag, a list has pages, and an error is a problem of RFC 9457.
package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/events"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/requestid"
)

// Streams is where streams are found.
type Streams interface {
	Streams() []*remux.Stream
	Stream(remux.StreamName) *remux.Stream
	// Waiting returns how many viewers wait for each stream that is not there.
	Waiting() map[remux.StreamName]int
	// Viewers returns at most limit viewers with a higher ID than after, in their order; with a
	// name, that stream's alone. EndViewer cuts one off.
	Viewers(name remux.StreamName, after uint64, limit int) []remux.ViewerInfo
	EndViewer(id uint64) bool
}

// Console answers with the files of the console.
type Console interface {
	ServeConsole(w http.ResponseWriter, r *http.Request)
}

// Config configures a Handler.
type Config struct {
	Streams Streams
	// Ready reports whether the server takes publishers, and if not, why. A server that
	// does, but not as well as it should, may give a reason, too.
	Ready func() (ok bool, reason string)
	// HLS tells of a stream's HLS window; nil if HLS is off.
	HLS func(remux.StreamName) (HLSStatus, bool)
	// Addresses are those of the other listeners.
	Addresses Addresses
	// Settings are the configuration in force, secrets hidden.
	Settings func() []Setting
	// Events are what happens; nil is none.
	Events *events.Bus
	// Console is the web page; nil is none.
	Console Console
	// Preview answers GET and HEAD for /APP/NAME.flv, /APP/NAME/index.m3u8 and what that names; nil is none. It is
	// asked for those who have shown the token, who may see every stream. It sends no CORS headers.
	Preview http.Handler
	// Sources tell of the server as a whole.
	Sources Sources
	// PerStream gives each stream metrics of its own, up to a bound.
	PerStream bool
	// Token is what requests must show as "Authorization: Bearer TOKEN"; "" is none.
	// Health and readiness need no token. Who shows a wrong one too often is not heard for a while; who shows the right
	// one is, if it has 16 bytes or more.
	Token string
	// Permit ends when what lets requests in does so no longer: another token or address is in force. Answers that go on
	// end with it. nil is never.
	Permit context.Context
	// Guard remembers wrong tokens and counts refusals; nil is one of this handler's own.
	Guard *Guard
	// Access is who is in and who may not come in; may be nil.
	Access Access
	Logger *slog.Logger
}

// NewHandler returns the handler of the admin addresses.
func NewHandler(config Config) http.Handler {
	h := &handler{config: config, token: sha256.Sum256([]byte(config.Token))}
	h.previews = make(chan struct{}, maxPreviews)
	if h.config.Guard == nil {
		h.config.Guard = NewGuard()
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", h.health)
	mux.HandleFunc("GET /readyz", h.ready)
	mux.Handle("GET /metrics", h.authorised(metricsHandler(&h.config).ServeHTTP))
	for pattern, m := range h.routes() {
		mux.Handle(pattern, h.authorised(m.dispatch))
	}
	if config.Preview != nil {
		mux.Handle(previewPrefix+"/", h.authorised(methods{"GET": h.preview}.dispatch))
	}
	if config.Console != nil {
		mux.HandleFunc("/", methods{"GET": h.console}.dispatch)
	}
	// Browsers may not change anything for the page of another site.
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h.config.Guard.count(crossSite)
		problem(w, http.StatusForbidden, "forbidden", "pages of other sites change nothing here")
	}))
	return named(protection.Handler(mux))
}

// named gives each answer the name of its request, which lines of the log have as well.
func named(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(requestid.Header, requestid.Of(r))
		next.ServeHTTP(w, r)
	})
}

// did writes to the log what a request has changed, and who sent it.
func (h *handler) did(w http.ResponseWriter, r *http.Request, what string, args ...any) {
	h.config.Logger.Info(what, append(args, "remote", r.RemoteAddr, "request_id", w.Header().Get(requestid.Header))...)
}

type handler struct {
	config Config
	token  [sha256.Size]byte
	// eventStreams counts the clients that follow events.
	eventStreams atomic.Int64
	// previews has room for those that are being opened.
	previews chan struct{}
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

// authorised lets a request pass that shows the token, for as long as that counts. The comparison takes the same
// time whatever is shown.
func (h *handler) authorised(next http.HandlerFunc) http.Handler {
	next = h.permitted(next)
	if h.config.Token == "" {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !namesNoOther(r.Host) {
				h.config.Guard.count(misdirected)
				problem(w, http.StatusMisdirectedRequest, "misdirected", "without an admin token, this is answered under an IP address or localhost only")
				return
			}
			if !arrivedHere(r) {
				h.config.Guard.count(misdirected)
				problem(w, http.StatusMisdirectedRequest, "misdirected", "without an admin token, this is answered to this machine only: connect to a loopback address")
				return
			}
			next(w, r)
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := bearer(r)
		shown := sha256.Sum256([]byte(token))
		right := subtle.ConstantTimeCompare(shown[:], h.token[:]) == 1
		guard := h.config.Guard
		if wait, blocked := guard.failures.blocked(r.RemoteAddr); blocked && (!right || h.guessable()) {
			guard.count(tooManyFailures)
			w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
			problem(w, http.StatusTooManyRequests, "too-many-failures", "too many wrong tokens came from this address")
			return
		}
		if !right {
			if token != "" {
				guard.failures.failed(r.RemoteAddr)
				guard.count(wrongToken)
			} else {
				guard.count(noToken)
			}
			w.Header().Set("WWW-Authenticate", "Bearer")
			problem(w, http.StatusUnauthorized, "unauthorized", "the request needs the admin token as a bearer token")
			return
		}
		next(w, r)
	})
}

// permitted has answers end with the permit under which they began.
func (h *handler) permitted(next http.HandlerFunc) http.HandlerFunc {
	if h.config.Permit == nil {
		return next
	}
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(h.config.Permit, cancel)()
		next(w, r.WithContext(ctx))
	}
}

// bearer returns the token of a request, "" if it shows none (RFC 6750, section 2.1; RFC 9110, section 11.1: the scheme
// in any case).
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

// minToken is the shortest token that nobody finds by trying, in bytes, however often: 62^16 alphanumeric ones would
// take a million guesses a second for a billion years.
const minToken = 16

// guessable reports whether the token is so short that how often it may be guessed matters. Then nobody from an address
// that has failed too often is heard, not even who has the right one. With a longer token that one always passes:
// otherwise anybody who comes through the same proxy as the operator could lock the operator out.
func (h *handler) guessable() bool { return len(h.config.Token) < minToken }

// namesNoOther reports whether a Host header names a machine by its address or as localhost. A web page whose name was
// made to point to this machine (DNS rebinding) sends that name.
func namesNoOther(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return host == "localhost" || net.ParseIP(strings.Trim(host, "[]")) != nil
}

// arrivedHere reports whether a request came over a connection that no other machine can have made. One that was made to
// an open listener, when there was a token, outlives both.
func arrivedHere(r *http.Request) bool {
	switch at := r.Context().Value(http.LocalAddrContextKey).(type) {
	case *net.TCPAddr:
		return at.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

// Timeout bounds a request, and the answer to it unless that goes on: all are small.
const Timeout = 10 * time.Second

// NewServer returns an HTTP server for the handler.
func NewServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: Timeout,
		ReadTimeout:       Timeout,
		WriteTimeout:      Timeout,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}
