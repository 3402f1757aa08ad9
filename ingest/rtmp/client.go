package rtmp

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"time"
)

// ClientConfig configures a Client. Zero values mean the defaults.
type ClientConfig struct {
	Timeout      time.Duration // for each of Dial, Publish and Play (10 s)
	IdleTimeout  time.Duration // while playing, a server silent for so long is gone (15 s)
	WriteTimeout time.Duration // for a write to a server that does not read (10 s)
	MaxMessage   int           // bytes of a message read (8 MiB)
	ChunkSize    int           // announced and used for sending, 128 to 16777215 (65536)
	FlashVer     string        // "FMLE/3.0 (compatible; Headwater)"
	Codecs       Codecs        // announced by Enhanced RTMP
	TLS          *tls.Config   // for rtmps URLs

	// Dial opens the connection; a net.Dialer if nil.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

func (c ClientConfig) withDefaults() ClientConfig {
	c.Timeout = cmp.Or(c.Timeout, DefaultCommandTimeout)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, DefaultIdleTimeout)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, DefaultWriteTimeout)
	c.MaxMessage = cmp.Or(c.MaxMessage, DefaultMaxMessage)
	c.ChunkSize = min(max(cmp.Or(c.ChunkSize, DefaultChunkSize), defaultChunkSize), maxChunkSize)
	c.FlashVer = cmp.Or(c.FlashVer, "FMLE/3.0 (compatible; Headwater)")
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	return c
}

// Client is the client's end of a connection, to publish or to play one stream.
// After Publish, WriteMedia may be called from any goroutine; after Play,
// ReadMedia belongs to one. Close may always be called from any.
type Client struct {
	transport
	config ClientConfig
	target target

	outSize     int // chunk size in force for sending
	transaction float64
	streamID    uint32
	publishing  bool
	media       Media

	closeOnce  sync.Once
	readerDone chan struct{} // closed when the goroutine that reads while publishing has ended
	readerErr  error         // why, valid after that
}

// Dial connects to an RTMP URL, rtmp://HOST[:PORT]/APP/NAME or rtmps://..., with
// a query if need be. Publish or Play is to follow.
func Dial(ctx context.Context, rawURL string, config ClientConfig) (*Client, error) {
	config = config.withDefaults()
	t, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, config.Timeout)
	defer cancel()
	nc, err := config.Dial(ctx, "tcp", t.addr)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	if t.secure {
		tc := &tls.Config{}
		if config.TLS != nil {
			tc = config.TLS.Clone()
		}
		tc.ServerName = cmp.Or(tc.ServerName, t.host)
		secure := tls.Client(nc, tc)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = nc.Close()
			return nil, fmt.Errorf("dial: %w", err)
		}
		nc = secure
	}
	c := &Client{config: config, target: t, outSize: defaultChunkSize}
	c.init(nc, config.WriteTimeout)
	c.watch.idle = config.IdleTimeout
	c.chunks.authorise(config.MaxMessage, 2*config.MaxMessage)
	if err := c.within(ctx, c.connect); err != nil {
		_ = c.close(nil, false)
		return nil, fmt.Errorf("dial: %w", err)
	}
	return c, nil
}

// within runs a step, which the end of ctx breaks off.
func (c *Client) within(ctx context.Context, step func() error) error {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	if err := c.begin(time.Time{}, nil); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.nc.Close() })
	err := step()
	if !stop() {
		return context.Cause(ctx)
	}
	return err
}

func (c *Client) connect() error {
	if err := clientHandshake(c.chunks, func(b []byte) error { c.send(b); return nil }); err != nil {
		return err
	}
	c.send(appendControl(nil, typeSetChunkSize, uint32(c.config.ChunkSize)))
	c.outSize = c.config.ChunkSize
	object := Object{
		{"app", c.target.app}, {"type", "nonprivate"}, {"flashVer", c.config.FlashVer}, {"tcUrl", c.target.tcURL},
	}
	_, err := c.request("connect", append(object, c.config.Codecs.properties()...))
	return err
}

// Publish starts to publish. From now on a goroutine of the client reads what
// the server sends, until Close.
func (c *Client) Publish(ctx context.Context) error {
	err := c.within(ctx, func() error {
		for _, name := range []string{"releaseStream", "FCPublish"} {
			c.transaction++
			c.command(0, c.transaction, name, nil, c.target.name)
		}
		if err := c.createStream(); err != nil {
			return err
		}
		c.transaction++
		c.command(c.streamID, c.transaction, "publish", nil, c.target.name, "live")
		return c.waitStatus("publish", CodePublishStart)
	})
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	// A server says next to nothing to a publisher: no silence is too long.
	if err := c.nc.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	c.publishing = true
	c.readerDone = make(chan struct{})
	go c.readWhilePublishing()
	return nil
}

// readWhilePublishing answers pings and finds out when the server gives up. It
// ends with the connection.
func (c *Client) readWhilePublishing() {
	defer close(c.readerDone)
	for {
		cmd, err := c.nextCommand()
		if err != nil {
			c.readerErr = err
			break
		}
		if info, ok := AsObject(cmd.arg(0)); ok && cmd.name == "onStatus" && info.String("level") == levelError {
			c.readerErr = refusedByPeer("publish", cmd)
			break
		}
	}
	_ = c.nc.Close() // so that writing ends too
}

// WriteMedia sends a message of the publication in one write. The payload is an
// FLV tag body; onMetaData gets the @setDataFrame that servers expect. The error
// says why the server gave up, if it did.
func (c *Client) WriteMedia(kind uint8, timestamp uint32, payload []byte) error {
	if kind == TypeData && bytes.HasPrefix(payload, onMetaData) {
		payload = append(AppendAMF0(nil, setDataFrame), payload...)
	}
	err := c.writeMessage(chunkStreamFor(kind), kind, c.streamID, timestamp, c.config.ChunkSize, payload)
	if err != nil && c.publishing && Reason(err) != ReasonWriteTimeout {
		<-c.readerDone // soon: the connection has ended, and the reader hears why
		err = c.readerErr
	}
	if err != nil {
		return fmt.Errorf("write media: %w", err)
	}
	return nil
}

var onMetaData = AppendAMF0(nil, "onMetaData")

// Stats returns the counters.
func (c *Client) Stats() Stats { return c.snapshot() }

// Close ends the publication or the play in order and closes the connection. A
// server that is still reading what was published gets two seconds for it.
func (c *Client) Close() error {
	var err error
	c.closeOnce.Do(func() {
		if c.publishing {
			c.command(0, c.transaction+1, "FCUnpublish", nil, c.target.name)
		}
		if c.streamID != 0 {
			c.command(0, 0, "deleteStream", nil, float64(c.streamID))
		}
		if c.publishing {
			c.partInOrder()
		}
		err = c.close(nil, false)
		if c.publishing {
			<-c.readerDone
			err = nil // closed by the reader, which has heard the end
		}
	})
	return err
}

// partInOrder writes what is pending, says that nothing follows, and waits for
// the reader to see the server close.
func (c *Client) partInOrder() {
	c.parting.Store(true)
	_ = c.nc.SetWriteDeadline(time.Now().Add(closeFlush))
	_ = c.flush()
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || c.nc.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	<-c.readerDone
}
