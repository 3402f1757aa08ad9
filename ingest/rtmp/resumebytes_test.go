package rtmp

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
)

func TestWhatCameBeforeAPublisherGoesOnIsAcknowledgedAtOnce(t *testing.T) {
	p, s, _ := aPublication(t, ServerConfig{})
	state := frozen(t, s)
	state.Acked, state.Window = 1, state.BytesIn-1
	conn, err := ResumeServerConn(s.conn.nc, ServerConfig{}, carried(t, state))
	if err != nil {
		t.Fatal(err)
	}
	resumed(t, conn)
	if n := binary.BigEndian.Uint32(p.next(typeAck).payload); uint64(n) != state.BytesIn {
		t.Errorf("acknowledged %d of %d bytes", n, state.BytesIn)
	}
}

// TestAConnectionGoesOnTwiceBeforeItsBytesAreUsedUp freezes after each message what was resumed with more than one read
// of bytes.
func TestAConnectionGoesOnTwiceBeforeItsBytesAreUsedUp(t *testing.T) {
	const count = 8
	state := &State{
		InChunkSize: 4096, OutChunkSize: 4096, Window: DefaultWindowAckSize,
		Streams: []StreamState{{ID: 1, Name: "test", Publishing: true}},
	}
	payload := func(i int) []byte { return bytes.Repeat([]byte{'a' + byte(i)}, minSlab) }
	for i := range count {
		state.Unread = AppendMessage(state.Unread, ChunkStreamVideo, TypeVideo, 1, uint32(40*i), state.InChunkSize, payload(i))
	}
	state.BytesIn = uint64(len(state.Unread))
	before := state.BytesIn
	for i := range count {
		conn, err := ResumeServerConn(replay{in: bytes.NewReader(nil)}, ServerConfig{}, carried(t, state))
		if err != nil {
			t.Fatal(err)
		}
		ev, err := conn.Next()
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if m, ok := ev.(*Media); !ok || m.Timestamp != uint32(40*i) || !bytes.Equal(m.Payload, payload(i)) {
			t.Fatalf("message %d is another one", i)
		}
		if state, err = conn.Freeze(); err != nil {
			t.Fatal(err)
		}
	}
	if len(state.Unread) != 0 || state.BytesIn != before {
		t.Errorf("%d bytes are left, %d of %d have come", len(state.Unread), state.BytesIn, before)
	}
}

// TestReadersTakeOverInTheHeaderThatInterruptsAMessage hands over at each byte of a header, with an extended timestamp,
// before which a message was given up.
func TestReadersTakeOverInTheHeaderThatInterruptsAMessage(t *testing.T) {
	given := AppendMessage(nil, ChunkStreamVideo, TypeVideo, 1, 0, defaultChunkSize, make([]byte, 1000))[:12+defaultChunkSize]
	in := AppendMessage(given, ChunkStreamVideo, TypeVideo, 1, 1<<24, defaultChunkSize, []byte("short"))
	for at := len(given); at < len(in); at++ {
		first := newChunkReader(bytes.NewReader(in[:at]), new(counters))
		first.authorise(DefaultMaxMessage, 2*DefaultMaxMessage)
		if _, err := first.next(); err == nil {
			t.Fatal("there was a message")
		}
		state := &State{OutChunkSize: defaultChunkSize, Window: DefaultWindowAckSize}
		first.freeze(state)
		state = carried(t, state)
		next := newChunkReader(io.MultiReader(bytes.NewReader(state.Unread), bytes.NewReader(in[at:])), new(counters))
		next.authorise(DefaultMaxMessage, 2*DefaultMaxMessage)
		if err := next.resume(state); err != nil {
			t.Fatalf("%d bytes into it: %v", at-len(given), err)
		}
		if m, err := next.next(); err != nil || string(m.payload) != "short" || m.timestamp != 1<<24 {
			t.Errorf("%d bytes into it: %q at %d, %v", at-len(given), m.payload, m.timestamp, err)
		}
	}
}
