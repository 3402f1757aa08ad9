package rtmp

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"
)

// ErrSuspended is what Next returns after Suspend: nothing has ended.
var ErrSuspended = errors.New("the connection is suspended")

// Suspend has Next return ErrSuspended as soon as it would wait for the peer, so that Freeze can follow. Any goroutine
// may call it.
func (c *ServerConn) Suspend() {
	c.suspended.Store(true)
	_ = c.nc.SetReadDeadline(time.Now()) // wakes who reads; if it fails, reading does as well
}

// Freeze ends this end of the connection, but not the connection: another ServerConn can go on with what it returns, to
// which the caller adds what it has read since by itself. first are messages to be dealt with before what has come. It is
// for the reading goroutine, after Next has returned media or ErrSuspended; this ServerConn must not be used any more.
func (c *ServerConn) Freeze(first ...Media) (*State, error) {
	if len(c.due) > 0 || c.err != nil || c.connect == nil || c.closed.Load() {
		return nil, errors.New("freeze a connection: it is ending, or has not begun")
	}
	if err := c.flush(); err != nil {
		return nil, fmt.Errorf("freeze a connection: %w", err)
	}
	s := &State{
		BytesIn: c.stats.bytesIn.Load(), Acked: c.acked, Window: c.window, Wanted: c.wanted,
		OutChunkSize: c.config.ChunkSize, FCPublish: c.fcPublish,
		Connect: ConnectState{
			App: []byte(c.connect.rawApp), TcURL: []byte(c.connect.rawTcURL), FlashVer: c.connect.FlashVer, Type: c.connect.Type,
			ObjectEncoding: c.connect.ObjectEncoding, Codecs: c.connect.Codecs,
		},
	}
	for _, ns := range c.streams {
		switch ns.state {
		case streamIdle, streamPublishing:
			s.Streams = append(s.Streams, StreamState{ID: ns.id, Name: ns.name, Publishing: ns.state == streamPublishing, Over: ns.over})
		default:
			return nil, errors.New("freeze a connection: something is played, or asked for")
		}
	}
	for _, m := range first {
		s.Messages = append(s.Messages, MessageState(m))
	}
	c.chunks.freeze(s)
	s.Unread = append(s.Unread, c.unread...) // what came from elsewhere may not have been used up yet
	return s, nil
}

// freeze adds to s what was read and not handed out.
func (c *chunkReader) freeze(s *State) {
	for _, m := range c.first {
		s.Messages = append(s.Messages, MessageState{m.kind, m.streamID, m.timestamp, m.payload})
	}
	for m, ok := c.aggregate.next(); ok; m, ok = c.aggregate.next() {
		s.Messages = append(s.Messages, MessageState{m.kind, m.streamID, m.timestamp, m.payload})
	}
	s.InChunkSize = c.chunkSize
	if c.midway != nil {
		s.Midway, s.MidwayLeft = c.midway.id, c.left
	}
	streams := slices.Clone(c.wide)
	for _, cs := range c.narrow {
		if cs != nil {
			streams = append(streams, cs)
		}
	}
	slices.SortFunc(streams, func(a, b *chunkStream) int { return cmp.Compare(a.used, b.used) })
	for _, cs := range streams {
		state := ChunkStreamState{
			ID: cs.id, Timestamp: cs.timestamp, Delta: cs.delta, StreamID: cs.streamID, Length: cs.length, Type: cs.kind,
			Extended: cs.extended, ExtendedBytes: cs.extendedBytes,
			Open: cs.open, Discarded: cs.open && cs.place == discarded, Got: cs.got,
		}
		switch {
		case !cs.open:
		case cs.place == inSlab:
			state.Partial = c.buf[cs.start : cs.start+cs.got]
		case cs.place == ownArray:
			state.Partial = cs.own
		}
		s.ChunkStreams = append(s.ChunkStreams, state)
	}
	s.Unread = slices.Clone(c.buf[c.r:c.w])
}

// ResumeServerConn goes on with a connection that was frozen elsewhere, and which it owns. There has been a handshake,
// and its publishers are authorised. It fails if the state goes beyond the limits of the configuration; whoever gets an
// error still has nc.
func ResumeServerConn(nc net.Conn, config ServerConfig, s *State) (*ServerConn, error) {
	config.ChunkSize = s.OutChunkSize // the peer was told
	c := NewServerConn(nc, config)
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("resume a connection: %w", err)
	}
	if len(s.Streams) > c.config.MaxStreams {
		return nil, errors.New("resume a connection: it has too many message streams")
	}
	c.outSize, c.wanted, c.window, c.acked, c.fcPublish = c.config.ChunkSize, s.Wanted, s.Window, s.Acked, s.FCPublish
	c.stats.bytesIn.Store(s.BytesIn)
	c.connect = parseConnect(Object{
		{"app", string(s.Connect.App)}, {"tcUrl", string(s.Connect.TcURL)}, {"flashVer", s.Connect.FlashVer}, {"type", s.Connect.Type},
		{"objectEncoding", s.Connect.ObjectEncoding},
	})
	c.connect.Codecs = s.Connect.Codecs
	for _, ns := range s.Streams {
		stream := &netStream{id: ns.ID, name: ns.Name, over: ns.Over}
		if ns.Publishing {
			stream.state = streamPublishing
			c.watch.expect(&stream.media)
		}
		c.streams = append(c.streams, stream)
	}
	c.Authorised()
	if err := c.chunks.resume(s); err != nil {
		return nil, fmt.Errorf("resume a connection: %w", err)
	}
	c.unread = s.Unread
	if err := c.begin(time.Time{}, nil); err != nil {
		return nil, fmt.Errorf("resume a connection: %w", err)
	}
	c.acknowledge() // a peer may wait for that before it sends more
	return c, nil
}

// resume makes the reader stand where another one was frozen.
func (c *chunkReader) resume(s *State) error {
	c.chunkSize = s.InChunkSize
	for _, m := range s.Messages { // the configurations among them are kept as long as somebody publishes, and the state is not
		c.first = append(c.first, message{kind: m.Type, streamID: m.StreamID, timestamp: m.Timestamp, payload: bytes.Clone(m.Payload)})
	}
	for i := range s.ChunkStreams {
		state := &s.ChunkStreams[i]
		cs, err := c.stream(state.ID, 0)
		if err != nil {
			return err
		}
		cs.timestamp, cs.delta, cs.streamID, cs.length, cs.kind = state.Timestamp, state.Delta, state.StreamID, state.Length, state.Type
		cs.extended, cs.extendedBytes = state.Extended, state.ExtendedBytes
		if state.Open {
			if err := c.reopen(cs, state); err != nil {
				return err
			}
		}
		if state.ID == s.Midway {
			c.midway, c.left = cs, s.MidwayLeft
		}
	}
	return nil
}

// reopen goes on with an unfinished message. Its bytes have come, and count as any do.
func (c *chunkReader) reopen(cs *chunkStream, state *ChunkStreamState) error {
	if err := c.begin(cs); err != nil {
		return err
	}
	c.building = nil
	if (cs.place == discarded) != state.Discarded {
		return errors.New("a message of a type that one side does not know")
	}
	if cs.place != discarded {
		cs.place = ownArray
		if err := c.grow(cs, len(state.Partial)); err != nil {
			return err
		}
		cs.own = append(cs.own, state.Partial...)
	}
	cs.got = state.Got
	return nil
}
