package ingest

import (
	"bytes"
	"net"
	"testing"
	"testing/synctest"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
)

// halfClosing is an end of a pipe that can end its direction, as a TCP connection can.
type halfClosing struct {
	net.Conn
	closedWrite chan struct{}
}

func (c halfClosing) CloseWrite() error {
	close(c.closedWrite)
	return nil
}

// TestWhatComesAfterARefusalIsRead refuses an encoder that sends media without waiting for the answer, much more than
// is taken before authorisation. On TCP, closing with any of it unread would reset the connection, and the refusal
// could be lost on its way: what it sends has to be read until it has had the time to notice.
func TestWhatComesAfterARefusalIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := remux.NewHub(remux.Config{})
		server := NewServer(Config{
			Hub:           hub,
			MaxBeforeAuth: 8 << 10,
			MayPublish:    func(Request) Decision { return Decision{Reason: "the key is wrong"} },
		})
		here, peer := net.Pipe()
		nc := halfClosing{here, make(chan struct{})}
		entry := server.admit(nc)
		server.sessions.Go(func() { server.serve(nc, entry) })
		replies := make(chan []byte)
		go func() {
			var all []byte
			b := make([]byte, 4<<10)
			for {
				n, err := peer.Read(b)
				if all = append(all, b[:n]...); err != nil {
					replies <- all
					return
				}
			}
		}()

		request := append([]byte{3}, make([]byte, 2*1536)...)
		command := func(stream uint32, values ...any) {
			request = rtmp.AppendMessage(request, 3, 20, stream, 0, 128, rtmp.AppendAMF0(nil, values...))
		}
		command(0, "connect", 1.0, rtmp.Object{{Name: "app", Value: "live"}})
		command(0, "createStream", 2.0, nil)
		command(1, "publish", 3.0, nil, "test", "live")
		media := rtmp.AppendMessage(nil, 6, rtmp.TypeVideo, 1, 0, 128, make([]byte, 300_000))
		if _, err := peer.Write(append(request, media...)); err != nil {
			t.Errorf("what the encoder sends is not read: %v", err)
		}
		<-nc.closedWrite
		_ = peer.Close() // it has seen the end
		if all := <-replies; !bytes.Contains(all, []byte("the key is wrong")) {
			t.Error("the refusal is missing")
		}
		hub.Close()
		server.Close(t.Context())
	})
}
