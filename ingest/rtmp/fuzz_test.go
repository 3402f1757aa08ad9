package rtmp

import (
	"bytes"
	"context"
	"io"
	"net"
	"reflect"
	"slices"
	"testing"
	"time"
)

// seedBytes is how much of a capture seeds a fuzz target: the commands, the
// metadata and the first media.
const seedBytes = 4 << 10

// addCaptures adds the beginnings of the captures, from an offset on.
func addCaptures(f *testing.F, from int) {
	for _, c := range captures {
		f.Add(c.read(f)[from:][:seedBytes])
	}
}

// drained reads a chunk stream to its end.
func drained(src io.Reader) (records []record, reason string, c *chunkReader) {
	c = newChunkReader(src, new(counters))
	c.authorise(1<<20, 2<<20)
	for {
		m, err := c.next()
		if err != nil {
			return records, Reason(err), c
		}
		records = append(records, recordOf(m))
	}
}

func FuzzChunkReader(f *testing.F) {
	addCaptures(f, handshakeBytes)
	for _, c := range chunkCases() {
		f.Add(c.in)
	}
	for seed := range uint64(5) {
		s := newSender(seed, 3)
		s.run()
		f.Add(s.out[:min(len(s.out), seedBytes)])
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, reason, c := drained(bytes.NewReader(in))
		total := 0
		for _, r := range whole {
			total += r.size
		}
		if total > len(in) {
			t.Errorf("%d bytes of payload in %d bytes", total, len(in))
		}
		if c.partial < 0 || c.partial > c.limits.partial || c.open < 0 || len(c.wide) > maxWideChunkStreams {
			t.Errorf("%d bytes partial, %d open, %d wide", c.partial, c.open, len(c.wide))
		}
		pieces, piecesReason, _ := drained(inPieces(in, 1))
		if reason != piecesReason || !slices.Equal(whole, pieces) {
			t.Errorf("%d messages and %s at once, %d and %s byte by byte", len(whole), reason, len(pieces), piecesReason)
		}
	})
}

func FuzzAggregate(f *testing.F) {
	for _, c := range aggregateCases() {
		f.Add(c.in[12:min(len(c.in), seedBytes)], uint32(5000))
	}
	f.Add(join(tag(8, 1<<24, "a1"), tag(9, 0xffffffff, x200)), uint32(0xfffffff0))
	f.Fuzz(func(t *testing.T, in []byte, time uint32) {
		var a aggregate
		a.split(message{typeAggregate, 1, time, in}, new(counters))
		total, first := 0, true
		for m, ok := a.next(); ok; m, ok = a.next() {
			if first && in[0]&0x1f == m.kind && m.timestamp != time {
				t.Errorf("first message at %d, want %d", m.timestamp, time)
			}
			first = false
			if total += len(m.payload) + tagHeaderSize; total > len(in) || cap(m.payload) != len(m.payload) {
				t.Fatalf("%d bytes in %d", total, len(in))
			}
			if m.kind != TypeAudio && m.kind != TypeVideo && m.kind != TypeData && m.kind != typeDataAMF3 {
				t.Errorf("message of type %d", m.kind)
			}
		}
	})
}

func FuzzAMF0(f *testing.F) {
	for _, c := range amfCases {
		if len(c.wire) < seedBytes {
			f.Add([]byte(c.wire))
		}
	}
	for _, c := range captures {
		r := newChunkReader(bytes.NewReader(c.read(f)[handshakeBytes:]), new(counters))
		for range 20 {
			m, err := r.next()
			if err != nil {
				break // the limits of an unauthorised peer
			}
			if m.kind == TypeData || m.kind == typeCommandAMF0 {
				f.Add(bytes.Clone(m.payload))
			}
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		values, err := DecodeAMF0(in)
		again, againErr := DecodeAMF0(AppendAMF0(nil, values...))
		// Not a number equals nothing; encoding makes Undefined of AMF3.
		if err == nil && (againErr != nil || len(again) != len(values)) {
			t.Fatalf("%v is encoded to %v: %v", values, again, againErr)
		}
		once := AppendAMF0(nil, again...)
		if twice, err := DecodeAMF0(once); err != nil || !bytes.Equal(AppendAMF0(nil, twice...), once) {
			t.Errorf("%v changes when encoded again: %v", again, err)
		}
		name, _, _ := DecodeData(in)
		if len(values) > 0 && reflect.TypeOf(values[0]) == reflect.TypeFor[string]() && name != values[0] {
			t.Errorf("name %q, want %v", name, values[0])
		}
	})
}

// replay is a connection on which in arrives and nothing more.
type replay struct {
	net.Conn
	in io.Reader
}

func (r replay) Read(p []byte) (int, error)       { return r.in.Read(p) }
func (r replay) Write(p []byte) (int, error)      { return len(p), nil }
func (r replay) Close() error                     { return nil }
func (r replay) SetReadDeadline(time.Time) error  { return nil }
func (r replay) SetWriteDeadline(time.Time) error { return nil }

func FuzzHandshake(f *testing.F) {
	addCaptures(f, 0)
	for _, pointer := range []int{8, 772} {
		c1, _ := clientBlock(1, pointer)
		f.Add(join([]byte{rtmpVersion}, c1, c1))
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte("\x16\x03\x01"))
	f.Fuzz(func(t *testing.T, in []byte) {
		conn := NewServerConn(replay{in: bytes.NewReader(in)}, ServerConfig{})
		err := conn.Handshake(context.Background())
		if want := len(in) >= handshakeBytes && in[0] == rtmpVersion; (err == nil) != want {
			t.Errorf("%d bytes: %v", len(in), err)
		}
		if err != nil && Reason(err) == ReasonUnknown {
			t.Errorf("%v has no reason", err)
		}
	})
}

// FuzzSession sends anything after the handshake, to a server that accepts
// everything: the messages of a seed, so that the fuzzer need not find chunks.
func FuzzSession(f *testing.F) {
	for _, c := range captures {
		f.Add(c.read(f)[handshakeBytes:][:seedBytes])
	}
	f.Add(join(publishing()[handshakeBytes:],
		appendCommand(nil, 3, 1, 128, "play", 0.0, nil, "x"), appendCommand(nil, 3, 2, 128, "play", 0.0, nil, "x"),
		appendCommand(nil, 3, 2, 128, "pause", 0.0, nil, true), appendCommand(nil, 3, 0, 128, "deleteStream", 0.0, nil, 2.0),
		appendCommand(nil, 3, 0, 128, "FCUnpublish", 4.0, nil, "test"), appendCommand(nil, 3, 1, 128, "closeStream", 0.0)))
	f.Fuzz(func(t *testing.T, in []byte) {
		conn := NewServerConn(replay{in: bytes.NewReader(join(hello(), in))}, ServerConfig{MaxMessage: 1 << 20})
		if err := conn.Handshake(context.Background()); err != nil {
			t.Fatal(err)
		}
		open := map[uint32]bool{}
		for {
			ev, err := conn.Next()
			if err != nil {
				if Reason(err) == ReasonUnknown {
					t.Errorf("%v has no reason", err)
				}
				break
			}
			switch ev := ev.(type) {
			case *PublishRequest:
				open[ev.StreamID] = true
				err = accept(conn, ev)
			case *PlayRequest:
				open[ev.StreamID] = true
				err = accept(conn, ev)
			case *Media:
				if !open[ev.StreamID] {
					t.Errorf("media of stream %d, which is not open", ev.StreamID)
				}
			case *Unpublish:
				if !open[ev.StreamID] {
					t.Errorf("stream %d ends twice", ev.StreamID)
				}
				delete(open, ev.StreamID)
			case *Stop:
				if !open[ev.StreamID] {
					t.Errorf("stream %d stops twice", ev.StreamID)
				}
				delete(open, ev.StreamID)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if len(open) > 0 || len(conn.streams) > DefaultMaxStreams {
			t.Errorf("%d streams never end, %d exist", len(open), len(conn.streams))
		}
		if _, err := conn.Next(); err == nil {
			t.Error("after the end there is more")
		}
	})
}
