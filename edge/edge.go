// Package edge is the public HTTP server: it finds out what a path means, sets what
// every answer must say, and hands the request to the output that knows the rest.
//
// It promises CDNs and players: CORS on every status, no cookie, no redirect, 405 for
// what is neither GET, HEAD nor OPTIONS, and a short life for every 404.
//
//	/APP/NAME                              page that plays the stream
//	/APP/NAME.m3u8                         multivariant playlist
//	/APP/NAME/index.m3u8                   the same
//	/APP/NAME/INCARNATION/media.m3u8       media playlist
//	/APP/NAME/INCARNATION/SEQUENCE.ts      segment
//	/APP/NAME.flv                          HTTP-FLV, WebSocket-FLV
//	/APP/NAME.ts                           the same as a transport stream
//	/t/TOKEN/...                           any of these, with a token
package edge

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/headwater-live/headwater/edge/accesslog"
	"github.com/headwater-live/headwater/remux"
)

// HLS answers GET and HEAD for a stream's playlists and segments.
type HLS interface {
	// ServeIndex answers with the multivariant playlist; with byName its URIs are
	// relative to /APP/.
	ServeIndex(w http.ResponseWriter, r *http.Request, name remux.StreamName, byName bool)
	// ServeFile answers with a file of one incarnation.
	ServeFile(w http.ResponseWriter, r *http.Request, name remux.StreamName, incarnation, file string)
}

// Live answers GET and HEAD for a stream as it comes, such as /APP/NAME.flv.
type Live interface {
	// Serve may return while the viewer stays. It calls leave, once, when that has gone, with
	// how many bytes were sent to it, and ends it when permit ends.
	Serve(w http.ResponseWriter, r *http.Request, name remux.StreamName, permit context.Context, leave func(sent uint64))
}

// Watch answers GET and HEAD for the page that plays a stream.
type Watch interface {
	// ServeWatch answers for /APP/NAME, ServeFile for what the page loads.
	ServeWatch(w http.ResponseWriter, r *http.Request)
	ServeFile(w http.ResponseWriter, r *http.Request, name string)
}

// Handler routes the public addresses. An output that is nil does not exist.
type Handler struct {
	HLS HLS
	FLV Live
	TS  Live
	// Watch is the page for viewers.
	Watch Watch
	// Access decides who may watch; nil lets everybody, and reads no token in paths.
	Access Access
	// Log gets every request that was answered and came while it was on, a viewer's when it has gone; nil is none.
	Log *accesslog.Switch
	// Exists reports whether there is such a stream. The log has other names redacted, for a viewer asks for whatever was
	// pasted into a player, which may be somebody's stream key; nil shows all.
	Exists func(remux.StreamName) bool
	// Private is for a listener of which pages of other sites are to learn nothing: no CORS, no preflight.
	Private bool
}

// Values that every answer carries.
var (
	allowOrigin   = []string{"*"}
	exposeHeaders = []string{"Content-Length, Content-Range, Date, ETag, Age"}
	// timing lets pages measure what they loaded (Resource Timing).
	timing  = []string{"*"}
	noSniff = []string{"nosniff"}
)

const (
	allowedMethods = "GET, HEAD, OPTIONS"
	// notFoundCache is short: what is missing may be about to exist.
	notFoundCache = "public, max-age=1"
)

// ServeHTTP implements http.Handler.
func (e *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !e.Log.On() {
		e.answer(w, r, nil)
		return
	}
	rec := e.record(w, r)
	e.answer(rec, r, rec)
	rec.answered()
}

// answer answers a request. rec remembers what was answered; nil if nobody wants to know.
func (e *Handler) answer(w http.ResponseWriter, r *http.Request, rec *record) {
	h := w.Header()
	if !e.Private {
		h["Access-Control-Allow-Origin"] = allowOrigin
		h["Access-Control-Expose-Headers"] = exposeHeaders
		h["Timing-Allow-Origin"] = timing
	}
	h["X-Content-Type-Options"] = noSniff
	switch {
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		e.get(w, r, rec)
	case r.Method == http.MethodOptions && !e.Private:
		preflight(w)
	default:
		h["Allow"] = []string{allowedMethods}
		plain(w, http.StatusMethodNotAllowed, "only GET, HEAD and OPTIONS are allowed")
	}
}

func (e *Handler) get(w http.ResponseWriter, r *http.Request, rec *record) {
	token, rest := "", r.URL.Path
	if e.Access != nil {
		token, rest = cutToken(rest)
	}
	p, ok := parsePath(rest)
	if !ok && e.Watch != nil && e.watch(w, r, rest) {
		return
	}
	if ok && rec != nil {
		rec.entry.Stream, rec.entry.Protocol = string(p.name), p.protocol()
		rec.existed = e.Exists == nil || e.Exists(p.name)
	}
	permit, leave := context.Background(), func() {}
	if ok && e.Access != nil {
		p.token = token
		var admitted bool
		if permit, leave, admitted = e.admit(w, r, &p); !admitted {
			return
		}
	}
	switch {
	case ok && p.kind == index && e.HLS != nil:
		e.HLS.ServeIndex(w, r, p.name, false)
	case ok && p.kind == indexByName && e.HLS != nil:
		e.HLS.ServeIndex(w, r, p.name, true)
	case ok && p.kind == file && e.HLS != nil:
		e.HLS.ServeFile(newFileWriter(w, r), r, p.name, p.incarnation, p.file)
	case ok && p.kind == flv && e.FLV != nil:
		e.FLV.Serve(w, r, p.name, permit, rec.leaving(leave))
	case ok && p.kind == ts && e.TS != nil:
		e.TS.Serve(w, r, p.name, permit, rec.leaving(leave))
	default:
		leave()
		plain(w, http.StatusNotFound, "not found: try /APP/NAME/index.m3u8, /APP/NAME.flv or /APP/NAME.ts")
	}
}

// webPrefix begins the paths of what the watch page loads. No application's name begins with a dot.
const webPrefix = "/.web/"

// watch answers with the watch page, which anybody may have: what it plays is another request. It returns
// false if the path means something else.
func (e *Handler) watch(w http.ResponseWriter, r *http.Request, path string) bool {
	if name, ok := strings.CutPrefix(path, webPrefix); ok {
		e.Watch.ServeFile(w, r, name)
		return true
	}
	app, name, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if _, err := remux.ParseStreamName(app, name); err != nil || path[0] != '/' {
		return false
	}
	e.Watch.ServeWatch(w, r)
	return true
}

// preflight answers a CORS preflight. A range is the only thing players add.
func preflight(w http.ResponseWriter) {
	h := w.Header()
	h["Allow"] = []string{allowedMethods}
	h["Access-Control-Allow-Methods"] = []string{allowedMethods}
	h["Access-Control-Allow-Headers"] = []string{"Range, If-None-Match, If-Modified-Since"}
	h["Access-Control-Max-Age"] = []string{"86400"}
	w.WriteHeader(http.StatusNoContent)
}

func plain(w http.ResponseWriter, status int, text string) { plainFor(w, status, notFoundCache, text) }

func plainFor(w http.ResponseWriter, status int, cache, text string) {
	h := w.Header()
	h["Content-Type"] = []string{"text/plain; charset=utf-8"}
	h["Cache-Control"] = []string{cache}
	h["Content-Length"] = []string{strconv.Itoa(len(text) + 1)}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // the client has gone: nothing is left to do
}

const (
	// idleTimeout is longer than a CDN's longest pause between two playlists.
	idleTimeout = 90 * time.Second
	// writeTimeout bounds an answer other than a live stream's, which sets its
	// own: a segment of 20 MB gets through at 2 Mbit/s.
	writeTimeout = 90 * time.Second
)

// ServerConfig configures NewServer.
type ServerConfig struct {
	// HeaderTimeout bounds how long a client may take over its request header, and MaxHeader its size in bytes:
	// players' requests have a few hundred.
	HeaderTimeout time.Duration
	MaxHeader     int
	// Limiter hears when connections have sent something.
	Limiter *Limiter
	Logger  *slog.Logger
}

// NewServer returns an HTTP server for a handler, with the time limits that a public
// listener needs.
func NewServer(handler http.Handler, config ServerConfig) *http.Server {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: config.HeaderTimeout,
		ReadTimeout:       config.HeaderTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    config.MaxHeader,
		// OPTIONS * is a preflight like others, and gets the headers of all answers.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(config.Logger.Handler(), slog.LevelDebug),
	}
	config.Limiter.Attach(server)
	return server
}
