package rtmp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// dialTo returns a client's configuration whose connections end at a server that
// decide decides for.
func dialTo(t *testing.T, config ServerConfig, decide func(*ServerConn, Event) error) (ClientConfig, *served) {
	t.Helper()
	client, server := tcpPair(t)
	return ClientConfig{Dial: func(context.Context, string, string) (net.Conn, error) { return client, nil }}, serve(t, server, config, decide)
}

func TestClientPublishesWhatTheServerReads(t *testing.T) {
	config, s := dialTo(t, ServerConfig{}, nil)
	c, err := Dial(context.Background(), "rtmp://h/live/test?token=abc", config)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Publish(context.Background()); err != nil {
		t.Fatal(err)
	}
	if r := (<-s.asked).(*PublishRequest); r.App != "live" || r.Name != "test" || r.Query != "token=abc" ||
		r.Connect.TcURL != "rtmp://h/live" || r.Connect.FlashVer != "FMLE/3.0 (compatible; Headwater)" {
		t.Errorf("request %+v of %+v", r, r.Connect)
	}
	long := strings.Repeat("v", 200_000)
	meta := AppendAMF0(nil, "onMetaData", ECMAArray{{"width", 320.0}})
	for _, m := range []message{
		{TypeData, 0, 0, meta}, {TypeVideo, 0, 0xffffffff, []byte(long)}, {TypeAudio, 0, 5, nil},
	} {
		if err := c.WriteMedia(m.kind, m.timestamp, m.payload); err != nil {
			t.Fatal(err)
		}
		got := s.event(t).(*Media)
		if got.Type != m.kind || got.Timestamp != m.timestamp || !bytes.Equal(got.Payload, m.payload) || got.StreamID != FirstStreamID {
			t.Fatalf("type %d at %d with %d bytes, want %d at %d with %d", got.Type, got.Timestamp, len(got.Payload), m.kind, m.timestamp, len(m.payload))
		}
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	s.expect(t, "unpublish 1 ")
	if err := s.end(t); err != io.EOF {
		t.Errorf("the server's connection ended with %v", err)
	}
}

func TestEverythingWrittenArrivesBeforeTheClose(t *testing.T) {
	config, s := dialTo(t, ServerConfig{}, nil)
	c, err := Dial(context.Background(), "rtmp://h/live/test", config)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Publish(context.Background()); err != nil {
		t.Fatal(err)
	}
	const messages = 500
	for i := range uint32(messages) {
		if err := c.WriteMedia(TypeVideo, i, make([]byte, 10_000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	<-s.done
	if n := len(s.events); n != messages+1 {
		t.Errorf("%d events, want %d and an end", n, messages)
	}
}

func TestClientPlaysWhatTheServerSends(t *testing.T) {
	config, s := dialTo(t, ServerConfig{}, func(c *ServerConn, ev Event) error {
		r := ev.(*PlayRequest)
		err := errors.Join(
			c.AcceptPlay(r),
			c.WriteMedia(r.StreamID, TypeData, 0, AppendAMF0(nil, "onMetaData", Object{{"a", 1.0}})),
			c.WriteMedia(r.StreamID, TypeVideo, 1<<24, make([]byte, 100_000)),
			c.WriteMedia(r.StreamID, TypeAudio, 7, nil),
			c.EndPlay(r.StreamID, "over"),
		)
		return err
	})
	c, err := Dial(context.Background(), "rtmp://h/live/test", config)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Play(context.Background()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		m, err := c.ReadMedia()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name := ""
		if m.Type == TypeData {
			name, _, _ = DecodeData(m.Payload)
		}
		got = append(got, describe(&Media{Type: m.Type, StreamID: uint32(len(m.Payload)), Timestamp: m.Timestamp, Payload: []byte(name)}))
	}
	want := []string{
		`media 18 on 24 at 0: "|RtmpSampleAccess"`, `media 18 on 44 at 0: "onStatus"`, `media 18 on 29 at 0: "onMetaData"`,
		`media 9 on 100000 at 16777216: ""`, `media 8 on 0 at 7: ""`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	s.expect(t, "stop 1 ")
}

func TestClientIsToldWhyItIsRefused(t *testing.T) {
	refuse := func(c *ServerConn, ev Event) error {
		code := CodePublishDenied
		if _, ok := ev.(*PlayRequest); ok {
			code = CodePlayStreamNotFound
		}
		return c.Reject(ev, code, "no entry to test?token=secret")
	}
	for _, code := range []string{CodePublishDenied, CodePlayStreamNotFound} {
		config, _ := dialTo(t, ServerConfig{}, refuse)
		c, err := Dial(context.Background(), "rtmp://h/live/test?token=secret", config)
		if err != nil {
			t.Fatal(err)
		}
		if code == CodePublishDenied {
			err = c.Publish(context.Background())
		} else {
			err = c.Play(context.Background())
		}
		if Reason(err) != ReasonRefusedByPeer || !strings.Contains(err.Error(), code) || !strings.Contains(err.Error(), "no entry") || strings.Contains(err.Error(), "secret") {
			t.Errorf("refused with %v", err)
		}
		shut(c)
	}
	config, _ := dialTo(t, ServerConfig{CheckConnect: func(*ConnectInfo) error { return &Refusal{CodeInvalidApp, "no such app"} }}, nil)
	if _, err := Dial(context.Background(), "rtmp://h/live/test", config); Reason(err) != ReasonRefusedByPeer || !strings.Contains(err.Error(), "no such app") {
		t.Errorf("refused with %v", err)
	}
}

func TestPublishingClientLearnsThatItIsThrownOut(t *testing.T) {
	config, s := dialTo(t, ServerConfig{}, nil)
	c, err := Dial(context.Background(), "rtmp://h/live/test", config)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Publish(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := s.conn.SendStatus(FirstStreamID, CodePublishRejected, "another encoder took over"); err != nil {
		t.Fatal(err)
	}
	<-c.readerDone
	if err := c.WriteMedia(TypeAudio, 0, []byte("a1")); Reason(err) != ReasonRefusedByPeer || !strings.Contains(err.Error(), "took over") {
		t.Errorf("writing fails with %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestClientGivesUpOnASilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer shut(server)
		drainInto(server)
		config := ClientConfig{Dial: func(context.Context, string, string) (net.Conn, error) { return client, nil }}
		start := time.Now()
		_, err := Dial(context.Background(), "rtmp://h/live/test", config)
		if after := time.Since(start); Reason(err) != ReasonCanceled || after != DefaultCommandTimeout {
			t.Errorf("%v after %v", err, after)
		}
	})
}

func TestPlayingClientGivesUpOnASilentServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer shut(server)
		config := ClientConfig{Dial: func(context.Context, string, string) (net.Conn, error) { return client, nil }}
		s := serve(t, server, ServerConfig{}, func(c *ServerConn, ev Event) error {
			err := accept(c, ev)
			time.Sleep(time.Hour) // stops even to ping
			return err
		})
		c, err := Dial(context.Background(), "rtmp://h/live/test", config)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Play(context.Background()); err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = c.ReadMedia()
		}
		if Reason(err) != ReasonPeerGone {
			t.Errorf("ended with %v", err)
		}
		shut(c)
		<-s.done
	})
}

func TestDialReportsWhatFails(t *testing.T) {
	refused := errors.New("refused")
	for _, c := range []struct {
		url  string
		dial error
		want error
	}{{"rtmp://h/live", nil, errURL}, {"rtmp://h/live/test", refused, refused}} {
		_, err := Dial(context.Background(), c.url, ClientConfig{Dial: func(context.Context, string, string) (net.Conn, error) { return nil, c.dial }})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.url, err, c.want)
		}
	}
}
