package rtmp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// ServerConfig configures a ServerConn. Zero values mean the defaults.
type ServerConfig struct {
	HandshakeTimeout time.Duration // for the whole handshake (5 s)
	CommandTimeout   time.Duration // from there to publish or play (10 s)
	IdleTimeout      time.Duration // a peer silent for so long, and taking nothing, is gone; pinged after a third of it (15 s)
	MediaTimeout     time.Duration // a publication without audio or video for so long is over (15 s); negative: never
	WriteTimeout     time.Duration // for a write to a peer that does not read (10 s)

	MaxMessage int // bytes of an audio or video message once authorised (8 MiB)
	MaxPartial int // bytes of all unfinished messages once authorised (twice MaxMessage)
	MaxStreams int // message streams of a connection (8)

	MaxPartialMessages int // unfinished messages, each on a chunk stream of its own (64, which is also the most)

	ChunkSize     int    // announced and used for sending, 128 to 16777215 (65536)
	WindowAckSize uint32 // the peer is to acknowledge every so many bytes (2500000)

	// Codecs is what the server answers to clients of Enhanced RTMP.
	Codecs Codecs

	// CheckConnect, if set, may refuse a connect: with a *Refusal, whose code
	// and description the client is told, or another error, whose text it is not.
	CheckConnect func(*ConnectInfo) error
}

func (c ServerConfig) withDefaults() ServerConfig {
	c.HandshakeTimeout = cmp.Or(c.HandshakeTimeout, DefaultHandshakeTimeout)
	c.CommandTimeout = cmp.Or(c.CommandTimeout, DefaultCommandTimeout)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, DefaultIdleTimeout)
	c.MediaTimeout = max(0, cmp.Or(c.MediaTimeout, DefaultMediaTimeout))
	c.WriteTimeout = cmp.Or(c.WriteTimeout, DefaultWriteTimeout)
	c.MaxMessage = cmp.Or(c.MaxMessage, DefaultMaxMessage)
	c.MaxPartial = cmp.Or(c.MaxPartial, 2*c.MaxMessage)
	c.MaxStreams = cmp.Or(c.MaxStreams, DefaultMaxStreams)
	c.MaxPartialMessages = min(cmp.Or(c.MaxPartialMessages, DefaultMaxPartialMessages), DefaultMaxPartialMessages)
	c.ChunkSize = min(max(cmp.Or(c.ChunkSize, DefaultChunkSize), defaultChunkSize), maxChunkSize)
	c.WindowAckSize = cmp.Or(c.WindowAckSize, DefaultWindowAckSize)
	return c
}

// Refusal is an error whose code and description the peer is told.
type Refusal struct{ Code, Description string }

func (r *Refusal) Error() string { return r.Code + ": " + r.Description }

// ServerConn is the server's end of a connection. Handshake, Next, Authorised,
// AcceptPublish, AcceptPlay and Reject belong to one goroutine; the other
// methods may be called from any.
type ServerConn struct {
	transport
	config ServerConfig

	// Of the reading goroutine.
	connect   *ConnectInfo // nil before connect
	streams   []*netStream // created and not deleted
	media     Media        // what Next returns for media
	due       []Event      // to be returned before anything else, err included
	err       error        // what Next returns from now on
	fcPublish bool         // the peer waits for onFCPublish

	outSize int         // chunk size in force for sending, fixed once connect is answered
	lingers atomic.Bool // closing has to wait until a refusal has been read
}

// netStream is a message stream.
type netStream struct {
	id    uint32
	state streamState
	name  string // what is published or played, without query
	media mediaWatch
	// over: a publication has ended on it or was refused, of which more may still come.
	over bool
}

type streamState uint8

const (
	streamIdle streamState = iota
	streamPublishAsked
	streamPlayAsked
	streamPublishing
	streamPlaying
)

// NewServerConn makes the server's end of an accepted connection, which it owns.
func NewServerConn(nc net.Conn, config ServerConfig) *ServerConn {
	c := &ServerConn{config: config.withDefaults(), outSize: defaultChunkSize}
	c.init(nc, c.config.WriteTimeout)
	c.chunks.limits.open = c.config.MaxPartialMessages
	c.wanted = c.config.WindowAckSize
	c.watch.idle, c.watch.media, c.watch.pings = c.config.IdleTimeout, c.config.MediaTimeout, true
	c.watch.silent = c.endSilent
	return c
}

// Handshake reads and answers the handshake. An end of ctx breaks it off; the
// connection must be closed after an error.
func (c *ServerConn) Handshake(ctx context.Context) error {
	late := fault(ReasonHandshakeTimeout, "handshake", "not complete in time")
	if err := c.begin(time.Now().Add(c.config.HandshakeTimeout), late); err != nil {
		return wrapRead("handshake", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.nc.Close() })
	err := serverHandshake(c.chunks, func(b []byte) error { c.send(b); return nil })
	if !stop() {
		return fmt.Errorf("handshake: %w", context.Cause(ctx))
	}
	if err != nil {
		return err
	}
	idle := fault(ReasonCommandTimeout, "read command", "neither publish nor play in time")
	return c.begin(time.Now().Add(c.config.CommandTimeout), idle)
}

// Next reads until there is something to decide or to pass on, and returns it.
// An error is final, and is io.EOF where the peer closed in order; see Reason.
// Before it come the ends of what was accepted.
func (c *ServerConn) Next() (Event, error) {
	for {
		if len(c.due) > 0 {
			ev := c.due[0]
			c.due = c.due[1:]
			return ev, nil
		}
		if c.err != nil {
			return nil, c.err
		}
		m, err := c.chunks.next()
		if errors.Is(err, ErrSuspended) {
			if len(c.due) > 0 {
				continue
			}
			return nil, ErrSuspended
		}
		if err != nil {
			c.fail(err)
			continue
		}
		silent := c.due // publications that have ended while the message was awaited, and before what it says
		c.due = nil
		ev, err := c.handle(m)
		if len(silent) > 0 {
			if ev != nil {
				silent, ev = append(silent, ev), nil
			}
			c.due = append(silent, c.due...)
		}
		if err != nil {
			c.fail(err)
			continue
		}
		if ev != nil {
			return ev, nil
		}
	}
}

// fail ends everything with an error.
func (c *ServerConn) fail(err error) {
	if c.closed.Load() {
		err = fmt.Errorf("read: %w", net.ErrClosed)
	}
	c.err = err
	for _, s := range c.streams {
		if ev := c.end(s, err); ev != nil {
			c.due = append(c.due, ev)
		}
	}
}

// Authorised raises the memory limits from those of an unknown peer to those of
// the configuration. Call it when a publisher has been authenticated.
func (c *ServerConn) Authorised() { c.chunks.authorise(c.config.MaxMessage, c.config.MaxPartial) }

// ChunkSize is the chunk size of everything sent after connect: what AppendMessage
// needs for bytes that go to WriteChunks.
func (c *ServerConn) ChunkSize() int { return c.config.ChunkSize }

// Stats returns the counters.
func (c *ServerConn) Stats() Stats { return c.snapshot() }

// WriteMedia sends a message to a player, in one write. It waits for a slow peer
// up to WriteTimeout.
func (c *ServerConn) WriteMedia(streamID uint32, kind uint8, timestamp uint32, payload []byte) error {
	return c.writeMessage(chunkStreamFor(kind), kind, streamID, timestamp, c.config.ChunkSize, payload)
}

// WriteChunks sends bytes that AppendMessage made with this connection's
// ChunkSize: whole messages, any number of them. b is only read.
func (c *ServerConn) WriteChunks(b []byte) error { return c.writeChunks(b) }

// SendStatus tells the peer something about a stream in an onStatus message, with
// one of the Code constants. The level is "error" if the code says so.
func (c *ServerConn) SendStatus(streamID uint32, code, description string) error {
	if level(code) == levelError {
		c.lingers.Store(true)
	}
	c.send(c.status(streamID, code, description))
	return c.flush()
}

// GoesOn says that the connection goes on although the peer was told an error, so that Close, some time, need not wait
// until that has been read.
func (c *ServerConn) GoesOn() { c.lingers.Store(false) }

// EndPlay tells a player that the stream is over; it may play another. To Next it plays until it does, or ends the
// message stream.
func (c *ServerConn) EndPlay(streamID uint32, description string) error {
	b := appendEvent(nil, eventStreamEOF, streamID)
	b = append(b, c.status(streamID, CodePlayUnpublishNotify, description)...)
	c.send(append(b, c.status(streamID, CodePlayStop, description)...))
	return c.flush()
}

// Close ends the connection; Next returns an error with ReasonClosed. If the last
// thing that the peer was told is an error, Close waits until it has been read, at
// most two seconds. Further calls do nothing.
func (c *ServerConn) Close() error { return c.close(nil, c.lingers.Load()) }

// CloseWithStatus is SendStatus and Close in one, and does not wait for a peer
// that does not read: for ending what was accepted before.
func (c *ServerConn) CloseWithStatus(streamID uint32, code, description string) error {
	return c.close(c.status(streamID, code, description), true)
}

// errRefused is what Next returns after a refused connect.
func errRefused(err error) error {
	var r *Refusal
	if errors.As(err, &r) {
		return fault(ReasonRefused, "connect", "refused with "+r.Code)
	}
	return fault(ReasonRefused, "connect", "refused")
}
