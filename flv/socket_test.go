package flv

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/headwater-live/headwater/live"
)

// rawSocket is a WebSocket on which a test may say what it likes.
type rawSocket struct {
	t  *testing.T
	nc net.Conn
	in *bufio.Reader
}

func dialRaw(t *testing.T, s *site) *rawSocket {
	t.Helper()
	nc, err := net.Dial("tcp", s.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(nc, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://elsewhere.example\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	r := &rawSocket{t, nc, bufio.NewReader(nc)}
	res, err := http.ReadResponse(r.in, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%+v, %v", res, err)
	}
	return r
}

func (r *rawSocket) say(frame ...byte) {
	r.t.Helper()
	if _, err := r.nc.Write(frame); err != nil {
		r.t.Fatal(err)
	}
}

// masked is a client's frame with the mask 0.
func masked(first byte, payload string) []byte {
	return append([]byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
}

// frame reads a frame of the server's; 0 is the connection's end.
func (r *rawSocket) frame() (op byte, payload []byte) {
	r.t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(r.in, head[:]); err != nil {
		if err != io.EOF {
			r.t.Fatalf("read a frame: %v", err)
		}
		return 0, nil
	}
	if head[0]&0xf0 != 0x80 || head[1]&0x80 != 0 {
		r.t.Fatalf("a frame begins with % x", head)
	}
	size := uint64(head[1])
	for want, more := range map[uint64]int{126: 2, 127: 8} {
		if size != want {
			continue
		}
		var b [8]byte
		if _, err := io.ReadFull(r.in, b[8-more:]); err != nil {
			r.t.Fatal(err)
		}
		size = binary.BigEndian.Uint64(b[:])
		break
	}
	payload = make([]byte, size)
	if _, err := io.ReadFull(r.in, payload); err != nil {
		r.t.Fatal(err)
	}
	return head[0] & 0xf, payload
}

// control reads up to the next control frame.
func (r *rawSocket) control() (op byte, payload []byte) {
	r.t.Helper()
	for {
		if op, payload = r.frame(); op != 2 {
			return op, payload
		}
	}
}

func TestWhatAWebSocketClientSaysIsAnsweredAsTheRFCDemands(t *testing.T) {
	s := newSite(t, false, Config{})
	src := s.publish(t)
	src.picture(true)
	for name, test := range map[string]struct {
		said []byte
		code uint16 // of the close, 0 for one without
	}{
		"close":                      {masked(0x88, "\x03\xe8bye"), 1000},
		"close of an application":    {masked(0x88, "\x0f\xa0"), 4000},
		"close without a code":       {masked(0x88, ""), 0},
		"close after a message":      {append(masked(0x81, "hello"), masked(0x88, "\x03\xe9")...), 1001},
		"close between fragments":    {append(masked(0x01, "hel"), masked(0x88, "\x03\xe9")...), 1001},
		"a frame without a mask":     {[]byte{0x81, 1, 'a'}, 1002},
		"a compressed frame":         {masked(0xc1, "x"), 1002},
		"a ping in fragments":        {masked(0x09, "x"), 1002},
		"a message of an exabyte":    {[]byte{0x82, 0xff, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 1009},
		"a reason that is not UTF-8": {masked(0x88, "\x03\xe8\xff"), 1007},
	} {
		r := dialRaw(t, s)
		if op, _ := r.frame(); op != 2 {
			t.Errorf("%s: a frame of type %d came first", name, op)
		}
		r.say(test.said...)
		op, payload := r.control()
		var want []byte
		if test.code != 0 {
			want = binary.BigEndian.AppendUint16(nil, test.code)
		}
		if op != 8 || string(payload) != string(want) {
			t.Errorf("%s: answered with a frame of type %d, % x, not a close with % x", name, op, payload, want)
		}
		if op, _ := r.frame(); op != 0 {
			t.Errorf("%s: a frame of type %d came after the close", name, op)
		}
	}
	s.waitForViewers(t, 0)
}

func TestAPongCarriesWhatThePingDid(t *testing.T) {
	s := newSite(t, false, Config{})
	src := s.publish(t)
	src.picture(true)
	r := dialRaw(t, s)
	for i := range 50 {
		text := fmt.Sprint("ping ", i)
		r.say(masked(0x89, text)...)
		src.picture(false)
		if op, payload := r.control(); op != 10 || string(payload) != text {
			t.Fatalf("a frame of type %d came, %q, not the pong to %q", op, payload, text)
		}
	}
}

func TestAWebSocketIsClosedWhenTheStreamEnds(t *testing.T) {
	s := newSite(t, false, Config{})
	src := s.publish(t)
	src.picture(true)
	r := dialRaw(t, s)
	s.hub.Close()
	if op, payload := r.control(); op != 8 || string(payload) != "\x03\xe8" {
		t.Fatalf("a frame of type %d came, % x", op, payload)
	}
	r.say(masked(0x88, "\x03\xe8")...)
	if op, _ := r.frame(); op != 0 {
		t.Errorf("a frame of type %d came after the close", op)
	}
}

func TestAWebSocketClientThatHasGoneIsNoticedBeforeTheNextPicture(t *testing.T) {
	s := newSite(t, false, Config{})
	src := s.publish(t)
	src.picture(true)
	r := dialRaw(t, s)
	s.waitForViewers(t, 1)
	_ = r.nc.Close()
	s.waitForViewers(t, 0)
}

func TestAWebSocketThatFloodsIsClosedAndCounted(t *testing.T) {
	s := newSite(t, false, Config{})
	src := s.publish(t)
	src.picture(true)
	quiet, r := dialRaw(t, s), dialRaw(t, s)
	s.waitForViewers(t, 2)
	pings := bytes.Repeat(masked(0x89, "flood"), 1_000)
	for {
		if _, err := r.nc.Write(pings); err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				t.Fatal("a client that floods is not sent away")
			}
			break
		}
	}
	s.waitForViewers(t, 1)
	if n := s.flv.Refusals()[live.ReasonSocketFlood]; n != 1 {
		t.Errorf("%d were counted", n)
	}
	quiet.say(masked(0x89, "still there?")...)
	if op, payload := quiet.control(); op != 10 || string(payload) != "still there?" {
		t.Errorf("another client is answered with a frame of type %d, %q", op, payload)
	}
}
