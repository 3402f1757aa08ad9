package rtmp

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
)

func TestPublicationsEndExactlyOnce(t *testing.T) {
	ends := map[string]func(p *peer){
		"FCUnpublish and deleteStream": func(p *peer) {
			p.command(0, "FCUnpublish", 4.0, nil, "test?token=x")
			p.command(0, "deleteStream", 5.0, nil, 1.0)
		},
		"deleteStream alone":                    func(p *peer) { p.command(0, "deleteStream", 5.0, nil, 1.0) },
		"deleteStream with a name, on stream 0": func(p *peer) { p.command(0, "deleteStream", 0.0, nil, "test") },
		"closeStream":                           func(p *peer) { p.command(1, "closeStream", 0.0, nil) },
		"closeStream and deleteStream": func(p *peer) {
			p.command(1, "closeStream", 0.0, nil)
			p.command(0, "deleteStream", 0.0, nil, 1.0)
		},
		"FCUnpublish alone": func(p *peer) { p.command(0, "FCUnpublish", 4.0, nil, "test") },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			p, s := newPeer(t, ServerConfig{}, nil)
			p.publish("test?token=x")
			end(p)
			p.media(TypeAudio, 1, 0, "late")
			shut(p.nc)
			s.expect(t, "unpublish 1 ")
			// With answers unread, closing resets: both are ends of the connection.
			if r := Reason(s.end(t)); r != ReasonEOF && r != ReasonReset {
				t.Errorf("ended with %v", s.err)
			}
			if n := len(s.events); n != 0 {
				t.Errorf("%d events after the end", n)
			}
		})
	}
}

func TestPublicationEndsWithTheConnection(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(p *peer)
		reason string
	}{
		"EOF": {func(p *peer) { shut(p.nc) }, ReasonEOF},
		"EOF within a message": {func(p *peer) {
			p.send(header(0, 4, 0, 10, TypeAudio))
			shut(p.nc)
		}, ReasonTruncated},
		"RST": {func(p *peer) {
			_ = p.nc.(*net.TCPConn).SetLinger(0)
			shut(p.nc)
		}, ReasonReset},
		"protocol error": {func(p *peer) { p.send(header(3, 33, 0, 0, 0)) }, ReasonChunkHeader},
	} {
		t.Run(name, func(t *testing.T) {
			p, s := newPeer(t, ServerConfig{}, nil)
			p.publish("test")
			c.end(p)
			s.expect(t, "unpublish 1 "+c.reason)
			if err := s.end(t); Reason(err) != c.reason {
				t.Errorf("ended with %v, want %s", err, c.reason)
			}
		})
	}
}

func TestClosingByThisSideEndsPublications(t *testing.T) {
	p, s := newPeer(t, ServerConfig{}, nil)
	p.publish("test")
	if err := s.conn.Close(); err != nil {
		t.Error(err)
	}
	s.expect(t, "unpublish 1 "+ReasonClosed)
	if err := s.end(t); Reason(err) != ReasonClosed {
		t.Errorf("ended with %v", err)
	}
	if err := s.conn.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func TestOneConnectionPublishesAgainAndTwiceAtOnce(t *testing.T) {
	p, s := newPeer(t, ServerConfig{}, nil)
	p.publish("one")
	p.media(TypeAudio, 1, 0, "a1")
	p.command(0, "deleteStream", 0.0, nil, 1.0)
	p.expectStatus(CodeUnpublish)
	for id := 1.0; id <= 2; id++ {
		p.command(0, "createStream", 1+id, nil)
		if answer := p.expect("_result", 1+id); answer.arg(0) != id {
			t.Fatalf("stream %v, want %v", answer.arg(0), id)
		}
		p.command(uint32(id), "publish", 0.0, nil, "more")
		p.expectStatus(CodePublishStart)
	}
	p.media(TypeVideo, 1, 5, "v2")
	p.media(TypeVideo, 2, 6, "v3")
	p.media(TypeVideo, 9, 7, "whose?")
	p.command(0, "deleteStream", 0.0, nil, 1.0)
	p.media(TypeVideo, 0, 8, "the only one's")
	s.expect(t, `media 8 on 1 at 0: "a1"`, "unpublish 1 ", `media 9 on 1 at 5: "v2"`, `media 9 on 2 at 6: "v3"`,
		"unpublish 1 ", `media 9 on 2 at 8: "the only one's"`)
	if n := s.conn.Stats().Skipped[SkipNoPublication]; n != 1 {
		t.Errorf("%d messages skipped, want 1", n)
	}
}

func TestStreamsOfAConnectionAreBounded(t *testing.T) {
	p, _ := newPeer(t, ServerConfig{MaxStreams: 3}, nil)
	p.connect()
	for i := 2.0; i < 5; i++ {
		p.command(0, "createStream", i, nil)
		p.expect("_result", i)
	}
	p.command(0, "createStream", 5.0, nil)
	p.expect("_error", 5)
	p.command(77, "publish", 6.0, nil, "test")
	p.expectStatus(CodePublishBadName)
}

func TestPublishingOnAStreamInUseIsRefused(t *testing.T) {
	p, s := newPeer(t, ServerConfig{}, nil)
	p.publish("test")
	p.command(1, "publish", 0.0, nil, "other")
	p.expectStatus(CodePublishBadName)
	p.command(1, "play", 0.0, nil, "other")
	p.expectStatus(CodePlayFailed)
	p.media(TypeAudio, 1, 0, "goes on")
	s.expect(t, `media 8 on 1 at 0: "goes on"`)
}

func TestPublishWithoutCreateStreamAndFCPublish(t *testing.T) {
	p, s := newPeer(t, ServerConfig{}, nil)
	p.connect()
	p.command(0, "publish", 0.0, nil, "test")
	if cmd, _ := parseCommand(p.next(typeCommandAMF0)); cmd.name != "onStatus" {
		t.Errorf("publish is answered with %s", cmd.name)
	}
	p.media(TypeAudio, 0, 0, "a1")
	s.expect(t, `media 8 on 0 at 0: "a1"`)
}

func TestPublisherThatIsThrownOutIsToldWhyThoughItGoesOnSending(t *testing.T) {
	p, s := newPeer(t, ServerConfig{}, nil)
	p.publish("test")
	p.send(AppendMessage(nil, 6, TypeVideo, 1, 0, defaultChunkSize, make([]byte, 200_000)))
	s.event(t)
	closed := make(chan error)
	go func() { closed <- s.conn.CloseWithStatus(1, CodePublishRejected, "another encoder has taken over") }()
	var sending sync.WaitGroup
	sending.Go(func() { // until the server's end is closed
		for {
			if _, err := p.nc.Write(AppendMessage(nil, 6, TypeVideo, 1, 0, defaultChunkSize, make([]byte, 50_000))); err != nil {
				return
			}
		}
	})
	info := p.expectStatus(CodePublishRejected)
	if info.String("level") != "error" || info.String("description") != "another encoder has taken over" {
		t.Errorf("information %v", info)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	sending.Wait()
	if err := s.end(t); Reason(err) != ReasonClosed {
		t.Errorf("ended with %v", err)
	}
}

func TestMediaEventsAllocateNothingButSlabs(t *testing.T) {
	const messages = 10_000
	in := publishing()
	for i := range uint32(messages) {
		in = AppendMessage(in, 4, TypeAudio, 1, i*20, defaultChunkSize, []byte(x200))
	}
	conn := NewServerConn(replay{in: bytes.NewReader(in)}, ServerConfig{})
	if err := conn.Handshake(context.Background()); err != nil {
		t.Fatal(err)
	}
	ev, err := conn.Next()
	if err != nil {
		t.Fatal(err)
	}
	if err := accept(conn, ev); err != nil {
		t.Fatal(err)
	}
	const batch = messages / 2
	allocs := testing.AllocsPerRun(1, func() {
		for range batch {
			if _, err := conn.Next(); err != nil {
				t.Fatal(err)
			}
		}
	})
	if limit := 1 + batch*220.0/minSlab; allocs > limit {
		t.Errorf("%v allocations for %d messages, want at most %.0f slabs", allocs, batch, limit)
	}
}
