package edge

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/crowd"
)

// Limiter accepts connections within limits. What is too much is closed at once, and counted.
type Limiter struct {
	name     string
	refusals struct{ large, malformed, late, second atomic.Uint64 }
	crowd    *crowd.Counter
	turned   map[crowd.Refusal]*atomic.Uint64 // away, by reason; the map itself does not change
	fields   []byte                           // of what net/http refuses by itself
}

// NewLimiter returns a Limiter for any number of listeners. Its name, such as "http", begins the reasons of its refusals.
// The limits are those of all their connections together;
// handshakes are those that have not sent anything of a request yet, for which the handshake of TLS has to end first.
func NewLimiter(name string, limits crowd.Limits) *Limiter {
	l := &Limiter{
		name: name, crowd: crowd.NewCounter(limits), turned: make(map[crowd.Refusal]*atomic.Uint64), fields: publicFields,
	}
	for _, r := range crowd.Refusals {
		l.turned[r] = new(atomic.Uint64)
	}
	return l
}

// NewPrivateLimiter is NewLimiter for listeners of which pages of other sites are to learn nothing.
func NewPrivateLimiter(name string, limits crowd.Limits) *Limiter {
	l := NewLimiter(name, limits)
	l.fields = privateFields
	return l
}

// Change puts other limits in force for connections that come from now on. Those there are stay.
func (l *Limiter) Change(limits crowd.Limits) { l.crowd.Change(limits) }

// Refusals returns how many connections and requests were refused before a handler saw them, by reason.
func (l *Limiter) Refusals() map[string]uint64 {
	all := map[string]uint64{
		l.name + "-header-too-large":  l.refusals.large.Load(),
		l.name + "-malformed-request": l.refusals.malformed.Load(),
		l.name + "-header-timeout":    l.refusals.late.Load(),
		l.name + "-refused-by-http2":  l.refusals.second.Load(),
	}
	for reason, n := range l.turned {
		all[l.name+"-"+string(reason)] = n.Load()
	}
	return all
}

// Counts returns how many connections there are, how many of them have not said anything yet, and of how many networks
// they are.
func (l *Limiter) Counts() (connections, handshakes, networks int) { return l.crowd.Counts() }

// Listener returns a listener that accepts within the limits.
func (l *Limiter) Listener(inner net.Listener) net.Listener { return &limitedListener{inner, l} }

type limitedListener struct {
	net.Listener
	limiter *Limiter
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if limited := l.limiter.admit(conn); limited != nil {
			return limited, nil
		}
		_ = conn.Close() // it was told nothing: an answer would cost more than it may
	}
}

// admit counts a connection in; it returns nil if a limit is reached.
func (l *Limiter) admit(conn net.Conn) net.Conn {
	visit, refusal := l.crowd.Enter(conn.RemoteAddr(), func() {
		l.turned[crowd.HandshakeDisplaced].Add(1)
		_ = conn.Close() // who reads it finds out, and counts it out
	})
	if visit == nil {
		l.turned[refusal].Add(1)
		return nil
	}
	c := limitedConn{limiter: l, visit: visit, began: time.Now()}
	if tcp, ok := conn.(*net.TCPConn); ok {
		return &limitedTCP{TCPConn: tcp, limitedConn: c}
	}
	return &limitedOther{Conn: conn, limitedConn: c}
}

// Attach has a server that serves such listeners say which connections have sent something, and which requests got to its
// handler. It comes before the server serves.
func (l *Limiter) Attach(server *http.Server) {
	server.Handler, server.ConnState = noteHandled(server.Handler), l.connState
	server.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return withConn(ctx, c, server) }
}

// connState is for http.Server: it says when a connection has sent something.
func (l *Limiter) connState(conn net.Conn, state http.ConnState) {
	if state == http.StateNew {
		return
	}
	if c, ok := inner(conn).(interface{ handshook() }); ok {
		c.handshook()
	}
	if c := limitedOf(conn); c != nil {
		c.exchange.state(conn, state)
	}
}

// inner returns the connection below TLS.
func inner(conn net.Conn) net.Conn {
	if secure, ok := conn.(*tls.Conn); ok {
		return secure.NetConn()
	}
	return conn
}

func limitedOf(conn net.Conn) *limitedTCP {
	c, _ := inner(conn).(*limitedTCP)
	return c
}

// limitedConn counts a connection out when it is closed.
type limitedConn struct {
	limiter *Limiter
	visit   *crowd.Visit
	began   time.Time
}

func (c *limitedConn) handshook() { c.visit.Spoken() }

func (c *limitedConn) leave() { c.visit.Leave() }

// limitedTCP keeps all that a TCP connection can do, sendfile among it.
type limitedTCP struct {
	*net.TCPConn
	limitedConn
	exchange exchange
	closed   atomic.Bool
	quick    quick

	// Of the goroutine that answers requests.

	sender sender
	more   bool // the body comes right after what is being written
}

// Read implements net.Conn.
func (c *limitedTCP) Read(b []byte) (int, error) {
	n, err := c.quick.read(c.TCPConn, b)
	if n > 0 {
		c.exchange.got(n)
	}
	return n, err
}

// Write implements net.Conn.
func (c *limitedTCP) Write(b []byte) (int, error) {
	if !c.exchange.handled.Load() {
		c.exchange.written.Add(int64(len(b)))
		if answer := completed(b, c.limiter.fields); answer != nil {
			if _, err := c.TCPConn.Write(answer); err != nil {
				return 0, err
			}
			return len(b), nil
		}
	}
	return c.quick.write(c.TCPConn, b, c.more)
}

// Close implements net.Conn.
func (c *limitedTCP) Close() error {
	if !c.closed.Swap(true) {
		c.exchange.count(c.limiter, c.began)
	}
	c.leave()
	return c.TCPConn.Close()
}

type limitedOther struct {
	net.Conn
	limitedConn
}

// Close implements net.Conn.
func (c *limitedOther) Close() error {
	c.leave()
	return c.Conn.Close()
}
