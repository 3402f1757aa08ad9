package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"time"

	"github.com/headwater-live/headwater/auth"
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
		},
		Transport: &http.Transport{
			DialContext:       func(context.Context, string, string) (net.Conn, error) { return r.dial(systemd.RelayOther) },
			DisableKeepAlives: true, DisableCompression: true, ResponseHeaderTimeout: answerTime,
		},
		FlushInterval: -1, // live streams are to come as they do
		ErrorHandler:  func(w http.ResponseWriter, req *http.Request, _ error) { answeredElsewhere(w, req) },
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.proxied.Add(1)
		defer r.proxied.Add(-1)
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // the next process has its own
		proxy.ServeHTTP(w, req)
	})
}

// maxDenial bounds a line that says who is denied, in bytes.
const maxDenial = 64 << 10

// followDenials sends viewers away who are put on the denylist of the next process, as long as there is one.
func (r *relays) followDenials() {
	conn, err := r.dial(systemd.RelayOther)
	if err == nil {
		_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", denialsPath, relayHost)
	}
	if err != nil {
		r.server.logger.Warn("viewers whom the next process denies are not sent away", "err", err)
		return
	}
	r.running.Go(func() {
		defer conn.Close() //nolint:errcheck // it is only read
		defer context.AfterFunc(r.ctx, func() { _ = conn.Close() })()
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return // the next process has gone
		}
		defer answer.Body.Close() //nolint:errcheck // the connection is closed next
		r.deny(answer.Body)
	})
}

// deny puts entries, each a line, on the denylist of this process, and passes them on to the one before it.
func (r *relays) deny(entries io.Reader) {
	lines := bufio.NewScanner(entries)
	lines.Buffer(nil, maxDenial)
	for lines.Scan() {
		var e auth.Entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			r.server.logger.Warn("viewers whom the next process denies are not sent away", "err", err)
			return
		}
		added, ended, err := r.server.access.Deny(auth.Entry{Token: e.Token, Stream: e.Stream, Action: e.Action}, time.Until(e.Until))
		if err != nil {
			r.server.logger.Warn("viewers whom the next process denies are not sent away", "err", err)
			continue
		}
		r.server.denials.tell(added)
		r.server.logger.Info("permissions were revoked by the next process", "ended", ended)
	}
}
