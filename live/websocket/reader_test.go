package websocket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// clientFrame is a frame as clients send it: first is the first byte.
func clientFrame(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := [4]byte{0x12, 0x34, 0x56, 0x78}
	b = append(b, mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return b
}

func join(frames ...[]byte) []byte { return bytes.Join(frames, nil) }

// frames are what clients may send, and what a reader makes of it first: an opcode, a payload or
// code, or the code of the error.
var frames = []struct {
	name    string
	in      []byte
	op      Opcode
	payload string
	code    int
	breach  int
}{
	{name: "ping", in: clientFrame(0x89, "hello"), op: Ping, payload: "hello"},
	{name: "empty ping", in: clientFrame(0x89, ""), op: Ping},
	{name: "longest ping", in: clientFrame(0x89, strings.Repeat("p", 125)), op: Ping, payload: strings.Repeat("p", 125)},
	{name: "close", in: clientFrame(0x88, "\x03\xe8bye"), op: Close, code: 1000},
	{name: "close of an application", in: clientFrame(0x88, "\x0f\xa0"), op: Close, code: 4000},
	{name: "close without a code", in: clientFrame(0x88, ""), op: Close, code: CloseNoStatus},
	{name: "ping after a message", in: join(clientFrame(0x81, "text"), clientFrame(0x89, "a")), op: Ping, payload: "a"},
	{name: "ping after a long message", in: join(clientFrame(0x82, strings.Repeat("x", 1<<16)), clientFrame(0x89, "a")), op: Ping, payload: "a"},
	{name: "ping within a fragmented message", in: join(clientFrame(0x01, "te"), clientFrame(0x89, "a"), clientFrame(0x80, "xt")), op: Ping, payload: "a"},
	{name: "ping after a fragmented message", in: join(clientFrame(0x02, strings.Repeat("x", 126)), clientFrame(0x00, ""), clientFrame(0x80, "y"), clientFrame(0x81, "z"), clientFrame(0x89, "a")), op: Ping, payload: "a"},
	{name: "ping after a pong", in: join(clientFrame(0x8a, "x"), clientFrame(0x89, "a")), op: Ping, payload: "a"},

	{name: "not masked", in: []byte{0x89, 0x01, 'a'}, breach: CloseProtocol},
	{name: "reserved bit", in: clientFrame(0xc1, "compressed"), breach: CloseProtocol},
	{name: "reserved data opcode", in: clientFrame(0x83, ""), breach: CloseProtocol},
	{name: "reserved control opcode", in: clientFrame(0x8b, ""), breach: CloseProtocol},
	{name: "fragmented ping", in: clientFrame(0x09, "a"), breach: CloseProtocol},
	{name: "long ping", in: clientFrame(0x89, strings.Repeat("p", 126)), breach: CloseProtocol},
	{name: "continuation of nothing", in: clientFrame(0x80, "a"), breach: CloseProtocol},
	{name: "continuation after the end", in: join(clientFrame(0x81, "a"), clientFrame(0x80, "a")), breach: CloseProtocol},
	{name: "message within a message", in: join(clientFrame(0x01, "a"), clientFrame(0x81, "a")), breach: CloseProtocol},
	{name: "length longer than it need be", in: []byte{0x81, 0x80 | 126, 0, 125}, breach: CloseProtocol},
	{name: "long length longer than it need be", in: []byte{0x81, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, breach: CloseProtocol},
	{name: "negative length", in: []byte{0x81, 0x80 | 127, 0x80, 0, 0, 0, 0, 1, 0, 0}, breach: CloseProtocol},
	{name: "huge message", in: []byte{0x82, 0x80 | 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}, breach: CloseTooBig},
	{name: "huge message in fragments", in: join(clientFrame(0x02, strings.Repeat("x", 1<<16)), clientFrame(0x80, "x")), breach: CloseTooBig},
	{name: "half a code", in: clientFrame(0x88, "\x03"), breach: CloseProtocol},
	{name: "code 999", in: clientFrame(0x88, "\x03\xe7"), breach: CloseProtocol},
	{name: "code 1005", in: clientFrame(0x88, "\x03\xed"), breach: CloseProtocol},
	{name: "code 2999", in: clientFrame(0x88, "\x0b\xb7"), breach: CloseProtocol},
	{name: "code 5000", in: clientFrame(0x88, "\x13\x88"), breach: CloseProtocol},
	{name: "reason that is not UTF-8", in: clientFrame(0x88, "\x03\xe8\xff"), breach: CloseInvalid},
}

func TestAReaderSortsWhatClientsSend(t *testing.T) {
	for _, test := range frames {
		for split := range 2 {
			var in io.Reader = bytes.NewReader(test.in)
			if split == 1 {
				in = iotest.OneByteReader(in)
			}
			op, payload, code, err := NewReader(in, nil).Next()
			var breach *Error
			if errors.As(err, &breach) != (test.breach != 0) || breach != nil && breach.Code != test.breach {
				t.Errorf("%s: ended with %v, want code %d", test.name, err, test.breach)
				continue
			}
			if test.breach == 0 && (err != nil || op != test.op || string(payload) != test.payload || code != test.code) {
				t.Errorf("%s: opcode %d, payload %q, code %d, %v", test.name, op, payload, code, err)
			}
		}
	}
}

func TestAReaderBeginsWithWhatCameEarly(t *testing.T) {
	ping := clientFrame(0x89, "early")
	if _, payload, _, err := NewReader(bytes.NewReader(ping[4:]), ping[:4]).Next(); err != nil || string(payload) != "early" {
		t.Errorf("got %q, %v", payload, err)
	}
}

func TestAConnectionThatEndsIsNoBreach(t *testing.T) {
	whole := clientFrame(0x81, strings.Repeat("x", 1000))
	for n := range whole {
		_, _, _, err := NewReader(bytes.NewReader(whole[:n]), nil).Next()
		if !errors.Is(err, io.EOF) {
			t.Fatalf("after %d bytes: %v", n, err)
		}
	}
}

func TestHeadersUseTheShortestLength(t *testing.T) {
	for _, test := range []struct {
		size int
		want []byte
	}{
		{0, []byte{0x82, 0}},
		{125, []byte{0x82, 125}},
		{126, []byte{0x82, 126, 0, 126}},
		{65535, []byte{0x82, 126, 0xff, 0xff}},
		{65536, []byte{0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
	} {
		if got := AppendHeader(nil, Binary, test.size); !bytes.Equal(got, test.want) {
			t.Errorf("%d bytes: % x, want % x", test.size, got, test.want)
		}
	}
	if got := AppendClose(nil, CloseNormal); !bytes.Equal(got, []byte{0x88, 2, 3, 0xe8}) {
		t.Errorf("close % x", got)
	}
	if got := AppendClose(nil, CloseNoStatus); !bytes.Equal(got, []byte{0x88, 0}) {
		t.Errorf("close without a code % x", got)
	}
	if got := AppendPong(nil, []byte("hi")); string(got) != "\x8a\x02hi" {
		t.Errorf("pong % x", got)
	}
}

// FuzzReader feeds a reader anything: it must end, with nothing that a client may not say.
func FuzzReader(f *testing.F) {
	for _, test := range frames {
		f.Add(test.in)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(bytes.NewReader(in), nil)
		for range len(in) + 1 {
			op, payload, code, err := r.Next()
			switch {
			case err != nil:
				return
			case op == Ping && len(payload) <= maxControl:
			case op == Close && (code >= 1000 && code < 5000):
			default:
				t.Fatalf("opcode %d, %d bytes, code %d", op, len(payload), code)
			}
		}
		t.Fatal("more frames than bytes")
	})
}
