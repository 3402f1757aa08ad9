package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux/flvtag"
)

// origin is a small server that can be made to behave badly. It has HTTP-FLV at /NAME.flv and
// WebSocket-FLV at the same place, and plays over RTMP.
type origin struct {
	rtmp, http string // URLs without a path

	// What it does to a video frame on its way out, with its number from 0.
	drop  func(frame int) bool
	delay time.Duration
	// pause is how long it sends nothing at all before such a frame.
	pause func(frame int) time.Duration
	// silent is the frame from which on it sends nothing any more, without a word; 0 is none.
	silent int
	// hangUp is after how many tags a response is broken off; 0 is never.
	hangUp int

	pongs atomic.Int64
	plain atomic.Int64 // bytes of FLV sent

	mu      sync.Mutex
	streams map[string]*originStream
}

type originStream struct {
	headers []rtmp.Media
	viewers map[chan originTag]bool
	frames  int
}

type originTag struct {
	media rtmp.Media
	due   time.Time
}

// start begins to serve until the test ends.
func (o *origin) start(t *testing.T) *origin {
	t.Helper()
	o.streams = map[string]*originStream{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	conns.Go(func() {
		for {
			nc, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { o.serveRTMP(ctx, nc) })
		}
	})
	web := httptest.NewServer(http.HandlerFunc(o.serveHTTP))
	t.Cleanup(func() {
		_ = listener.Close()
		cancel()
		web.CloseClientConnections()
		web.Close()
		conns.Wait()
	})
	o.rtmp, o.http = "rtmp://"+listener.Addr().String(), web.URL
	return o
}

func (o *origin) stream(name string) *originStream {
	s := o.streams[name]
	if s == nil {
		s = &originStream{viewers: map[chan originTag]bool{}}
		o.streams[name] = s
	}
	return s
}

func (o *origin) serveRTMP(ctx context.Context, nc net.Conn) {
	conn := rtmp.NewServerConn(nc, rtmp.ServerConfig{})
	defer conn.Close() //nolint:errcheck // it has ended
	defer context.AfterFunc(ctx, func() { _ = nc.Close() })()
	if conn.Handshake(ctx) != nil {
		return
	}
	name := ""
	for {
		event, err := conn.Next()
		if err != nil {
			return
		}
		switch e := event.(type) {
		case *rtmp.PublishRequest:
			name = e.Name
			conn.Authorised()
			err = conn.AcceptPublish(e)
		case *rtmp.PlayRequest:
			if err = conn.AcceptPlay(e); err == nil {
				err = o.play(ctx, e.Name, func(m rtmp.Media) error {
					return conn.WriteMedia(e.StreamID, m.Type, m.Timestamp, m.Payload)
				})
			}
		case *rtmp.Media:
			o.publish(name, *e)
		}
		if err != nil {
			return
		}
	}
}

// publish hands a message to the viewers.
func (o *origin) publish(name string, m rtmp.Media) {
	o.mu.Lock()
	s := o.stream(name)
	if m.Type == rtmp.TypeVideo && m.Payload[1] == 0 || m.Type == rtmp.TypeAudio && m.Payload[1] == 0 || m.Type == rtmp.TypeData {
		s.headers = append(s.headers, m)
	}
	var pause time.Duration
	drop := false
	if m.Type == rtmp.TypeVideo && m.Payload[1] == 1 {
		drop = o.drop != nil && o.drop(s.frames)
		if o.pause != nil {
			pause = o.pause(s.frames)
		}
		s.frames++
	}
	if !drop && (o.silent == 0 || s.frames < o.silent) {
		for viewer := range s.viewers {
			viewer <- originTag{m, time.Now().Add(o.delay + pause)}
		}
	}
	o.mu.Unlock()
	time.Sleep(pause) // nothing else comes meanwhile
}

// play hands the messages to a viewer until one of the sides ends.
func (o *origin) play(ctx context.Context, name string, send func(rtmp.Media) error) error {
	tags := make(chan originTag, 4096)
	o.mu.Lock()
	s := o.stream(name)
	headers := s.headers
	s.viewers[tags] = true
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		delete(s.viewers, tags)
		o.mu.Unlock()
	}()
	for _, m := range headers {
		if err := send(m); err != nil {
			return err
		}
	}
	for n := 1; n != o.hangUp; n++ {
		select {
		case tag := <-tags:
			time.Sleep(time.Until(tag.due))
			if err := send(tag.media); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return errors.New("hung up")
}

func (o *origin) serveHTTP(w http.ResponseWriter, r *http.Request) {
	name, isFLV := strings.CutSuffix(path.Base(r.URL.Path), ".flv")
	if !isFLV {
		http.NotFound(w, r)
		return
	}
	if r.Header.Get("Upgrade") == "websocket" {
		o.serveWebSocket(w, r, name)
		return
	}
	control := http.NewResponseController(w)
	header := flvtag.AppendFileHeader(nil, true, true)
	_, _ = w.Write(header)
	o.plain.Add(int64(len(header)))
	_ = o.play(r.Context(), name, func(m rtmp.Media) error {
		tag := flvtag.AppendTag(nil, flvtag.Type(m.Type), m.Timestamp, m.Payload)
		o.plain.Add(int64(len(tag)))
		if _, err := w.Write(tag); err != nil {
			return err
		}
		return control.Flush()
	})
	panic(http.ErrAbortHandler) // a broken response, not one that has ended
}

func (o *origin) serveWebSocket(w http.ResponseWriter, r *http.Request, name string) {
	conn, in, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close() //nolint:errcheck // it has ended
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		acceptOf(r.Header.Get("Sec-WebSocket-Key")))
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		o.readPongs(in.Reader)
	}()
	send := func(b []byte) error {
		_, err := conn.Write(append(append([]byte{0x82, 127, 0, 0, 0, 0, byte(len(b) >> 24), byte(len(b) >> 16), byte(len(b) >> 8), byte(len(b))}, b...),
			0x89, 4, 'p', 'i', 'n', 'g'))
		return err
	}
	_ = send(flvtag.AppendFileHeader(nil, true, true))
	_ = o.play(ctx, name, func(m rtmp.Media) error {
		return send(flvtag.AppendTag(nil, flvtag.Type(m.Type), m.Timestamp, m.Payload))
	})
}

// readPongs counts the answers to pings until the client leaves.
func (o *origin) readPongs(in *bufio.Reader) {
	pong := make([]byte, 6+4)
	for {
		if _, err := io.ReadFull(in, pong); err != nil || pong[0] != 0x8a || string(pong[6:]) != "ping" {
			return
		}
		o.pongs.Add(1)
	}
}
