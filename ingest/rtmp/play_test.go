package rtmp

import (
	"bytes"
	"reflect"
	"testing"
)

func TestPlayIsAnsweredAndFed(t *testing.T) {
	p, s := newPeer(t, ServerConfig{}, nil)
	p.connect()
	p.command(0, "createStream", 2.0, nil)
	p.expect("_result", 2)
	p.command(1, "play", 3.0, nil, "test?token=x", -1.0)
	if m := p.next(typeUserControl); !bytes.Equal(m.payload, []byte{0, eventStreamBegin, 0, 0, 0, 1}) {
		t.Errorf("user control % x, want Stream Begin", m.payload)
	}
	p.expectStatus(CodePlayReset)
	p.expectStatus(CodePlayStart)
	if name, _, _ := DecodeData(p.next(TypeData).payload); name != "|RtmpSampleAccess" {
		t.Errorf("data %q", name)
	}
	if name, v, _ := DecodeData(p.next(TypeData).payload); name != "onStatus" || !reflect.DeepEqual(v, Object{{"code", CodeDataStart}}) {
		t.Errorf("data %q %v", name, v)
	}
	r := (<-s.asked).(*PlayRequest)
	if r.App != "live" || r.Name != "test" || r.Query != "token=x" || r.Start != -1 || r.StreamID != FirstStreamID {
		t.Errorf("request %+v", r)
	}

	payload := bytes.Repeat([]byte("v"), 200_000)
	if err := s.conn.WriteMedia(r.StreamID, TypeVideo, 1<<24, payload); err != nil {
		t.Fatal(err)
	}
	raw := AppendMessage(nil, ChunkStreamAudio, TypeAudio, r.StreamID, 20, s.conn.ChunkSize(), []byte("a1"))
	raw = AppendMessage(raw, ChunkStreamVideo, TypeVideo, r.StreamID, 40, s.conn.ChunkSize(), payload)
	if err := s.conn.WriteChunks(raw); err != nil {
		t.Fatal(err)
	}
	for _, want := range []message{
		{TypeVideo, 1, 1 << 24, payload}, {TypeAudio, 1, 20, []byte("a1")}, {TypeVideo, 1, 40, payload},
	} {
		if m := p.next(); recordOf(m) != recordOf(want) {
			t.Fatalf("type %d at %d with %d bytes, want %d at %d", m.kind, m.timestamp, len(m.payload), want.kind, want.timestamp)
		}
	}
	if err := s.conn.EndPlay(r.StreamID, "the publisher has left"); err != nil {
		t.Fatal(err)
	}
	if m := p.next(typeUserControl); !bytes.Equal(m.payload, []byte{0, eventStreamEOF, 0, 0, 0, 1}) {
		t.Errorf("user control % x, want Stream EOF", m.payload)
	}
	p.expectStatus(CodePlayUnpublishNotify)
	p.expectStatus(CodePlayStop)
	p.command(0, "deleteStream", 0.0, nil, 1.0)
	s.expect(t, "stop 1 ")
}

func TestPlayersSayWhatTheyWant(t *testing.T) {
	p, s := newPeer(t, ServerConfig{}, nil)
	p.connect()
	p.command(1, "pause", 0.0, nil, true, 0.0) // of nothing
	p.command(1, "play", 0.0, nil, "test")
	p.expectStatus(CodePlayReset)
	p.expectStatus(CodePlayStart)
	p.command(1, "pause", 0.0, nil, true, 1000.0)
	p.expectStatus(CodePause)
	p.command(1, "pause", 0.0, nil, false, 1000.0)
	p.expectStatus(CodeUnpause)
	p.command(1, "seek", 0.0, nil, 5000.0)
	if info := p.expectStatus(CodeSeek); info.String("level") != "status" {
		t.Errorf("seek is answered with level %s, which ends ffmpeg", info.String("level"))
	}
	p.command(1, "receiveVideo", 0.0, nil, false) // without an answer
	p.command(1, "receiveAudio", 0.0, nil, true)
	p.expectStatus(CodeSeek)
	p.expectStatus(CodePlayStart)
	p.command(1, "receiveAudio", 0.0, nil, "what?")
	p.command(9, "receiveAudio", 0.0, nil, true) // of nothing
	p.command(1, "pauseRaw", 0.0, nil, true, 0.0)
	p.expectStatus(CodePause)
	shut(p.nc)
	s.expect(t, "pause 1 true", "pause 1 false", "receive 9 on 1: false", "receive 8 on 1: true", "pause 1 true",
		"stop 1 "+Reason(s.end(t)))
}

func TestRejectedPlayerIsToldWhy(t *testing.T) {
	p, _ := newPeer(t, ServerConfig{}, func(c *ServerConn, ev Event) error {
		return c.Reject(ev, CodePlayStreamNotFound, "nobody publishes this")
	})
	p.connect()
	p.command(1, "play", 0.0, nil, "test")
	if info := p.expectStatus(CodePlayStreamNotFound); info.String("level") != "error" {
		t.Errorf("level %s", info.String("level"))
	}
	shut(p.nc)
}

func TestViewersThatSendOnlyControlTakeNoMemory(t *testing.T) {
	// An hour's acknowledgements and pongs reuse the first buffer.
	var b []byte
	for range 20_000 {
		b = appendControl(b, typeAck, 1)
		b = appendEvent(b, eventPingResponse, 1)
	}
	c := newChunkReader(bytes.NewReader(b), new(counters))
	c.authorise(DefaultMaxMessage, 2*DefaultMaxMessage)
	took := allocated(func() {
		for range 40_000 {
			if _, err := c.next(); err != nil {
				t.Fatal(err)
			}
		}
	})
	if took > 4<<10 || len(c.buf) != unauthorisedBuffer {
		t.Errorf("took %d bytes, the buffer has %d", took, len(c.buf))
	}
}

// TestMessageStreamsArePlayedUnderFewIDs has a client use ids up and name its own: whoever serves the
// plays keeps bytes for each id.
func TestMessageStreamsArePlayedUnderFewIDs(t *testing.T) {
	p, s := newPeer(t, ServerConfig{MaxStreams: 3}, nil)
	p.connect()
	for i := 2.0; i < 12; i++ {
		p.command(0, "createStream", i, nil)
		if answer := p.expect("_result", i); answer.arg(0) != 1.0 {
			t.Fatalf("after stream 1 was deleted, createStream gives out %v", answer.arg(0))
		}
		p.command(0, "deleteStream", 0.0, nil, 1.0)
	}
	p.command(2, "play", 0.0, nil, "test") // makes it
	p.expectStatus(CodePlayReset)
	p.expectStatus(CodePlayStart)
	for i, want := range []float64{1, 3} {
		p.command(0, "createStream", float64(20+i), nil)
		if answer := p.expect("_result", float64(20+i)); answer.arg(0) != want {
			t.Errorf("beside stream 2, createStream gives out %v, want %v", answer.arg(0), want)
		}
	}
	for _, id := range []uint32{4, 77, 1 << 31} {
		p.command(id, "play", 0.0, nil, "test")
		p.expectStatus(CodePlayFailed)
	}
	shut(p.nc)
	_ = s.end(t)
	if n := len(s.asked); n != 1 {
		t.Errorf("%d plays were asked for, want only that on stream 2", n)
	}
}

func TestAPlayOnAStreamThatPlaysEndsThatFirst(t *testing.T) {
	p, s := newPeer(t, ServerConfig{}, nil)
	p.connect()
	for _, name := range []string{"one", "two"} {
		p.command(1, "play", 0.0, nil, name)
		p.expectStatus(CodePlayReset)
		p.expectStatus(CodePlayStart)
		if r := (<-s.asked).(*PlayRequest); r.Name != name {
			t.Errorf("%q is asked for, want %q", r.Name, name)
		}
	}
	s.expect(t, "stop 1 ")
}

func TestAStrangersUnfinishedMessagesTakeLittleMemory(t *testing.T) {
	const most = 64 << 10 // as much as somebody unknown may hold
	var sent []byte
	for csid := range byte(60) {
		sent = append(append(sent, header(0, 3+csid, 0, 60_000, TypeVideo)...), make([]byte, defaultChunkSize)...)
	}
	c := newChunkReader(bytes.NewReader(sent), new(counters))
	if _, err := c.next(); Reason(err) != ReasonPartialBytes {
		t.Errorf("ended with %v", err)
	}
	held := len(c.buf)
	for _, s := range c.narrow {
		if s != nil {
			held += cap(s.own)
		}
	}
	if held > most {
		t.Errorf("a stranger makes us hold %d bytes", held)
	}
}
