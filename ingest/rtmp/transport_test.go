package rtmp

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestBytesAreAcknowledgedByTheWindow(t *testing.T) {
	p, s := newPeer(t, ServerConfig{}, nil)
	p.publish("test")
	p.send(appendControl(nil, typeWindowAckSize, 10_000))
	total := uint32(0)
	for range 5 {
		p.media(TypeVideo, 1, 0, strings.Repeat("v", 11_000))
		m := p.next(typeAck)
		sequence := binary.BigEndian.Uint32(m.payload)
		if sequence < total+10_000 {
			t.Fatalf("acknowledged %d after %d", sequence, total)
		}
		total = sequence
		s.event(t)
	}
	if in := s.conn.Stats().BytesIn; in < uint64(total) || in > uint64(total)+11_000 {
		t.Errorf("acknowledged %d of %d", total, in)
	}
}

func TestAcknowledgementsWrapAt32Bits(t *testing.T) {
	client, server := net.Pipe()
	defer shut(client)
	tr := new(transport)
	tr.init(server, time.Second)
	defer func() { _ = tr.close(nil, false) }()
	tr.stats.bytesIn.Store(1<<32 - 10)
	tr.acked, tr.window = 1<<32-10, 100
	go func() {
		for range 2 {
			_, _ = client.Write(make([]byte, 100)) // fails with the test
		}
	}()
	buf := make([]byte, 100)
	if _, err := tr.read(buf); err != nil {
		t.Fatal(err)
	}
	acks := newChunkReader(client, new(counters))
	got := make(chan message, 1)
	go func() {
		m, _ := acks.next() // fails with the test
		got <- m
	}()
	if _, err := tr.read(buf); err != nil {
		t.Fatal(err)
	}
	if m := <-got; m.kind != typeAck || !bytes.Equal(m.payload, []byte{0, 0, 0, 90}) {
		t.Errorf("type %d: % x, want an acknowledgement of 90", m.kind, m.payload)
	}
	shut(client)
}

func TestControlMessagesAreAnsweredOnAnyChunkStream(t *testing.T) {
	p, s := newPeer(t, ServerConfig{}, nil)
	p.publish("test")
	p.send(AppendMessage(nil, 4, typeUserControl, 1, 0, 128, []byte{0, eventPingRequest, 1, 2, 3, 4}))
	if m := p.next(typeUserControl); !bytes.Equal(m.payload, []byte{0, eventPingResponse, 1, 2, 3, 4}) {
		t.Errorf("ping is answered with % x", m.payload)
	}
	p.send(AppendMessage(nil, 6, typePeerBandwidth, 1, 0, 128, []byte{0, 1, 0, 0, 2}))
	if m := p.next(typeWindowAckSize); !bytes.Equal(m.payload, []byte{0, 1, 0, 0}) {
		t.Errorf("Set Peer Bandwidth is answered with % x", m.payload)
	}
	// Nothing of this is answered or ends the connection.
	for _, m := range []struct {
		kind    uint8
		payload string
	}{
		{typeUserControl, ""}, {typeUserControl, "\x00"}, {typeUserControl, "\x00\x06"}, {typeUserControl, "\x00\x1f1234"},
		{typeUserControl, "\x00\x03\x00\x00\x00\x01\x00\x00\x0b\xb8"}, {typeAck, ""}, {typeAck, "\x00\x00\x00\x01"},
		{typeWindowAckSize, "\x00"}, {typeWindowAckSize, "\x00\x00\x00\x00"}, {typePeerBandwidth, "\x00\x01"},
		{typePeerBandwidth, "\x00\x01\x00\x00\x02"}, // as before
	} {
		p.send(AppendMessage(nil, 2, m.kind, 0, 0, 128, []byte(m.payload)))
	}
	p.command(0, "unheardOf", 77.0, nil)
	if m := p.next(); m.kind != typeCommandAMF0 {
		t.Errorf("answered with type %d: % x", m.kind, m.payload)
	}
	if n := s.conn.Stats().Skipped[SkipMalformedControl]; n != 5 {
		t.Errorf("%d malformed messages counted, want 5", n)
	}
}

// inBubble runs a test in which time passes as soon as nothing else can happen,
// with a client that is connected to a server, and at first drains its answers.
func inBubble(t *testing.T, f func(t *testing.T, client net.Conn, s *served)) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		t.Cleanup(func() { shut(client) })
		s := serve(t, server, ServerConfig{}, nil)
		f(t, client, s)
	})
}

// drainInto reads a client's side for ever.
func drainInto(client io.Reader) {
	go io.Copy(io.Discard, client) //nolint:errcheck // ends with the pipe
}

func hello() []byte {
	b := make([]byte, handshakeBytes)
	b[0] = rtmpVersion
	return b
}

func publishing() []byte {
	return join(hello(),
		appendCommand(nil, csidCommand, 0, defaultChunkSize, "connect", 1.0, Object{{"app", "live"}}),
		appendCommand(nil, csidCommand, 0, defaultChunkSize, "createStream", 2.0, nil),
		appendCommand(nil, csidCommand, 1, defaultChunkSize, "publish", 3.0, nil, "test"))
}

func TestTimeouts(t *testing.T) {
	for name, c := range map[string]struct {
		send     []byte
		every    time.Duration // and then again and again,
		again    []byte        // this
		reason   string
		from, to time.Duration
	}{
		"no byte":                               {nil, 0, nil, ReasonHandshakeTimeout, 5 * time.Second, 5 * time.Second},
		"half a handshake":                      {hello()[:2000], 0, nil, ReasonHandshakeTimeout, 5 * time.Second, 5 * time.Second},
		"a handshake by the byte":               {hello()[:1], 10 * time.Millisecond, []byte{3}, ReasonHandshakeTimeout, 5 * time.Second, 5 * time.Second},
		"no command":                            {hello(), 0, nil, ReasonCommandTimeout, 10 * time.Second, 10 * time.Second},
		"pings instead of commands":             {hello(), time.Second, appendEvent(nil, eventPingResponse, 1), ReasonCommandTimeout, 10 * time.Second, 10 * time.Second},
		"a publisher that is gone":              {publishing(), 0, nil, ReasonPeerGone, 12 * time.Second, 15 * time.Second},
		"a publisher that answers pings only":   {publishing(), time.Second, appendEvent(nil, eventPingResponse, 1), ReasonMediaTimeout, 15 * time.Second, 18 * time.Second},
		"a publisher of metadata only":          {publishing(), time.Second, AppendMessage(nil, 4, TypeData, 1, 0, 128, AppendAMF0(nil, "x", 1.0)), ReasonMediaTimeout, 15 * time.Second, 18 * time.Second},
		"a message that comes by the byte":      {join(publishing(), header(0, 4, 0, 1<<20, TypeVideo)), time.Second, []byte{0}, ReasonMediaTimeout, 15 * time.Second, 18 * time.Second},
		"a connection left without a publisher": {join(publishing(), appendCommand(nil, csidCommand, 0, 128, "deleteStream", 0.0, nil, 1.0)), 0, nil, ReasonPeerGone, 12 * time.Second, 15 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, client net.Conn, s *served) {
				drainInto(client)
				start := time.Now()
				_, _ = client.Write(c.send) // the server may be gone before the end
				var more sync.WaitGroup
				more.Go(func() {
					for c.again != nil {
						time.Sleep(c.every)
						if _, err := client.Write(c.again); err != nil {
							return
						}
					}
				})
				<-s.done
				after := time.Since(start)
				if Reason(s.err) != c.reason || after < c.from || after > c.to {
					t.Errorf("ended after %v with %v, want %s after %v to %v", after, s.err, c.reason, c.from, c.to)
				}
				shut(client)
				more.Wait()
			})
		})
	}
}

func TestWhatCameInTimeCountsThoughThisSideIsLate(t *testing.T) {
	client, server := tcpPair(t)
	conn := NewServerConn(server, ServerConfig{HandshakeTimeout: time.Minute, CommandTimeout: 50 * time.Millisecond})
	defer shut(conn)
	drainInto(client)
	if _, err := client.Write(hello()); err != nil {
		t.Fatal(err)
	}
	if err := conn.Handshake(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write(publishing()[len(hello()):]); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // this side has no time
	ev, err := conn.Next()
	if _, ok := ev.(*PublishRequest); !ok {
		t.Errorf("got %T and %v, want the request that came in time", ev, err)
	}
}

func TestPublisherThatSendsMediaStays(t *testing.T) {
	inBubble(t, func(t *testing.T, client net.Conn, s *served) {
		drainInto(client)
		_, _ = client.Write(publishing())
		for i := range uint32(60) {
			time.Sleep(10 * time.Second)
			if _, err := client.Write(AppendMessage(nil, 4, TypeAudio, 1, i, 128, []byte("a1"))); err != nil {
				t.Fatalf("after %d messages: %v", i, err)
			}
		}
		shut(client)
		<-s.done
		// The last ping may find the pipe closed before the reader does.
		if reason := Reason(s.err); (reason != ReasonEOF && reason != ReasonClosed) || len(s.events) != 61 {
			t.Errorf("%d events, ended with %v", len(s.events), s.err)
		}
	})
}

func TestIdlePeerIsPingedAndStaysIfItAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer shut(client)
		s := serve(t, server, ServerConfig{MediaTimeout: -1}, nil)
		var answers []byte
		go func() { _, _ = client.Write(publishing()) }() // fails with the test
		r := newChunkReader(client, new(counters))
		r.authorise(DefaultMaxMessage, DefaultMaxMessage)
		if err := r.need(1 + 2*blockSize); err != nil {
			t.Fatal(err)
		}
		r.r += 1 + 2*blockSize
		start, pings := time.Now(), 0
		for time.Since(start) < 10*time.Minute {
			m, err := r.next()
			if err != nil {
				t.Fatalf("after %d pings: %v", pings, err)
			}
			if m.kind == typeUserControl && m.payload[1] == eventPingRequest {
				pings++
				answers = appendEvent(answers[:0], eventPingResponse, binary.BigEndian.Uint32(m.payload[2:]))
				if _, err := client.Write(answers); err != nil {
					t.Fatal(err)
				}
			}
		}
		if pings < 60 || pings > 130 {
			t.Errorf("%d pings in ten minutes", pings)
		}
		shut(client)
		<-s.done
	})
}

func TestSlowDecisionIsNotThePeersSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer shut(client)
		s := serve(t, server, ServerConfig{}, func(c *ServerConn, ev Event) error {
			time.Sleep(time.Minute)
			return accept(c, ev)
		})
		drainInto(client)
		_, _ = client.Write(publishing())
		_, _ = client.Write(AppendMessage(nil, 4, TypeAudio, 1, 0, 128, []byte("a1")))
		shut(client)
		<-s.done
		if Reason(s.err) != ReasonEOF || len(s.events) != 2 {
			t.Errorf("%d events, ended with %v", len(s.events), s.err)
		}
	})
}

func TestSlowConsumerIsNotThePeersSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer shut(client)
		conn := NewServerConn(server, ServerConfig{})
		defer shut(conn)
		drainInto(client)
		var writing sync.WaitGroup
		writing.Go(func() {
			_, _ = client.Write(publishing()) // fails with the test
			for i := range uint32(3) {
				_, _ = client.Write(AppendMessage(nil, 4, TypeAudio, 1, i, 128, []byte("a1")))
			}
		})
		if err := conn.Handshake(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			ev, err := conn.Next()
			if err != nil {
				t.Fatalf("event %d: %v", i, err)
			}
			if i == 0 {
				err = accept(conn, ev)
			}
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		writing.Wait()
	})
}

// halfClosed is a pipe that takes the end of one direction for granted.
type halfClosed struct{ net.Conn }

func (halfClosed) CloseWrite() error { return nil }

func TestClosingWaitsForTheOtherSideOnlySoLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		s := serve(t, server, ServerConfig{}, nil)
		c, err := Dial(context.Background(), "rtmp://h/live/test", ClientConfig{
			Dial: func(context.Context, string, string) (net.Conn, error) { return halfClosed{client}, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Publish(context.Background()); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := c.Close(); err != nil { // the server does not close in return
			t.Error(err)
		}
		if after := time.Since(start); after > lingerTime {
			t.Errorf("closed after %v", after)
		}
		<-s.done
	})
}

func TestHandshakeEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer shut(client)
		conn := NewServerConn(server, ServerConfig{})
		defer shut(conn)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := conn.Handshake(ctx); Reason(err) != ReasonCanceled {
			t.Errorf("%v, want %s", err, ReasonCanceled)
		}
	})
}

func TestPeerThatDoesNotReadIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer shut(client)
		conn := NewServerConn(server, ServerConfig{})
		defer shut(conn)
		start := time.Now()
		err := conn.WriteMedia(1, TypeVideo, 0, make([]byte, 1000))
		if after := time.Since(start); Reason(err) != ReasonWriteTimeout || after < 10*time.Second || after > 12*time.Second {
			t.Errorf("%v after %v, want %s after 10 s", err, after, ReasonWriteTimeout)
		}
		if err := conn.WriteChunks([]byte("x")); Reason(err) != ReasonWriteTimeout {
			t.Errorf("after a message broke off: %v", err)
		}
	})
}

func TestPeerThatAsksAndDoesNotReadIsGivenUp(t *testing.T) {
	inBubble(t, func(t *testing.T, client net.Conn, s *served) {
		drain := &io.LimitedReader{R: client, N: 1 + 2*blockSize}
		drainInto(drain)
		_, _ = client.Write(publishing()) // until the server stops to read
		<-s.done
		if Reason(s.err) != ReasonWriteTimeout {
			t.Errorf("ended with %v, want %s", s.err, ReasonWriteTimeout)
		}
	})
}

func TestCloseDoesNotWaitForAStuckWriter(t *testing.T) {
	_, server := tcpPair(t)
	stuck := &firstWrite{Conn: server, begun: make(chan struct{})}
	conn := NewServerConn(stuck, ServerConfig{WriteTimeout: time.Hour})
	written := make(chan error)
	go func() { written <- conn.WriteMedia(1, TypeVideo, 0, make([]byte, 16_000_000)) }()
	<-stuck.begun
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if err := <-written; err == nil {
		t.Error("16 MB have been written to a peer that does not read")
	}
}

// firstWrite tells when writing has begun.
type firstWrite struct {
	net.Conn
	once  sync.Once
	begun chan struct{}
}

func (f *firstWrite) Write(p []byte) (int, error) {
	f.once.Do(func() { close(f.begun) })
	return f.Conn.Write(p)
}

func TestAnswersAreWrittenTogether(t *testing.T) {
	client, server := tcpPair(t)
	writes := &countedWrites{Conn: server}
	p, _ := newPeerOn(t, client, writes, ServerConfig{}, nil)
	before := writes.n.Load()
	p.connect()
	if n := writes.n.Load() - before; n != 1 {
		t.Errorf("connect is answered in %d writes", n)
	}
}

type countedWrites struct {
	net.Conn
	n atomic.Int32
}

func (c *countedWrites) Write(p []byte) (int, error) {
	c.n.Add(1)
	return c.Conn.Write(p)
}

func TestReasonOfErrors(t *testing.T) {
	for want, err := range map[string]error{
		"": nil, ReasonEOF: io.EOF, ReasonTruncated: io.ErrUnexpectedEOF, ReasonClosed: net.ErrClosed,
		ReasonCanceled: context.Canceled, ReasonWriteTimeout: os.ErrDeadlineExceeded, ReasonUnknown: io.ErrNoProgress,
		ReasonChunkSize: wrapRead("x", fault(ReasonChunkSize, "read", "wrong")),
	} {
		if got := Reason(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}
