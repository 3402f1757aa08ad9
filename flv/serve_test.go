package flv

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/headwater-live/headwater/edge"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/flvtag"
)

const (
	typeAudio = 8
	typeVideo = 9
	stream    = remux.StreamName("live/x")
	path      = "/live/x.flv"
	// patience is for what must come, on a machine with other things to do.
	patience = 30 * time.Second
)

// site is a hub and a public server in front of it.
type site struct {
	hub    *remux.Hub
	flv    *Server
	server *httptest.Server
}

// newSite starts a site; secure is TLS, with HTTP/2.
func newSite(t *testing.T, secure bool, config Config) *site {
	t.Helper()
	s := &site{hub: remux.NewHub(remux.Config{Grace: patience})}
	config.Hub = s.hub
	if config.Wait == 0 {
		config.Wait = patience
	}
	s.flv = NewServer(config)
	s.server = httptest.NewUnstartedServer(&edge.Handler{FLV: s.flv})
	s.server.EnableHTTP2 = secure
	// As edge.NewServer has them, for what ends.
	s.server.Config.ReadTimeout, s.server.Config.WriteTimeout = 5*time.Second, 5*time.Second
	if secure {
		s.server.StartTLS()
	} else {
		s.server.Start()
	}
	t.Cleanup(func() {
		s.hub.Close()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s.flv.Close(ctx)
		s.server.Close()
	})
	return s
}

// waitForViewers returns when so many are being sent the stream.
func (s *site) waitForViewers(t *testing.T, n int64) {
	t.Helper()
	for began := time.Now(); s.flv.Metrics().Viewers.Load() != n; time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("%d viewers, not %d", s.flv.Metrics().Viewers.Load(), n)
		}
	}
}

// source publishes pictures that carry their number.
type source struct {
	t      *testing.T
	pub    *remux.Publication
	number uint32
	size   int
}

// avcConfig is H.264 High, 320x180; the last byte makes another one of it.
var avcConfig = []byte("\x17\x00\x00\x00\x00\x01\x4d\x40\x0c\xff\xe1\x00\x18" +
	"\x67\x4d\x40\x0c\xda\x05\x06\x7e\x7c\x04\x40\x00\x00\x03\x00\x40\x00\x00\x0c\x83\xc5\x0a\xa8\x80" +
	"\x01\x00\x04\x68\xef\x3c\x80")

var aacConfig = []byte{0xaf, 0, 0x11, 0x90}

// publish begins a publication with both tracks.
func (s *site) publish(t *testing.T) *source {
	t.Helper()
	pub, err := s.hub.Publish(stream, remux.Publisher{})
	if err != nil {
		t.Fatal(err)
	}
	p := &source{t: t, pub: pub, size: 100}
	p.write(typeVideo, 0, avcConfig)
	p.write(typeAudio, 0, aacConfig)
	return p
}

func (p *source) write(kind uint8, at uint32, payload []byte) {
	p.t.Helper()
	if err := p.pub.Write(remux.Message{Type: flvtag.Type(kind), Timestamp: at, Payload: payload}); err != nil {
		p.t.Fatal(err)
	}
}

// picture sends the next one, 40 ms after the last, with a sound.
func (p *source) picture(keyframe bool) {
	p.t.Helper()
	b := make([]byte, 9+1+8+p.size)
	copy(b, []byte{0x27, 1, 0, 0, 0, 0, 0, 0, 0, 0x41})
	if keyframe {
		b[0], b[9] = 0x17, 0x65
	}
	size := len(b) - 9
	b[5], b[6], b[7], b[8] = byte(size>>24), byte(size>>16), byte(size>>8), byte(size)
	copy(b[10:], fmt.Sprintf("%08d", p.number))
	p.write(typeVideo, p.number*40, b)
	p.write(typeAudio, p.number*40+1, []byte{0xaf, 1, byte(p.number)})
	p.number++
}

// reader reads FLV as it comes.
type reader struct {
	t  *testing.T
	in *bufio.Reader
}

func newReader(t *testing.T, in io.Reader) *reader { return &reader{t, bufio.NewReader(in)} }

// flags reads the file header.
func (r *reader) flags() byte {
	r.t.Helper()
	var head [flvtag.FileHeaderSize]byte
	if _, err := io.ReadFull(r.in, head[:]); err != nil {
		r.t.Fatalf("read the header: %v", err)
	}
	if !bytes.HasPrefix(head[:], []byte("FLV\x01")) || !bytes.Equal(head[5:], []byte{0, 0, 0, 9, 0, 0, 0, 0}) {
		r.t.Fatalf("the header is % x", head)
	}
	return head[4]
}

// next reads a tag.
func (r *reader) next() (tag, error) {
	head := make([]byte, flvtag.HeaderSize)
	if _, err := io.ReadFull(r.in, head); err != nil {
		return tag{}, err
	}
	rest := make([]byte, int(head[1])<<16|int(head[2])<<8|int(head[3])+flvtag.TrailerSize)
	if _, err := io.ReadFull(r.in, rest); err != nil {
		return tag{}, io.ErrUnexpectedEOF
	}
	return parseTags(r.t, append(head, rest...))[0], nil
}

// picture reads up to the next picture and returns its number, -1 at the end of the stream.
func (r *reader) picture() (number int, keyframe bool) {
	r.t.Helper()
	for {
		tag, err := r.next()
		if err == io.EOF {
			return -1, false
		}
		if err != nil {
			r.t.Fatalf("read a tag: %v", err)
		}
		if tag.kind != typeVideo || tag.body[1] != 1 {
			continue
		}
		if _, err := fmt.Sscanf(string(tag.body[10:18]), "%d", &number); err != nil {
			r.t.Fatal(err)
		}
		return number, tag.body[0] == 0x17
	}
}

// protocols are the ways to watch; each returns what comes, and how it was answered.
var protocols = []struct {
	name   string
	secure bool
	watch  func(*testing.T, *site, string) (io.Reader, http.Header)
}{
	{"HTTP/1.1", false, watchHTTP(1)},
	{"HTTP/1.1 over TLS", true, watchHTTP(1)},
	{"HTTP/2", true, watchHTTP(2)},
	{"HTTP/1.0", false, watchOld},
	{"WebSocket", false, watchSocket},
	{"WebSocket over TLS", true, watchSocket},
}

func watchHTTP(major int) func(*testing.T, *site, string) (io.Reader, http.Header) {
	return func(t *testing.T, s *site, query string) (io.Reader, http.Header) {
		client := s.server.Client()
		transport := client.Transport.(*http.Transport).Clone()
		transport.ForceAttemptHTTP2 = major == 2
		if major == 1 {
			transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
			if transport.TLSClientConfig != nil {
				transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
			}
		}
		t.Cleanup(transport.CloseIdleConnections)
		res, err := (&http.Client{Transport: transport}).Get(s.server.URL + path + query)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		if res.StatusCode != http.StatusOK || res.ProtoMajor != major {
			t.Fatalf("%s %s", res.Proto, res.Status)
		}
		if major == 1 && strings.Join(res.TransferEncoding, "") != "chunked" {
			t.Errorf("transfer encoding %q", res.TransferEncoding)
		}
		return res.Body, res.Header
	}
}

// watchOld speaks HTTP/1.0, by hand.
func watchOld(t *testing.T, s *site, query string) (io.Reader, http.Header) {
	nc, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if _, err := fmt.Fprintf(nc, "GET %s HTTP/1.0\r\n\r\n", path+query); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(nc)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Proto != "HTTP/1.0" || res.StatusCode != http.StatusOK || res.TransferEncoding != nil {
		t.Errorf("%s %s, transfer encoding %q", res.Proto, res.Status, res.TransferEncoding)
	}
	return res.Body, res.Header
}

// watchSocket uses a WebSocket client that is not ours.
func watchSocket(t *testing.T, s *site, query string) (io.Reader, http.Header) {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	c, res, err := websocket.Dial(ctx, s.server.URL+path+query, &websocket.DialOptions{
		HTTPClient: s.server.Client(), CompressionMode: websocket.CompressionContextTakeover,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.CloseNow() })
	c.SetReadLimit(-1)
	in, out := io.Pipe()
	go func() {
		for {
			kind, b, err := c.Read(ctx)
			switch {
			case websocket.CloseStatus(err) == websocket.StatusNormalClosure:
				err = io.EOF
			case err == nil && kind != websocket.MessageBinary:
				err = fmt.Errorf("a message of kind %v", kind)
			case err == nil:
				_, err = out.Write(b)
			}
			if err != nil {
				_ = out.CloseWithError(err)
				return
			}
		}
	}()
	return in, res.Header
}
