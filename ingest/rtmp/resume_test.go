package rtmp

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// carried returns a state as another process has it.
func carried(t testing.TB, s *State) *State {
	t.Helper()
	b, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	there := new(State)
	if err := there.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	return there
}

// TestReadersTakeOverFromEachOtherAnywhere hands chunk streams of all kinds from reader to reader, at any byte: in the
// midst of headers, of chunks, and of interleaved messages.
func TestReadersTakeOverFromEachOtherAnywhere(t *testing.T) {
	for seed := range uint64(60) {
		s := newSender(seed, 30)
		s.run()
		var got []message
		state := &State{InChunkSize: defaultChunkSize, OutChunkSize: defaultChunkSize, Window: DefaultWindowAckSize}
		rest := s.out
		for end := false; !end; {
			n := min(len(rest), s.random.IntN(1<<s.random.IntN(19)))
			end = n == len(rest)
			src, over := io.MultiReader(bytes.NewReader(state.Unread), bytes.NewReader(rest[:n])), ErrSuspended
			if end {
				over = io.EOF
			}
			c := newChunkReader(readerFunc(func(p []byte) (int, error) {
				read, err := src.Read(p)
				if err == io.EOF {
					err = over
				}
				return read, err
			}), new(counters))
			c.authorise(DefaultMaxMessage, 2*DefaultMaxMessage)
			if err := c.resume(state); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for {
				m, err := c.next()
				if errors.Is(err, over) {
					break
				}
				if err != nil {
					t.Fatalf("seed %d: after %d messages: %v", seed, len(got), err)
				}
				m.payload = bytes.Clone(m.payload)
				got = append(got, m)
			}
			state = &State{OutChunkSize: defaultChunkSize, Window: DefaultWindowAckSize}
			c.freeze(state)
			state = carried(t, state)
			rest = rest[n:]
		}
		if len(got) != len(s.done) {
			t.Fatalf("seed %d: %d messages, want %d", seed, len(got), len(s.done))
		}
		for i, want := range s.done {
			if recordOf(got[i]) != recordOf(want) {
				t.Fatalf("seed %d: message %d differs", seed, i)
			}
		}
	}
}

// aPublication returns a client that publishes and a server that has read all it has sent so far, which is half a message
// in the end.
func aPublication(t testing.TB, config ServerConfig) (*peer, *served, []byte) {
	t.Helper()
	p, s := newPeer(t, config, nil)
	p.publish("test?key=secret")
	p.media(TypeVideo, 1, 40, "key")
	s.expect(t, `media 9 on 1 at 40: "key"`)
	long := AppendMessage(nil, ChunkStreamVideo, TypeVideo, 1, 80, defaultChunkSize, []byte(strings.Repeat("x", 1000)))
	aggregate := AppendMessage(nil, ChunkStreamAudio, typeAggregate, 1, 60, defaultChunkSize, join(tag(8, 0, "a"), tag(8, 20, "b")))
	p.send(join(aggregate, long[:500]))
	s.expect(t, `media 8 on 1 at 60: "a"`, `media 8 on 1 at 80: "b"`)
	return p, s, long[500:]
}

// frozen suspends a server and freezes it.
func frozen(t testing.TB, s *served, first ...Media) *State {
	t.Helper()
	s.conn.Suspend()
	if err := s.end(t); !errors.Is(err, ErrSuspended) {
		t.Fatalf("suspended, it ended with %v", err)
	}
	state, err := s.conn.Freeze(first...)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestAConnectionGoesOnElsewhere(t *testing.T) {
	p, s, rest := aPublication(t, ServerConfig{})
	state := frozen(t, s, Media{Type: TypeVideo, StreamID: 1, Timestamp: 70, Payload: []byte("first")})
	state.Owner = json.RawMessage(`"owner"`)
	p.send(rest[:100])                                             // whoever holds the connection reads this
	if err := s.conn.nc.SetReadDeadline(time.Time{}); err != nil { // that with which it was suspended may be in force
		t.Fatal(err)
	}
	raw := make([]byte, 100)
	if _, err := io.ReadFull(s.conn.nc, raw); err != nil {
		t.Fatal(err)
	}
	state.Unread = append(state.Unread, raw...)
	state.BytesIn += uint64(len(raw))
	before := state.BytesIn
	state = carried(t, state)
	if string(state.Owner) != `"owner"` {
		t.Errorf("owner %s", state.Owner)
	}
	conn, err := ResumeServerConn(s.conn.nc, ServerConfig{}, state)
	if err != nil {
		t.Fatal(err)
	}
	next := resumed(t, conn)
	next.expect(t, `media 9 on 1 at 70: "first"`)
	p.send(rest[100:])
	next.expect(t, `media 9 on 1 at 80: "`+strings.Repeat("x", 1000)+`"`)
	if got, want := conn.Stats().BytesIn, before+uint64(len(rest)-100); got != want {
		t.Errorf("%d bytes have come, want %d", got, want)
	}
	// It knows its message streams, its chunk size and what was said in connect.
	p.command(0, "createStream", 5.0, nil)
	if cmd := p.expect("_result", 5); cmd.arg(0) != 2.0 {
		t.Errorf("the next message stream is %v, want 2", cmd.arg(0))
	}
	p.command(0, "FCUnpublish", 6.0, nil, "test")
	p.expectStatus(CodeUnpublish)
	next.expect(t, "unpublish 1 ")
	p.command(2, "publish", 7.0, nil, "other", "live")
	if r, ok := next.request(t).(*PublishRequest); !ok || r.App != "live" || r.Name != "other" {
		t.Errorf("asked %+v", r)
	}
}

func TestAcknowledgementsGoOnElsewhere(t *testing.T) {
	p, s, rest := aPublication(t, ServerConfig{})
	p.send(append(rest, appendControl(nil, typeWindowAckSize, 2048)...))
	p.media(TypeAudio, 1, 100, "audio")
	s.event(t)
	s.expect(t, `media 8 on 1 at 100: "audio"`)
	state := frozen(t, s)
	if state.Window != 2048 || state.Acked > state.BytesIn {
		t.Fatalf("window %d, %d of %d bytes acknowledged", state.Window, state.Acked, state.BytesIn)
	}
	conn, err := ResumeServerConn(s.conn.nc, ServerConfig{}, carried(t, state))
	if err != nil {
		t.Fatal(err)
	}
	next := resumed(t, conn)
	p.media(TypeAudio, 1, 120, strings.Repeat("y", 4096))
	next.event(t)
	acked := state.Acked
	for done := false; !done; { // what came before may have been acknowledged, here or there
		n := uint64(binary.BigEndian.Uint32(p.next(typeAck).payload))
		if n < acked || n > conn.Stats().BytesIn {
			t.Fatalf("acknowledged %d after %d, of %d bytes", n, acked, conn.Stats().BytesIn)
		}
		acked, done = n, n > state.BytesIn
	}
}

func TestAConnectionThatEndsOrPlaysIsNotFrozen(t *testing.T) {
	p, s := newPeer(t, ServerConfig{}, nil)
	p.connect()
	p.command(0, "createStream", 2.0, nil)
	p.expect("_result", 2)
	p.command(1, "play", 0.0, nil, "test")
	p.expectStatus(CodePlayReset)
	s.conn.Suspend()
	if err := s.end(t); !errors.Is(err, ErrSuspended) {
		t.Fatal(err)
	}
	if _, err := s.conn.Freeze(); err == nil {
		t.Error("a player was frozen")
	}
	_, s, _ = aPublication(t, ServerConfig{})
	s.conn.Suspend()
	if err := s.end(t); !errors.Is(err, ErrSuspended) { // which reads no more
		t.Fatal(err)
	}
	s.conn.fail(io.EOF)
	if _, err := s.conn.Freeze(); err == nil {
		t.Error("what has ended was frozen")
	}
}

func TestAStateBeyondTheLimitsIsRefused(t *testing.T) {
	good := func() *State {
		return &State{
			InChunkSize: 128, OutChunkSize: 128, Window: 2048, BytesIn: 100,
			Streams: []StreamState{{ID: 1, Name: "test", Publishing: true}},
			ChunkStreams: []ChunkStreamState{
				{ID: 6, Length: 1000, Type: TypeVideo, Open: true, Got: 3, Partial: []byte("abc")},
				{ID: 4, Length: 10, Type: TypeAudio},
			},
			Midway: 6, MidwayLeft: 100, Messages: []MessageState{{Type: TypeVideo, StreamID: 1, Payload: []byte("m")}},
		}
	}
	if _, err := ResumeServerConn(replay{in: bytes.NewReader(nil)}, ServerConfig{}, carried(t, good())); err != nil {
		t.Fatalf("what is within them: %v", err)
	}
	for name, spoil := range map[string]func(*State){
		"no chunk size":                  func(s *State) { s.InChunkSize = 0 },
		"a chunk size without end":       func(s *State) { s.OutChunkSize = maxChunkSize + 1 },
		"more acknowledged than came":    func(s *State) { s.Acked = 101 },
		"no window":                      func(s *State) { s.Window = 0 },
		"a message that is a command":    func(s *State) { s.Messages[0].Type = typeCommandAMF0 },
		"too many messages":              func(s *State) { s.Messages = slices.Repeat(s.Messages, maxStateMessages+1) },
		"an id below 2":                  func(s *State) { s.ChunkStreams[1].ID = 1 },
		"an id twice":                    func(s *State) { s.ChunkStreams[1].ID = 6 },
		"a message longer than any":      func(s *State) { s.ChunkStreams[0].Length = maxChunkSize + 1 },
		"more of a message than it has":  func(s *State) { s.ChunkStreams[0].Length = 3 },
		"less of it than came":           func(s *State) { s.ChunkStreams[0].Partial = nil },
		"something of no message":        func(s *State) { s.ChunkStreams[1].Partial = []byte("x") },
		"a chunk beyond its message":     func(s *State) { s.MidwayLeft = 998 },
		"a chunk of an unknown stream":   func(s *State) { s.Midway = 9 },
		"a message stream twice":         func(s *State) { s.Streams = append(s.Streams, s.Streams[0]) },
		"too many message streams":       func(s *State) { s.Streams = distinct(DefaultMaxStreams + 1) },
		"a message over the limit":       func(s *State) { s.ChunkStreams[0].Length = DefaultMaxMessage + 1 },
		"a discarded message with bytes": func(s *State) { s.ChunkStreams[0].Discarded = true },
		"an unknown type that was kept":  func(s *State) { s.ChunkStreams[0].Type = 99 },
		"more unfinished messages than 2": func(s *State) {
			s.ChunkStreams[1].Open = true
			s.ChunkStreams = append(s.ChunkStreams, ChunkStreamState{ID: 9, Length: 1, Type: TypeAudio, Open: true})
		},
	} {
		s := good()
		spoil(s)
		if _, err := ResumeServerConn(replay{in: bytes.NewReader(nil)}, ServerConfig{MaxPartialMessages: 2}, s); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func distinct(n int) []StreamState {
	list := make([]StreamState, n)
	for i := range list {
		list[i].ID = uint32(i)
	}
	return list
}

func TestBytesThatAreNoStateAreRefused(t *testing.T) {
	b, err := (&State{InChunkSize: 128, OutChunkSize: 128, Window: 2048, Unread: []byte("unread")}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"nothing":                 nil,
		"half a length":           b[:2],
		"half a header":           b[:20],
		"half a part":             b[:len(b)-1],
		"more than its parts":     append(slices.Clone(b), 'x'),
		"a header that is no map": append([]byte{0, 0, 0, 1}, '1'),
		"a header without sizes":  append([]byte{0, 0, 0, 2}, "{}"...),
		"a size below 0":          bytes.Replace(b, []byte("[6]"), []byte("[-]"), 1),
	} {
		if err := new(State).UnmarshalBinary(bad); err == nil {
			t.Errorf("%s was taken for a state", name)
		}
	}
	if _, err := (&State{Unread: make([]byte, MaxState)}).MarshalBinary(); err == nil {
		t.Error("a state that nobody would take was made")
	}
}

func FuzzState(f *testing.F) {
	_, s, _ := aPublication(f, ServerConfig{})
	state := frozen(f, s, Media{Type: TypeVideo, StreamID: 1, Timestamp: 70, Payload: []byte("first")})
	seed, err := state.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed, publishing()[handshakeBytes:])
	f.Add([]byte{0, 0, 0, 2, '{', '}'}, []byte{})
	f.Fuzz(func(t *testing.T, in, rest []byte) {
		s := new(State)
		if s.UnmarshalBinary(in) != nil {
			return
		}
		conn, err := ResumeServerConn(replay{in: bytes.NewReader(rest)}, ServerConfig{MaxMessage: 1 << 20}, s)
		if err != nil {
			return
		}
		for {
			ev, err := conn.Next()
			if err != nil {
				break
			}
			switch ev.(type) {
			case *PublishRequest, *PlayRequest:
				if err := accept(conn, ev); err != nil {
					t.Fatal(err)
				}
			}
		}
		if c := conn.chunks; c.partial < 0 || c.partial > c.limits.partial || c.open < 0 || c.open > c.limits.open+1 || len(c.wide) > maxWideChunkStreams {
			t.Errorf("%d bytes partial, %d open, %d wide", c.partial, c.open, len(c.wide))
		}
	})
}
