package edge

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// What net/http refuses by itself, before any handler, it tells nobody: requests that are none, headers that are too large
// or late. It can be seen from outside, over TLS as well, where what is written cannot be read: an answer was written, and
// no handler was asked; or no answer was written, and the time was over.
//
// A connection of HTTP/2 has many requests, and a bad one is answered in a frame among others, so that less can be seen:
// that requests were open more often than a handler was asked, and that much was read, for no request, before the end. What
// is counted so, when the connection ends, is the least that it can have been.

const (
	// shortestAnswer is less than the shortest answer of net/http, with 118 bytes, and more than the alert that ends TLS.
	shortestAnswer = 90
	// headerSlop is by how much net/http lets a header be larger than http.Server.MaxHeaderBytes.
	headerSlop = 4096
)

// exchange is how far a connection is with a request.
type exchange struct {
	// maxHeader and timeout are those of the server that the connection was given to, which keeps them to its end: in bytes,
	// and for a header. They are set before anything is read.
	maxHeader int
	timeout   time.Duration

	// began is when its first byte was read, in ns since 1970; 0 if none was since the last request.
	began atomic.Int64
	// read are its bytes, with what TLS adds; written are those of its answer, as far as no handler has.
	read, written atomic.Int64
	// handled: a handler was asked, or has the connection.
	handled atomic.Bool
	// body: the request has one, and what is read belongs to it.
	body atomic.Bool
	// active: net/http has read something of it, so that the handshake of TLS is over. It says so of the first only.
	active atomic.Bool
	// more: there was a request before.
	more atomic.Bool
	// opened is how often a connection of HTTP/2 had a request after it had none, as net/http says, and asked how many got to
	// a handler. open: it has one.
	opened, asked atomic.Int64
	open          atomic.Bool
	// known: it is known whether the connection speaks HTTP/2, and speaksHTTP2 says so.
	known, speaksHTTP2 atomic.Bool
}

// exchangeKey is that of a connection's exchange in the context of its requests.
type exchangeKey struct{}

func withExchange(ctx context.Context, conn net.Conn, server *http.Server) context.Context {
	if c := limitedOf(conn); c != nil {
		c.exchange.maxHeader, c.exchange.timeout = server.MaxHeaderBytes, server.ReadHeaderTimeout
		return context.WithValue(ctx, exchangeKey{}, &c.exchange)
	}
	return ctx
}

// noteHandled notes which requests get to the handler.
func noteHandled(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e, ok := r.Context().Value(exchangeKey{}).(*exchange); ok {
			e.handled.Store(true)
			e.asked.Add(1)
			e.begin() // what comes from now on is the next one's, unless this one has a body
			e.body.Store(r.ContentLength != 0)
		}
		next.ServeHTTP(w, r)
	})
}

// state follows the connection.
func (e *exchange) state(conn net.Conn, state http.ConnState) {
	if secure, ok := conn.(*tls.Conn); ok && !e.known.Swap(true) {
		e.speaksHTTP2.Store(secure.ConnectionState().NegotiatedProtocol == "h2")
	}
	switch state {
	case http.StateActive: // net/http has read a request, or what is none
		e.written.Store(0) // what was before is the handshake of TLS
		e.active.Store(true)
		e.opened.Add(1)
		e.open.Store(true)
	case http.StateIdle:
		e.more.Store(true)
		e.open.Store(false)
		if e.body.Load() || e.speaksHTTP2.Load() {
			e.begin()
		}
		e.written.Store(0)
		e.handled.Store(false)
	case http.StateHijacked:
		e.handled.Store(true)
	}
}

// begin forgets what was read.
func (e *exchange) begin() {
	e.began.Store(0)
	e.read.Store(0)
}

// got notes bytes that were read.
func (e *exchange) got(n int) {
	if e.read.Add(int64(n)) == int64(n) {
		e.began.Store(time.Now().UnixNano())
	}
}

// count counts what was refused when a connection is closed that was accepted at a time.
func (e *exchange) count(l *Limiter, accepted time.Time) {
	began := accepted
	if e.more.Load() {
		began = time.Unix(0, e.began.Load())
	}
	switch {
	case e.speaksHTTP2.Load():
		e.countHTTP2(l)
	case e.handled.Load():
	case e.active.Load() && e.written.Load() >= shortestAnswer:
		if e.read.Load() >= int64(e.maxHeader)+headerSlop {
			l.refusals.large.Add(1)
		} else {
			l.refusals.malformed.Add(1)
		}
	case e.more.Load() && e.began.Load() == 0: // it was idle
	case e.timeout > 0 && time.Since(began) >= e.timeout:
		l.refusals.late.Add(1)
	}
}

// countHTTP2 is count for a connection of HTTP/2. net/http has it open once at its beginning, before any request.
func (e *exchange) countHTTP2(l *Limiter) {
	if refused := e.opened.Load() - 1 - e.asked.Load(); refused > 0 {
		l.refusals.second.Add(uint64(refused))
		return
	}
	// A header so large that net/http ends the connection, instead of answering, never becomes a request. Fields are packed
	// (RFC 7541), text to five eighths at best.
	if !e.open.Load() && e.read.Load() >= int64(e.maxHeader)*5/8 {
		l.refusals.large.Add(1)
	}
}
