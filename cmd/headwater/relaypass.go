package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"time"

	"github.com/headwater-live/headwater/cmd/headwater/systemd"
)

// answerTime is how long the next process may take until it begins to answer: a viewer may wait there for a publisher.
const answerTime = time.Minute

// pass returns a handler that passes requests on to the next process: those of connections that were made before it
// served. Each connection ends with its answer.
func (r *relays) pass() http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = "http", relayHost, p.In.Host
			for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				if values := p.In.Header.Values(name); len(values) > 0 {
					p.Out.Header[name] = values
				}
			}
			p.Out.Header.Set(relayRemote, p.In.RemoteAddr)
			p.Out.URL.RawQuery = p.In.URL.RawQuery // with what cannot be parsed, too
		},
		Transport: &http.Transport{
			DialContext:       func(context.Context, string, string) (net.Conn, error) { return r.dial(systemd.RelayOther) },
			DisableKeepAlives: true, DisableCompression: true, ResponseHeaderTimeout: answerTime,
		},
		ErrorLog:      slog.NewLogLogger(r.server.logger.Handler(), slog.LevelDebug),
		FlushInterval: -1, // live streams are to come as they do
		ErrorHandler:  func(w http.ResponseWriter, req *http.Request, _ error) { answeredElsewhere(w, req) },
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.proxied.Add(1)
		defer r.proxied.Add(-1)
		control := http.NewResponseController(w)
		_ = control.SetWriteDeadline(time.Time{}) // a live stream lasts
		proxy.ServeHTTP(&passedWriter{ResponseWriter: w, control: control, patience: r.patience}, req)
	})
}

// passPatience is how long a client may read nothing of what there is. The next process cannot tell: it sees the
// buffers of this one.
const passPatience = 30 * time.Second

// passedWriter bounds each write, and nothing else: an answer may last.
type passedWriter struct {
	http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
}

// Write implements http.ResponseWriter.
func (w *passedWriter) Write(b []byte) (n int, err error) {
	err = w.bounded(func() (err error) { n, err = w.ResponseWriter.Write(b); return })
	return n, err
}

// FlushError is what http.ResponseController calls.
func (w *passedWriter) FlushError() error { return w.bounded(w.control.Flush) }

// Unwrap is what http.ResponseController calls.
func (w *passedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// bounded writes. In between there is no deadline: HTTP/2 would end the stream then.
func (w *passedWriter) bounded(write func() error) error {
	if err := w.control.SetWriteDeadline(time.Now().Add(w.patience)); err != nil {
		return err
	}
	err := write()
	if err == nil {
		_ = w.control.SetWriteDeadline(time.Time{})
	}
	return err
}
