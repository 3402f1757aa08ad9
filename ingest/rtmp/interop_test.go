package rtmp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib"
	gortmpmessage "github.com/bluenviron/gortmplib/pkg/message"
	"github.com/sirupsen/logrus"
	"github.com/yutopp/go-rtmp"
	gomessage "github.com/yutopp/go-rtmp/message"
)

// listen accepts one connection on loopback and serves it.
func listen(t *testing.T, decide func(*ServerConn, Event) error) (addr string, first <-chan *served) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 1)
	go func() {
		if nc, err := l.Accept(); err == nil { // else closed with the test
			accepted <- nc
		}
	}()
	t.Cleanup(func() { shut(l) })
	out := make(chan *served, 1)
	go func() {
		nc := <-accepted
		out <- serve(t, nc, ServerConfig{}, decide)
	}()
	return l.Addr().String(), out
}

func TestGoRTMPPublishes(t *testing.T) {
	addr, first := listen(t, nil)
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	c, err := rtmp.Dial("rtmp", addr, &rtmp.ConnConfig{Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer shut(c)
	s := <-first
	if err := c.Connect(&gomessage.NetConnectionConnect{Command: gomessage.NetConnectionConnectCommand{
		App: "live", TCURL: "rtmp://" + addr + "/live", FlashVer: "go-rtmp",
	}}); err != nil {
		t.Fatal(err)
	}
	stream, err := c.CreateStream(nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Publish(&gomessage.NetStreamPublish{PublishingName: "test?k=v", PublishingType: "live"}); err != nil {
		t.Fatal(err)
	}
	if r := (<-s.asked).(*PublishRequest); r.App != "live" || r.Name != "test" || r.Query != "k=v" || r.Connect.FlashVer != "go-rtmp" {
		t.Errorf("request %+v", r)
	}
	payload := bytes.Repeat([]byte("0123456789"), 500)
	for _, time := range []uint32{0, 40, 80, 1 << 24, 1<<24 + 40} {
		if err := stream.Write(6, time, &gomessage.VideoMessage{Payload: bytes.NewReader(payload)}); err != nil {
			t.Fatal(err)
		}
		if m := s.event(t).(*Media); m.Timestamp != time || m.Type != TypeVideo || !bytes.Equal(m.Payload, payload) {
			t.Errorf("type %d at %d with %d bytes, want a video message at %d", m.Type, m.Timestamp, len(m.Payload), time)
		}
	}
	// Not by DeleteStream: go-rtmp races with itself there when a reply comes in.
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	s.expect(t, "unpublish 1 "+Reason(s.end(t)))
}

func gortmplibClient(t *testing.T, addr string, publish bool) *gortmplib.Client {
	t.Helper()
	u, err := url.Parse("rtmp://" + addr + "/live/test?k=v")
	if err != nil {
		t.Fatal(err)
	}
	c := &gortmplib.Client{URL: u, Publish: publish}
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	if err := c.Initialize(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Media that gortmplib accepts, and the messages it must be. The message with an
// extended timestamp is short: gortmplib repeats it in type 3 chunks as zeros.
var (
	sampleVideo = &gortmpmessage.Video{
		ChunkStreamID: 6, DTS: 5 * time.Second, MessageStreamID: 0x1000000, Codec: gortmpmessage.CodecH264,
		IsKeyFrame: true, Type: gortmpmessage.VideoTypeAU, PTSDelta: 40 * time.Millisecond, Payload: bytes.Repeat([]byte("v"), 150_000),
	}
	sampleAudio = &gortmpmessage.Audio{
		ChunkStreamID: 4, DTS: 16780 * time.Second, MessageStreamID: 0x1000000, Codec: gortmpmessage.CodecMPEG4Audio,
		Rate: gortmpmessage.Rate44100, Depth: gortmpmessage.Depth16, IsStereo: true, AACType: gortmpmessage.AudioAACTypeAU, Payload: []byte("aac"),
	}
	videoBody = join("\x17\x01\x00\x00\x28", bytes.Repeat([]byte("v"), 150_000))
	audioBody = []byte("\xaf\x01aac")
)

func TestGortmplibPublishes(t *testing.T) {
	addr, first := listen(t, nil)
	c := gortmplibClient(t, addr, true)
	s := <-first
	for _, m := range []gortmpmessage.Message{sampleVideo, sampleAudio} {
		if err := c.Write(m); err != nil {
			t.Fatal(err)
		}
	}
	if m := s.event(t).(*Media); m.Type != TypeVideo || m.Timestamp != 5000 || !bytes.Equal(m.Payload, videoBody) {
		t.Errorf("type %d at %d with %d bytes", m.Type, m.Timestamp, len(m.Payload))
	}
	if m := s.event(t).(*Media); m.Type != TypeAudio || m.Timestamp != 16780_000 || !bytes.Equal(m.Payload, audioBody) {
		t.Errorf("type %d at %d: %q", m.Type, m.Timestamp, m.Payload)
	}
	c.Close()
	s.expect(t, "unpublish 1 "+Reason(s.end(t)))
}

func TestGortmplibPlays(t *testing.T) {
	addr, first := listen(t, func(c *ServerConn, ev Event) error {
		r := ev.(*PlayRequest)
		return errors.Join(
			c.AcceptPlay(r),
			c.WriteMedia(r.StreamID, TypeVideo, 5000, videoBody),
			c.WriteChunks(AppendMessage(nil, ChunkStreamAudio, TypeAudio, r.StreamID, 16780_000, c.ChunkSize(), audioBody)),
		)
	})
	c := gortmplibClient(t, addr, false)
	<-first
	var got []gortmpmessage.Message
	for len(got) < 2 {
		m, err := c.Read()
		if err != nil {
			t.Fatal(err)
		}
		switch m := m.(type) {
		case *gortmpmessage.Video:
			got = append(got, m)
			if m.DTS != sampleVideo.DTS || m.PTSDelta != sampleVideo.PTSDelta || !bytes.Equal(m.Payload, sampleVideo.Payload) {
				t.Errorf("video at %v with %d bytes", m.DTS, len(m.Payload))
			}
		case *gortmpmessage.Audio:
			got = append(got, m)
			if m.DTS != sampleAudio.DTS || !bytes.Equal(m.Payload, sampleAudio.Payload) {
				t.Errorf("audio at %v: %q", m.DTS, m.Payload)
			}
		}
	}
}

// gortmplibServer accepts one connection, and hands it over once it publishes or
// plays.
func gortmplibServer(t *testing.T, then func(*gortmplib.ServerConn) error) (addr string, result <-chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(l) })
	out := make(chan error, 1)
	go func() {
		nc, err := l.Accept()
		if err != nil {
			out <- err
			return
		}
		defer shut(nc)
		c := &gortmplib.ServerConn{RW: nc}
		if err = c.Initialize(); err == nil {
			err = c.Accept()
		}
		if err == nil {
			err = then(c)
		}
		out <- err
	}()
	return l.Addr().String(), out
}

func TestClientPublishesToGortmplib(t *testing.T) {
	var got []gortmpmessage.Message
	addr, result := gortmplibServer(t, func(c *gortmplib.ServerConn) error {
		if !c.Publish || c.URL.Path != "/live/test" || c.URL.RawQuery != "k=v" {
			return errors.New("published as " + c.URL.String())
		}
		for {
			m, err := c.Read()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			got = append(got, m)
		}
	})
	c, err := Dial(context.Background(), "rtmp://"+addr+"/live/test?k=v", ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Publish(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		c.WriteMedia(TypeData, 0, AppendAMF0(nil, "onMetaData", ECMAArray{{"width", 320.0}})),
		c.WriteMedia(TypeVideo, 5000, videoBody),
		c.WriteMedia(TypeAudio, 16780_000, audioBody),
		c.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, m := range got {
		switch m := m.(type) {
		case *gortmpmessage.DataAMF0:
			seen = append(seen, "data "+m.Payload[0].(string))
		case *gortmpmessage.Video:
			if m.DTS == sampleVideo.DTS && m.PTSDelta == sampleVideo.PTSDelta && bytes.Equal(m.Payload, sampleVideo.Payload) {
				seen = append(seen, "video")
			}
		case *gortmpmessage.Audio:
			if m.DTS == sampleAudio.DTS && bytes.Equal(m.Payload, sampleAudio.Payload) {
				seen = append(seen, "audio")
			}
		case *gortmpmessage.CommandAMF0:
			seen = append(seen, m.Name)
		}
	}
	if want := "data @setDataFrame, video, audio, FCUnpublish, deleteStream"; strings.Join(seen, ", ") != want {
		t.Errorf("the server has seen %s, want %s", strings.Join(seen, ", "), want)
	}
}

func TestClientPlaysFromGortmplib(t *testing.T) {
	addr, result := gortmplibServer(t, func(c *gortmplib.ServerConn) error {
		return errors.Join(c.Write(sampleVideo), c.Write(sampleAudio))
	})
	c, err := Dial(context.Background(), "rtmp://"+addr+"/live/test", ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer shut(c)
	if err := c.Play(context.Background()); err != nil {
		t.Fatal(err)
	}
	var got []record
	for {
		m, err := c.ReadMedia()
		if err != nil {
			break // gortmplib closes without a word, and may reset
		}
		got = append(got, recordOf(message{m.Type, 1, m.Timestamp, m.Payload}))
	}
	want := []record{recordOf(message{TypeVideo, 1, 5000, videoBody}), recordOf(message{TypeAudio, 1, 16780_000, audioBody})}
	if !slices.Equal(got, want) {
		t.Errorf("%d messages, not the two that were sent", len(got))
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
}
