package rtmp

import (
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

func TestConnectIsAnsweredAsByOtherServers(t *testing.T) {
	p, _ := newPeer(t, ServerConfig{}, nil)
	p.command(0, "connect", 1.0, Object{{"app", "live"}, {"tcUrl", "rtmp://host/live"}, {"objectEncoding", 3.0}})
	for _, want := range []struct {
		kind  uint8
		value uint32
	}{{typeWindowAckSize, 2500000}, {typePeerBandwidth, 2500000}} {
		if m := p.next(); m.kind != want.kind || binary.BigEndian.Uint32(m.payload) != want.value {
			t.Fatalf("message of type %d: % x, want %d with %d", m.kind, m.payload, want.kind, want.value)
		}
	}
	result := p.expect("_result", 1)
	if p.r.chunkSize != 65536 {
		t.Errorf("chunk size %d announced before the result, want 65536", p.r.chunkSize)
	}
	if result.object.String("fmsVer") == "" || result.object.Number("capabilities") != 31 {
		t.Errorf("properties %v", result.object)
	}
	info, _ := AsObject(result.arg(0))
	if info.String("code") != CodeConnectSuccess || info.String("level") != "status" || info.Get("objectEncoding") != 0.0 {
		t.Errorf("information %v", info)
	}
	if result.object.Get("fourCcList") != nil {
		t.Error("a client without Enhanced RTMP is told of it")
	}
}

func TestEnhancedRTMPCapabilitiesAreRead(t *testing.T) {
	can := Codecs{FourCCs: []string{"avc1", "mp4a"}, Video: map[string]int{"avc1": 4}, Audio: map[string]int{"mp4a": 4}, CapsEx: 0}
	p, s := newPeer(t, ServerConfig{Codecs: can}, nil)
	p.command(0, "connect", 1.0, Object{
		{"app", "live"}, {"flashVer", "test/1"}, {"objectEncoding", 3.0},
		{"fourCcList", []any{"hvc1", "av01", 5.0}},
		{"videoFourCcInfoMap", Object{{"hvc1", 7.0}, {"*", 4.0}}},
		{"audioFourCcInfoMap", ECMAArray{{"Opus", 1.0}, {"odd", "x"}}},
		{"capsEx", 15.0},
	})
	result := p.expect("_result", 1)
	if got := parseConnect(result.object).Codecs; !reflect.DeepEqual(got, can) {
		t.Errorf("answered %v, want %v", got, can)
	}
	p.command(1, "publish", 0.0, nil, "test")
	got := (<-s.asked).(*PublishRequest).Connect
	want := Codecs{
		FourCCs: []string{"hvc1", "av01"}, Video: map[string]int{"hvc1": 7, "*": 4}, Audio: map[string]int{"Opus": 1}, CapsEx: 15,
	}
	if !reflect.DeepEqual(got.Codecs, want) || got.FlashVer != "test/1" || got.ObjectEncoding != 3 {
		t.Errorf("read %v of %q, want %v", got.Codecs, got.FlashVer, want)
	}
}

func TestRefusedConnectIsToldWhyBeforeTheClose(t *testing.T) {
	refusal := &Refusal{Code: CodeInvalidApp, Description: "there is no such app"}
	p, s := newPeer(t, ServerConfig{CheckConnect: func(c *ConnectInfo) error {
		if c.App != "wrong" {
			t.Errorf("app %q", c.App)
		}
		return refusal
	}}, nil)
	p.command(0, "connect", 1.0, Object{{"app", "wrong?key=secret"}})
	answer := p.expect("_error", 1)
	if info, _ := AsObject(answer.arg(0)); info.String("code") != CodeInvalidApp || info.String("description") != refusal.Description {
		t.Errorf("information %v", info)
	}
	shut(p.nc)
	if err := s.end(t); Reason(err) != ReasonRefused || strings.Contains(err.Error(), "secret") {
		t.Errorf("ended with %v", err)
	}
}

func TestRefusedConnectWithAnotherErrorTellsNothing(t *testing.T) {
	p, s := newPeer(t, ServerConfig{CheckConnect: func(*ConnectInfo) error { return errors.New("inner") }}, nil)
	p.command(0, "connect", 1.0, Object{{"app", "live"}})
	answer := p.expect("_error", 1)
	if info, _ := AsObject(answer.arg(0)); info.String("code") != CodeConnectRejected || strings.Contains(info.String("description"), "inner") {
		t.Errorf("information %v", info)
	}
	shut(p.nc)
	if err := s.end(t); Reason(err) != ReasonRefused {
		t.Errorf("ended with %v", err)
	}
}

func TestEveryTransactionIsAnswered(t *testing.T) {
	p, s := newPeer(t, ServerConfig{}, nil)
	p.connect()
	for i, c := range []struct{ name, answer string }{
		{"releaseStream", "_result"}, {"FCPublish", "_result"}, {"_checkbw", "_result"}, {"getStreamLength", "_result"},
		{"createStream", "_result"}, {"FCSubscribe", "_result"}, {"FCUnpublish", "_result"}, {"deleteStream", "_result"},
		{"pause", "_result"}, {"receiveAudio", "_result"}, {"receiveVideo", "_result"}, {"seek", "_result"},
		{"set_playlist", "_error"}, {"connect", "_error"},
	} {
		p.command(0, c.name, float64(10+i), nil, "test")
		cmd, _ := parseCommand(p.next(typeCommandAMF0))
		if cmd.name != c.answer || cmd.transaction != float64(10+i) {
			t.Errorf("%s is answered with %s %v, want %s", c.name, cmd.name, cmd.transaction, c.answer)
		}
		switch c.name {
		case "FCSubscribe":
			p.expect("onFCSubscribe", 0)
		case "seek":
			p.expectStatus(CodeSeek)
		}
	}
	if n := s.conn.Stats().Skipped[SkipUnknownCommand]; n != 2 {
		t.Errorf("%d unknown commands counted, want 2", n)
	}
}

func TestTransactionZeroIsNotAnswered(t *testing.T) {
	// As GStreamer sends them.
	p, s := newPeer(t, ServerConfig{}, nil)
	p.connect()
	p.command(0, "releaseStream", 0.0, nil, "test")
	p.command(0, "FCPublish", 0.0, nil, "test")
	p.command(0, "unheardOf", 0.0, nil)
	p.command(0, "createStream", 4.0, nil)
	if cmd, _ := parseCommand(p.next(typeCommandAMF0)); cmd.name != "_result" || cmd.transaction != 4 || cmd.arg(0) != 1.0 {
		t.Fatalf("first answer %v", cmd)
	}
	p.command(1, "publish", 0.0, nil, "test", "live")
	if cmd, _ := parseCommand(p.next(typeCommandAMF0)); cmd.name != "onFCPublish" {
		t.Errorf("first answer to publish is %v", cmd)
	}
	p.expectStatus(CodePublishStart)
	p.media(TypeAudio, 1, 20, "a1")
	p.command(1, "deleteStream", 0.0, nil, "test") // a string in the place of the number
	s.expect(t, `media 8 on 1 at 20: "a1"`, "unpublish 1 ")
}

func TestCommandsBeforeConnectAreAProtocolError(t *testing.T) {
	for _, name := range []string{"publish", "play", "createStream"} {
		p, s := newPeer(t, ServerConfig{}, nil)
		p.command(1, name, 1.0, nil, "test")
		if err := s.end(t); Reason(err) != ReasonCommandOrder {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestQueryIsFoundWhereverItStands(t *testing.T) {
	for _, c := range []struct{ app, tcURL, name, wantApp, wantName, wantQuery string }{
		{"live", "rtmp://h/live", "test?token=abc", "live", "test", "token=abc"},
		{"live?token=abc", "rtmp://h/live?token=abc", "test", "live", "test", "token=abc"},
		{"live", "rtmp://h/live?token=abc", "test", "live", "test", "token=abc"},
		{"live?a=1", "rtmp://h/live?b=2", "test?c=3", "live", "test", "c=3&a=1&b=2"},
		{"live?a=1", "rtmp://h/live?c=3", "test?c=3", "live", "test", "c=3&a=1"},
		{"/live/", "rtmp://h/live/", "/test/", "live", "test", ""},
		{"live/test?k=v", "rtmp://h/live/test?k=v", "", "live", "test", "k=v"},
		{"", "rtmp://user:pass@h:1935/live?k=v", "test", "live", "test", "k=v"},
		{"live", "", "a/b", "live", "a/b", ""},
		{"", "rtmp://h/", "live/test?k=v", "live", "test", "k=v"},
		{"live", "rtmp://h/live", "", "live", "", ""},
		{"", "", "", "", "", ""},
	} {
		p, s := newPeer(t, ServerConfig{}, nil)
		p.command(0, "connect", 1.0, Object{{"app", c.app}, {"tcUrl", c.tcURL}})
		p.command(1, "publish", 0.0, nil, c.name, "live")
		r := (<-s.asked).(*PublishRequest)
		if r.App != c.wantApp || r.Name != c.wantName || r.Query != c.wantQuery || r.Type != "live" {
			t.Errorf("%q %q %q: app %q, name %q, query %q", c.app, c.tcURL, c.name, r.App, r.Name, r.Query)
		}
		if strings.ContainsAny(r.Connect.TcURL, "=@") {
			t.Errorf("%q is shown as %q", c.tcURL, r.Connect.TcURL)
		}
	}
}

func TestRejectedPublishIsToldWhyThoughItGoesOnSending(t *testing.T) {
	p, s := newPeer(t, ServerConfig{}, func(c *ServerConn, ev Event) error {
		err := c.Reject(ev, CodePublishDenied, "the token has expired")
		if err == nil {
			err = c.Close()
		}
		if err == nil {
			err = io.ErrNoProgress
		}
		return err
	})
	p.connect()
	p.command(0, "createStream", 2.0, nil)
	// The encoder does not wait for the answer: unread data must not reset the
	// connection before the refusal has arrived.
	p.send(join(
		appendCommand(nil, csidCommand, 1, defaultChunkSize, "publish", 3.0, nil, "test"),
		AppendMessage(nil, 6, TypeVideo, 1, 0, defaultChunkSize, make([]byte, 300_000)),
	))
	info := p.expectStatus(CodePublishDenied)
	if info.String("level") != "error" || info.String("description") != "the token has expired" {
		t.Errorf("information %v", info)
	}
	if _, err := p.r.next(); err != io.EOF {
		t.Errorf("after the refusal: %v, want an orderly end", err)
	}
	shut(p.nc)
	if err := s.end(t); err != io.ErrNoProgress {
		t.Errorf("decided with %v", err)
	}
}

func TestAfterARejectionAnotherNameMayBeAsked(t *testing.T) {
	p, s := newPeer(t, ServerConfig{}, func(c *ServerConn, ev Event) error {
		if r := ev.(*PublishRequest); r.Name == "bad" {
			return c.Reject(ev, CodePublishBadName, "in use")
		}
		return accept(c, ev)
	})
	p.connect()
	p.command(1, "publish", 3.0, nil, "bad")
	p.expectStatus(CodePublishBadName)
	p.media(TypeAudio, 1, 0, "refused")
	p.command(1, "publish", 3.0, nil, "good")
	p.expectStatus(CodePublishStart)
	p.media(TypeAudio, 1, 1, "taken")
	s.expect(t, `media 8 on 1 at 1: "taken"`)
	shut(p.nc)
}

func TestDecisionsNeedAnOpenRequest(t *testing.T) {
	c := NewServerConn(nil, ServerConfig{})
	if c.AcceptPublish(&PublishRequest{StreamID: 1}) == nil || c.AcceptPlay(&PlayRequest{StreamID: 1}) == nil ||
		c.Reject(&PlayRequest{StreamID: 1}, CodePlayFailed, "") == nil || c.Reject(&Stop{}, CodePlayFailed, "") == nil {
		t.Error("decided on nothing")
	}
}

func TestScriptDataComesAsFLVHasIt(t *testing.T) {
	p, s := newPeer(t, ServerConfig{}, nil)
	p.publish("test")
	meta := ECMAArray{{"width", 320.0}, {"encoder", "x"}}
	body := AppendAMF0(nil, "onMetaData", meta)
	for kind, payload := range map[uint8][]byte{
		TypeData:     join(AppendAMF0(nil, "@setDataFrame"), body),
		typeDataAMF3: join([]byte{0}, AppendAMF0(nil, "@setDataFrame"), body),
	} {
		p.send(AppendMessage(nil, 4, kind, 1, 7, defaultChunkSize, payload))
		m := s.event(t).(*Media)
		if m.Type != TypeData || m.Timestamp != 7 || string(m.Payload) != string(body) {
			t.Fatalf("type %d: payload %q, want %q", kind, m.Payload, body)
		}
		name, value, err := DecodeData(m.Payload)
		if name != "onMetaData" || !reflect.DeepEqual(value, meta) || err != nil {
			t.Errorf("decoded %q %v: %v", name, value, err)
		}
	}
	for _, bad := range [][]byte{nil, {markNumber}, AppendAMF0(nil, 5.0), AppendAMF0(nil, "@setDataFrame")} {
		p.send(AppendMessage(nil, 4, TypeData, 1, 8, defaultChunkSize, bad))
	}
	p.media(TypeAudio, 1, 9, "next")
	s.expect(t, `media 8 on 1 at 9: "next"`)
	if n := s.conn.Stats().Skipped[SkipMalformedData]; n != 4 {
		t.Errorf("%d malformed messages counted, want 4", n)
	}
}

func TestCommandsInAMF3Messages(t *testing.T) {
	for _, format := range []string{"\x00", ""} {
		p, s := newPeer(t, ServerConfig{}, nil)
		p.connect()
		publish := join(format, AppendAMF0(nil, "publish", 0.0, nil, "test"))
		p.send(AppendMessage(nil, 3, typeCommandAMF3, 1, 0, defaultChunkSize, publish))
		p.expectStatus(CodePublishStart)
		if r := (<-s.asked).(*PublishRequest); r.Name != "test" {
			t.Errorf("name %q", r.Name)
		}
	}
}

func TestUnreadableCommandsAreSkipped(t *testing.T) {
	p, s := newPeer(t, ServerConfig{}, nil)
	p.publish("test")
	for _, payload := range [][]byte{nil, {0xff}, AppendAMF0(nil, 5.0), {markString, 0xff, 0xff, 'x'}, AppendAMF0(nil, "")} {
		p.send(AppendMessage(nil, 3, typeCommandAMF0, 1, 0, defaultChunkSize, payload))
	}
	p.media(TypeAudio, 1, 9, "next")
	s.expect(t, `media 8 on 1 at 9: "next"`)
	if n := s.conn.Stats().Skipped[SkipMalformedCommand]; n != 5 {
		t.Errorf("%d malformed commands counted, want 5", n)
	}
}
