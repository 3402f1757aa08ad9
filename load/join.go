package load

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux/flvtag"
)

const (
	// maxAnswer bounds the header of an HTTP answer.
	maxAnswer = 64 << 10
	// maxRedirects is how often a server may send a viewer elsewhere.
	maxRedirects = 5
	userAgent    = "headwater-bench"
	// silent is how long an RTMP server may send nothing to a player.
	silent = 30 * time.Second
)

// joinHTTP asks for a stream over HTTP or WebSocket, and returns what comes.
func (v *viewer) joinHTTP(ctx context.Context) (*flow, error) {
	ctx, done, err := v.slot(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	target := v.url
	for range maxRedirects {
		u, err := url.Parse(target)
		if err != nil {
			return nil, fmt.Errorf("parse URL: %w", err)
		}
		f, location, err := v.ask(ctx, u)
		if err != nil || location == "" {
			return f, err
		}
		next, err := u.Parse(location)
		if err != nil {
			return nil, fmt.Errorf("follow redirect: %w", err)
		}
		target = next.String()
	}
	return nil, malformedError("too many redirects")
}

// ask sends one request. It returns a flow or where else to ask.
func (v *viewer) ask(ctx context.Context, u *url.URL) (_ *flow, location string, err error) {
	conn, err := v.group.network.dialURL(ctx, u, v.id)
	if err != nil {
		return nil, "", err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		if !stop() && err == nil {
			err = context.Cause(ctx)
		}
		if err != nil || location != "" {
			_ = conn.Close()
		}
	}()
	key := ""
	if v.group.protocol == WebSocketFLV {
		var nonce [16]byte
		_, _ = rand.Read(nonce[:]) // never fails
		key = base64.StdEncoding.EncodeToString(nonce[:])
	}
	if _, err := conn.Write(request(u, key)); err != nil {
		return nil, "", err
	}
	// The limit is on the header: what is read beyond it stays in the buffer.
	in := bufio.NewReaderSize(&io.LimitedReader{R: conn, N: maxAnswer}, 4<<10)
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		return nil, "", fmt.Errorf("read answer: %w", err)
	}
	switch {
	case answer.StatusCode == http.StatusSwitchingProtocols && key != "":
		if answer.Header.Get("Sec-WebSocket-Accept") != acceptOf(key) {
			return nil, "", malformedError("the answer to a WebSocket handshake is wrong")
		}
	case answer.StatusCode == http.StatusOK && key == "":
	case answer.StatusCode/100 == 3 && answer.Header.Get("Location") != "":
		return nil, answer.Header.Get("Location"), nil
	default:
		return nil, "", statusError(answer.StatusCode)
	}
	begun, err := in.Peek(in.Buffered())
	if err != nil {
		return nil, "", err
	}
	f := v.flow(conn)
	f.begun = slices.Clone(begun)
	v.look(f, slices.Contains(answer.TransferEncoding, "chunked"))
	return f, "", nil
}

// look sets up how a flow over HTTP is read.
func (v *viewer) look(f *flow, chunked bool) {
	var inner parser
	if v.looks {
		if v.group.protocol == HTTPTS {
			inner = newTSParser(&v.track)
		} else {
			inner = newFLVParser(&v.track)
		}
	}
	f.timed = v.looks
	switch {
	case v.group.protocol == WebSocketFLV:
		// Its frames are always read: pings among them want an answer.
		f.parser = &frameParser{next: inner, pong: func(p []byte) { _ = f.write(appendPong(nil, p)) }}
	case inner != nil && chunked:
		f.parser = &chunkParser{next: inner}
	default:
		f.parser = inner
	}
}

// request writes the request for a stream; with a key it is a WebSocket handshake.
func request(u *url.URL, key string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\n", u.RequestURI(), u.Host, userAgent)
	if key != "" {
		fmt.Fprintf(&b, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n", key)
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

// acceptOf is what a server answers to a key (RFC 6455, section 4.2.2).
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// tap counts what an RTMP client reads.
type tap struct {
	net.Conn
	flow *flow
}

func (t *tap) Read(p []byte) (int, error) {
	for {
		if t.flow.plays {
			_ = t.SetReadDeadline(time.Now().Add(t.flow.meter.stallAfter / 4))
		}
		n, err := t.Conn.Read(p)
		now := time.Now()
		if n > 0 {
			_ = t.flow.received(nil, n, now) // fails only in what the client does itself
			return n, err
		}
		t.flow.silence(now)
		if !t.flow.plays || !isTimeout(err) || now.Sub(t.flow.last) > silent {
			return n, err
		}
	}
}

// watchRTMP plays over RTMP.
func (v *viewer) watchRTMP(ctx context.Context) error {
	var f *flow
	client, err := v.joinRTMP(ctx, &f)
	if err != nil {
		return err
	}
	v.enter()
	defer v.leave()
	if !v.looks {
		// The client's goroutine ends here: from now on the connection is only read.
		f.acks = true
		return v.group.drains.drain(ctx, f)
	}
	stop := context.AfterFunc(ctx, func() { _ = f.conn.Close() })
	defer stop()
	f.plays = true
	defer client.Close() //nolint:errcheck // nothing is left to say
	for {
		m, err := client.ReadMedia()
		if err != nil {
			return err
		}
		if m.Type != uint8(flvtag.Video) {
			continue
		}
		if s, ok := findStamp(m.Payload); ok {
			v.track.frame(s, time.Now())
		}
	}
}

// joinRTMP asks to play. The flow is of the connection beneath the client.
func (v *viewer) joinRTMP(ctx context.Context, f **flow) (*rtmp.Client, error) {
	ctx, done, err := v.slot(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	client, err := rtmp.Dial(ctx, v.url, rtmp.ClientConfig{
		Timeout: joinTimeout,
		TLS:     v.group.network.tls,
		Dial: func(ctx context.Context, _, addr string) (net.Conn, error) {
			conn, err := v.group.network.dial(ctx, addr, v.id)
			if err != nil {
				return nil, err
			}
			*f = v.flow(conn)
			return &tap{Conn: conn, flow: *f}, nil
		},
	})
	if err == nil {
		if err = client.Play(ctx); err == nil {
			return client, nil
		}
		_ = client.Close()
	}
	if rtmp.Reason(err) == rtmp.ReasonRefusedByPeer {
		return nil, refusedError{err}
	}
	return nil, err
}
