package rtmp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"
)

// shut closes what has nothing to say any more.
func shut(c io.Closer) { _ = c.Close() }

// tcpPair returns the two ends of a TCP connection on loopback, which are closed
// with the test.
func tcpPair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer shut(l)
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(client); shut(server) })
	return client, server
}

// served is a ServerConn with a goroutine that reads its events. It takes every
// request unless decide says otherwise.
type served struct {
	conn   *ServerConn
	events chan Event    // all but requests; closed at the end
	asked  chan Event    // the requests
	done   chan struct{} // closed when err is set
	err    error         // of Handshake or Next
}

// serve runs the server's end of a connection until it ends, at the latest with
// the test.
func serve(t testing.TB, nc net.Conn, config ServerConfig, decide func(*ServerConn, Event) error) *served {
	s := &served{
		conn: NewServerConn(nc, config), events: make(chan Event, 10000), asked: make(chan Event, 100), done: make(chan struct{}),
	}
	if decide == nil {
		decide = accept
	}
	s.start(t, func() error {
		if err := s.conn.Handshake(context.Background()); err != nil {
			return err
		}
		return s.run(decide)
	})
	return s
}

// resumed is serve for a connection that has begun elsewhere.
func resumed(t testing.TB, conn *ServerConn) *served {
	s := &served{conn: conn, events: make(chan Event, 10000), asked: make(chan Event, 100), done: make(chan struct{})}
	s.start(t, func() error { return s.run(accept) })
	return s
}

// start runs something to its end. A connection that is suspended stays open.
func (s *served) start(t testing.TB, run func() error) {
	go func() {
		defer close(s.done)
		defer close(s.events)
		if s.err = run(); !errors.Is(s.err, ErrSuspended) {
			_ = s.conn.Close()
		}
	}()
	t.Cleanup(func() { _ = s.conn.Close(); <-s.done })
}

func (s *served) run(decide func(*ServerConn, Event) error) error {
	for {
		ev, err := s.conn.Next()
		if err != nil {
			return err
		}
		switch e := ev.(type) {
		case *PublishRequest, *PlayRequest:
			s.asked <- ev
			if err := decide(s.conn, ev); err != nil {
				return err
			}
		case *Media:
			media := *e
			s.events <- &media
		default:
			s.events <- ev
		}
	}
}

func accept(c *ServerConn, ev Event) error {
	c.Authorised()
	if r, ok := ev.(*PublishRequest); ok {
		return c.AcceptPublish(r)
	}
	return c.AcceptPlay(ev.(*PlayRequest))
}

// peer is a client that sends what it is told to, however odd.
type peer struct {
	t  testing.TB
	nc net.Conn
	r  *chunkReader
}

// newPeer returns a client and the server that it talks to, after the handshake.
func newPeer(t testing.TB, config ServerConfig, decide func(*ServerConn, Event) error) (*peer, *served) {
	t.Helper()
	client, server := tcpPair(t)
	return newPeerOn(t, client, server, config, decide)
}

func newPeerOn(t testing.TB, client, server net.Conn, config ServerConfig, decide func(*ServerConn, Event) error) (*peer, *served) {
	t.Helper()
	s := serve(t, server, config, decide)
	p := &peer{t: t, nc: client, r: newChunkReader(client, new(counters))}
	p.r.authorise(DefaultMaxMessage, 2*DefaultMaxMessage)
	if err := clientHandshake(p.r, func(b []byte) error { p.send(b); return nil }); err != nil {
		t.Fatal(err)
	}
	return p, s
}

func (p *peer) send(b []byte) {
	p.t.Helper()
	if _, err := p.nc.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// command sends a command; values are what follows the name.
func (p *peer) command(streamID uint32, name string, values ...any) {
	p.t.Helper()
	p.send(appendCommand(nil, csidCommand, streamID, defaultChunkSize, append([]any{name}, values...)...))
}

// connect sends connect and reads its answer.
func (p *peer) connect() {
	p.t.Helper()
	p.command(0, "connect", 1.0, Object{{"app", "live"}, {"tcUrl", "rtmp://host/live"}})
	p.expect("_result", 1)
}

// publish goes the whole way to a publication on message stream 1.
func (p *peer) publish(name string) {
	p.t.Helper()
	p.connect()
	p.command(0, "createStream", 2.0, nil)
	p.expect("_result", 2)
	p.command(1, "publish", 3.0, nil, name, "live")
	p.expectStatus(CodePublishStart)
}

// next reads the next message of one of the kinds, any if there are none.
func (p *peer) next(kinds ...uint8) message {
	p.t.Helper()
	for {
		m, err := p.r.next()
		if err != nil {
			p.t.Fatalf("wait for a message of type %v: %v", kinds, err)
		}
		if len(kinds) == 0 || slices.Contains(kinds, m.kind) {
			return m
		}
	}
}

// expect reads up to the command of a name and transaction.
func (p *peer) expect(name string, transaction float64) command {
	p.t.Helper()
	for {
		cmd, ok := parseCommand(p.next(typeCommandAMF0))
		if !ok {
			p.t.Fatalf("wait for %s: the answer cannot be read", name)
		}
		if cmd.name == name && cmd.transaction == transaction {
			return cmd
		}
	}
}

// expectStatus reads up to an onStatus, which must have the code.
func (p *peer) expectStatus(code string) Object {
	p.t.Helper()
	cmd := p.expect("onStatus", 0)
	info, _ := AsObject(cmd.arg(0))
	if info.String("code") != code {
		p.t.Fatalf("onStatus %v, want %s", info, code)
	}
	return info
}

// media sends a message of a publication.
func (p *peer) media(kind uint8, streamID, timestamp uint32, payload string) {
	p.t.Helper()
	p.send(AppendMessage(nil, chunkStreamFor(kind), kind, streamID, timestamp, defaultChunkSize, []byte(payload)))
}

// waitLimit bounds the waits of tests; it is for tests that fail only.
const waitLimit = 20 * time.Second

// event returns the server's next event that is no request.
func (s *served) event(t testing.TB) Event {
	t.Helper()
	select {
	case ev, open := <-s.events:
		if !open {
			t.Fatalf("the connection has ended: %v", s.err)
		}
		return ev
	case <-time.After(waitLimit):
		t.Fatal("no event")
	}
	return nil
}

// end waits for the end of the connection and returns why.
func (s *served) end(t testing.TB) error {
	t.Helper()
	select {
	case <-s.done:
	case <-time.After(waitLimit):
		t.Fatal("the connection does not end")
	}
	return s.err
}

// request returns the next request.
func (s *served) request(t testing.TB) Event {
	t.Helper()
	select {
	case ev := <-s.asked:
		return ev
	case <-time.After(waitLimit):
		t.Fatal("no request")
	}
	return nil
}

// describe makes events comparable.
func describe(ev Event) string {
	switch ev := ev.(type) {
	case *Media:
		return fmt.Sprintf("media %d on %d at %d: %q", ev.Type, ev.StreamID, ev.Timestamp, ev.Payload)
	case *Unpublish:
		return fmt.Sprintf("unpublish %d %s", ev.StreamID, Reason(ev.Cause))
	case *Stop:
		return fmt.Sprintf("stop %d %s", ev.StreamID, Reason(ev.Cause))
	case *Pause:
		return fmt.Sprintf("pause %d %v", ev.StreamID, ev.Paused)
	}
	if r, ok := ev.(*Receive); ok {
		return fmt.Sprintf("receive %d on %d: %v", r.Type, r.StreamID, r.Wanted)
	}
	return fmt.Sprintf("%T", ev)
}

func (s *served) expect(t testing.TB, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := describe(s.event(t)); got != w {
			t.Fatalf("event %s, want %s", got, w)
		}
	}
}
