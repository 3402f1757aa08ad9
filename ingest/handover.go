package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/flvtag"
)

// Publishers can change over to another process without noticing. Here each is frozen where its publication can go on: at
// a keyframe, which is not written any more. There its session begins with that one. What comes meanwhile is read and
// goes along, so that no encoder finds its connection full.

const (
	// maxFrozen bounds what is read from a frozen publisher, in bytes: four seconds at 32 Mbit/s. maxFrozenAll is for all of
	// them together: four seconds of 250 at 4 Mbit/s. The rest stays in the sockets' buffers.
	maxFrozen    = 16 << 20
	maxFrozenAll = 512 << 20
	// maxStopped bounds for how long a publisher may have been stopped that has to send no less for it: two processes that
	// take all the time there is to begin, and one of which fails, and the wait for keyframes.
	maxStopped = 2*time.Minute + 10*time.Second
	// suspendTime is how long a session may take to stop that is told to.
	suspendTime = 2 * time.Second
	// freezeLook is how often it is looked whether all have stopped.
	freezeLook = 5 * time.Millisecond
)

// Frozen is a publisher's connection with which another process can go on. Nobody reads or writes it here any more.
type Frozen struct {
	Conn net.Conn
	// State is what Adopt wants to know of it. It is secret.
	State []byte

	publications []*publication // that were handed over, and have not left
}

// Ended reports whether somebody has ended it since: a permission was taken back, or a publication ended. Then it is not
// to go on.
func (z *Frozen) Ended() bool {
	return slices.ContainsFunc(z.publications, func(p *publication) bool { return p.permit.Err() != nil || p.TakenBack() })
}

// Leave counts its publishers out, once it has gone elsewhere or nowhere.
func (z *Frozen) Leave() {
	for _, p := range z.publications {
		p.leave()
	}
	z.publications = nil
}

// freeze is what Freeze is at.
type freeze struct {
	ctx  context.Context // ends reading on
	stop context.CancelFunc
	read atomic.Int64 // bytes, from all who are frozen

	mu       sync.Mutex
	over     bool
	sessions sync.WaitGroup // those that have stopped, until they are in frozen
	frozen   []Frozen
}

// enter lets a session be frozen, until leave; it returns false if it is too late for that.
func (f *freeze) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.over {
		f.sessions.Add(1)
	}
	return !f.over
}

func (f *freeze) add(z Frozen) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frozen = append(f.frozen, z)
}

// Freeze stops all who publish at their next keyframe, or where they are when that takes longer than wait, and returns
// their connections, which are the caller's. Their publications have ended, for another process to go on with. Who plays
// on the same connection stays as it is. It is called once.
func (s *Server) Freeze(wait time.Duration) []Frozen {
	f := &freeze{}
	f.ctx, f.stop = context.WithCancel(context.Background())
	s.freezing.Store(f)
	if late := s.awaitStill(wait); len(late) > 0 {
		for _, c := range late {
			c.Suspend()
		}
		s.awaitStill(suspendTime)
	}
	f.mu.Lock()
	f.over = true
	f.mu.Unlock()
	f.stop()
	f.sessions.Wait()
	frozen := f.frozen
	f.frozen = nil // what they have sent is the caller's to forget
	return frozen
}

// awaitStill waits until nobody publishes any more, and returns who does after that time.
func (s *Server) awaitStill(wait time.Duration) []*rtmp.ServerConn {
	over := time.NewTimer(wait)
	defer over.Stop()
	look := time.NewTicker(freezeLook)
	defer look.Stop()
	for {
		moving := s.publishing()
		if len(moving) == 0 {
			return nil
		}
		select {
		case <-over.C:
			return moving
		case <-look.C:
		}
	}
}

// publishing returns the connections that can be frozen and are not.
func (s *Server) publishing() []*rtmp.ServerConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*rtmp.ServerConn
	for _, c := range s.conns {
		if c.publishing.Load() > 0 && c.playing.Load() == 0 {
			all = append(all, c.conn)
		}
	}
	return all
}

// errFrozen says that the session stops where it is.
var errFrozen = errors.New("the session goes on in another process")

// freezesAt reports whether the session is to stop before a message, and can.
func (se *session) freezesAt(m *rtmp.Media) bool {
	f, p := se.server.freezing.Load(), se.publications[m.StreamID]
	if f == nil || p == nil || len(se.players) > 0 {
		return false
	}
	begins := p.CanBegin(remux.Message{Type: flvtag.Type(m.Type), Timestamp: m.Timestamp, Payload: m.Payload})
	return begins && f.enter()
}

// handedSession is what another process has to know of a session beside its connection's state.
type handedSession struct {
	Remote       netip.AddrPort
	Protocol     string
	Publications []handedPublication
}

// handedPublication is a publication that goes on.
type handedPublication struct {
	StreamID  uint32
	Stream    remux.StreamName
	Admission json.RawMessage `json:",omitempty"`
	Encoder   string
	Since     time.Time
	// Stopped is since when nothing has counted towards its bitrate: what has come since may come at once.
	Stopped time.Time
}

// freeze ends the session here. first are the messages that were read and are for the other process.
func (se *session) freeze(f *freeze, first ...rtmp.Media) {
	defer f.sessions.Done()
	se.wire.endTurn()
	z := Frozen{Conn: se.nc}
	if r, ok := se.nc.(remoteConn); ok {
		z.Conn = r.Conn
	}
	if err := se.frozen(f, &z, first); err != nil {
		z.Leave()
		se.end(err)
		return
	}
	f.add(z)
	se.server.forget(se.nc)
}

// frozen ends the publications and fills in what z has of the session.
func (se *session) frozen(f *freeze, z *Frozen, first []rtmp.Media) error {
	owner := handedSession{Remote: addrPort(se.nc.RemoteAddr()), Protocol: se.protocol}
	var preamble []rtmp.Media
	for id := range se.publications {
		p := se.publications[id]
		h, media := se.handOver(id)
		if h == nil {
			return remux.ErrFenced
		}
		z.publications = append(z.publications, p)
		owner.Publications = append(owner.Publications, *h)
		preamble = append(preamble, media...)
	}
	state, err := se.conn.Freeze(append(preamble, first...)...)
	if err != nil {
		return err
	}
	if state.Owner, err = json.Marshal(owner); err != nil {
		return err
	}
	before := len(state.Unread)
	state.Unread = se.readOn(f, state.Unread)
	state.BytesIn += uint64(len(state.Unread) - before)
	z.State, err = state.MarshalBinary()
	return err
}

// handOver ends a publication for another process to go on with; nil if it has ended before. It has not left then: until
// it is there, it can be taken back.
func (se *session) handOver(id uint32) (*handedPublication, []rtmp.Media) {
	p := se.publications[id]
	close(p.over)
	p.watch.Wait()
	messages, properties, ok := p.HandOver()
	if ok {
		delete(se.publications, id)
		se.entry.publishing.Add(-1)
		se.log.Info("publication ended", "stream", string(p.name), "generation", p.Generation(), "reason", string(p.Reason()))
	} else {
		p.over = make(chan struct{}) // for its end, which is as usual
		return nil, nil
	}
	var media []rtmp.Media
	if len(properties) > 0 {
		media = append(media, rtmp.Media{Type: rtmp.TypeData, StreamID: id, Payload: flvtag.AppendMetadata(nil, properties)})
	}
	for _, m := range messages {
		media = append(media, rtmp.Media{Type: uint8(m.Type), StreamID: id, Payload: m.Payload})
	}
	return &handedPublication{
		StreamID: id, Stream: p.name, Admission: p.record, Encoder: p.Publisher().Encoder, Since: p.Started(),
		Stopped: time.Now().Add(-p.bitrate.owed()),
	}, media
}

// readOn appends to b, which was read before, what comes until all have stopped.
func (se *session) readOn(f *freeze, b []byte) []byte {
	f.read.Add(int64(len(b)))
	_ = se.nc.SetReadDeadline(time.Time{}) // if it fails, reading does
	woken := make(chan struct{})
	context.AfterFunc(f.ctx, func() {
		defer close(woken)
		_ = se.nc.SetReadDeadline(time.Now())
	})
	for len(b) < maxFrozen && f.read.Load() < maxFrozenAll {
		b = slices.Grow(b, 64<<10)
		n, err := se.nc.Read(b[len(b):min(cap(b), maxFrozen)])
		b = b[:len(b)+n]
		f.read.Add(int64(n))
		if err != nil {
			break // the other process will find what has ended
		}
	}
	<-woken
	return b
}
