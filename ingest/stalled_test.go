package ingest

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"testing"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// givenUp is a connection that the system gives up instead of being reset by the peer. It tells whoever reads: it tells
// only one of those who use a connection.
type givenUp struct{ *net.TCPConn }

func (c givenUp) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if errors.Is(err, syscall.ECONNRESET) {
		err = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ETIMEDOUT}
	}
	return n, err
}

type givenUpListener struct{ net.Listener }

func (l givenUpListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return givenUp{c.(*net.TCPConn)}, nil
}

func TestAPlayerThatTakesNothingIsCountedThoughItsReaderFindsOut(t *testing.T) {
	o := start(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = o.server.Serve(givenUpListener{l}) }) // until it is closed
	t.Cleanup(func() { o.server.Drain(); serving.Wait() })
	o.publishHeard("test")
	o.wantMessages(51)
	var nc *net.TCPConn
	player, err := rtmp.Dial(t.Context(), "rtmp://"+l.Addr().String()+"/live/test", rtmp.ClientConfig{
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			nc, _ = c.(*net.TCPConn)
			return c, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := player.Play(t.Context()); err != nil {
		t.Fatal(err)
	}
	for m, err := player.ReadMedia(); m == nil || m.Timestamp < 49*23; m, err = player.ReadMedia() {
		if err != nil {
			t.Fatal(err)
		}
	}
	_ = nc.SetLinger(0)
	_ = nc.Close()
	waitFor(t, "it is gone", func() bool { all, _, _ := o.server.crowd.Counts(); return all == 1 })
	if got := o.server.Refusals(); got[reasonStalled] != 1 || len(got) != 1 {
		t.Errorf("counted are %v", got)
	}
}
