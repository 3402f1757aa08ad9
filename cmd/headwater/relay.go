package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/cmd/headwater/systemd"
	"github.com/headwater-live/headwater/ingest"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/flvtag"
)

// relays are how a process that has handed over goes on for its live viewers: what they watch it asks the next process
// for, as FLV (relayserver.go), and publishes it in its own hub, where nothing is left but what viewers read.
type relays struct {
	server *server
	grace  time.Duration // how long a stream may have no publisher
	// patience is how long a client may read nothing of an answer that is passed on.
	patience time.Duration
	ctx      context.Context // ends with everything, and says why
	cancel   context.CancelCauseFunc
	running  sync.WaitGroup
	begins   sync.WaitGroup // begin's goroutine: nobody else asks meanwhile
	proxied  atomic.Int64   // requests that the next process answers
	settled  chan struct{}  // closed when it is known whether the next process serves

	// mu guards all below. It may be held when the hub's lock is taken.
	mu     sync.Mutex
	next   nextProcess
	serves bool // next does: until then another may take its place
	over   bool
	byName map[remux.StreamName]*relay
}

// nextProcess is what relays need of the process that was handed over to. It is a *systemd.Next.
type nextProcess interface {
	Dial(kind byte) (net.Conn, error)
	Announced() error
	Silence()
}

// relay is one stream that is watched here and published there.
type relay struct {
	name remux.StreamName
	conn net.Conn // nil while the next process is not asked
	// publication is nil until somebody has published what is waited for.
	publication *remux.Publication
}

func newRelays(s *server) *relays {
	r := &relays{
		server: s, grace: s.cfg().Stream.Grace, patience: passPatience, settled: make(chan struct{}), byName: make(map[remux.StreamName]*relay),
	}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	return r
}

// begin asks the next process, which need not have begun, for all that is watched. One that was asked before must have gone.
func (r *relays) begin(next nextProcess) {
	if r == nil {
		return
	}
	r.begins.Wait()
	r.mu.Lock()
	r.next = next
	for _, x := range r.byName {
		if x.conn != nil {
			_ = x.conn.Close()
			x.conn = nil
		}
	}
	r.mu.Unlock()
	r.begins.Add(1)
	r.running.Go(func() { // it waits for the next process where there is much to ask for
		defer r.begins.Done()
		r.running.Go(func() { r.followDenials(next) })
		r.poll(systemd.RelayAnnounced)
		if err := next.Announced(); err != nil {
			r.server.logger.Debug("the next process was not told what is watched", "err", err)
		}
	})
}

// served says that the next process serves, or that none does.
func (r *relays) served(ok bool) {
	if r == nil {
		return
	}
	r.mu.Lock()
	r.serves = ok
	r.mu.Unlock()
	close(r.settled)
}

// dial connects to the next process.
func (r *relays) dial(kind byte) (net.Conn, error) {
	r.mu.Lock()
	next, over := r.next, r.over
	r.mu.Unlock()
	if next == nil || over {
		return nil, errors.New("there is no next process")
	}
	return next.Dial(kind)
}

// poll asks for what is watched, and lets go of what is not. It reports whether anything is.
func (r *relays) poll(kind byte) bool {
	watched := r.server.hub.Watched()
	is := make(map[remux.StreamName]bool, len(watched))
	var ask []*relay
	r.mu.Lock()
	for _, name := range watched {
		is[name] = true
		x := r.byName[name]
		if x == nil {
			x = &relay{name: name}
			if r.server.hub.Stream(name) != nil { // so that it does not end meanwhile
				x.publication, _ = r.server.hub.Relay(name, relayPublisher) // without it the relay fails
			}
			r.byName[name] = x
		}
		if x.conn == nil {
			ask = append(ask, x)
		}
	}
	for name, x := range r.byName {
		if !is[name] {
			r.forgetLocked(x)
		}
	}
	r.mu.Unlock()
	for _, x := range ask {
		r.ask(x, kind)
	}
	return len(watched) > 0 || r.proxied.Load() > 0
}

// forgetLocked ends a relay, and the stream here.
func (r *relays) forgetLocked(x *relay) {
	delete(r.byName, x.name)
	if x.conn != nil {
		_ = x.conn.Close()
	}
	r.server.hub.EndStream(x.name)
}

// ask asks the next process for a stream, and follows it on a goroutine. Only one goroutine at a time polls.
// Meanwhile the stream may have been let go of.
func (r *relays) ask(x *relay, kind byte) {
	conn, err := r.dial(kind)
	if err == nil {
		_, err = fmt.Fprintf(conn, "GET /%s.flv HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\n\r\n", x.name, relayHost, relayAgent)
	}
	if err != nil {
		r.ended(x, nil, err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || r.byName[x.name] != x || x.conn != nil {
		_ = conn.Close()
		return
	}
	x.conn = conn
	r.running.Go(func() {
		err := r.follow(x, conn)
		_ = conn.Close()
		r.ended(x, conn, err)
	})
}

// ended takes note that the next process sends no more: the stream is over, unless it has gone before it served.
func (r *relays) ended(x *relay, conn net.Conn, err error) {
	r.server.logger.Debug("relay ended", "stream", string(x.name), "err", err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byName[x.name] != x || x.conn != conn {
		return
	}
	x.conn = nil
	if r.serves || r.over {
		r.forgetLocked(x)
	}
}

// errOver says that a stream has ended in the next process as well.
var errOver = errors.New("the stream is over")

// follow publishes what the next process sends, until that ends.
func (r *relays) follow(x *relay, conn net.Conn) error {
	// A stream that has no publisher is answered for when its grace period is over.
	if err := conn.SetReadDeadline(time.Now().Add(r.grace + relayPatience)); err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReaderSize(conn, 64<<10), nil)
	if err != nil {
		return err
	}
	defer func() { _, _ = conn.Close(), answer.Body.Close() }() // the other way round, it would read to the end
	if answer.StatusCode != http.StatusOK {
		return errOver
	}
	publication, err := r.publication(x, conn)
	if err = errors.Join(err, conn.SetReadDeadline(time.Time{})); err != nil {
		return err
	}
	file, err := newFLVFile(answer.Body)
	if err != nil {
		return err
	}
	file.maxTag = max(maxFileTag, r.server.cfg().RTMP.MaxMessage)
	for {
		tag, err := file.next()
		if errors.Is(err, io.EOF) {
			return errOver
		}
		if err != nil {
			return err
		}
		if tag.kind == flvtag.Script {
			if properties, err := ingest.Metadata(tag.body); err == nil && properties != nil {
				publication.SetMetadata(properties)
			}
			continue
		}
		if err := publication.Write(remux.Message{Type: tag.kind, Timestamp: tag.timestamp, Payload: bytes.Clone(tag.body)}); err != nil {
			return err
		}
	}
}

// publication returns the publication of a relay whose stream has been published by now.
func (r *relays) publication(x *relay, conn net.Conn) (p *remux.Publication, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if x.conn != conn {
		return nil, net.ErrClosed
	}
	if x.publication == nil {
		x.publication, err = r.server.hub.Relay(x.name, relayPublisher)
	}
	return x.publication, err
}

// relayPublisher is who publishes in the hub of a process that has handed over.
var relayPublisher = remux.Publisher{Protocol: relayHost}

// relayPatience is how much longer than a grace period an answer may take.
const relayPatience = 10 * time.Second
