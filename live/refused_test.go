package live

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/bytelog"
)

// oneConn is a listener to which one client comes.
type oneConn struct {
	conns  chan net.Conn
	closed context.Context
	close  context.CancelFunc
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed.Done():
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error { l.close(); return nil }

func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// http2Get is a client that gives streams no window, and asks for /none.
const http2Get = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
	"\x00\x00\x06\x04\x00\x00\x00\x00\x00" + "\x00\x04\x00\x00\x00\x00" + // SETTINGS_INITIAL_WINDOW_SIZE=0
	"\x00\x00\x0c\x01\x05\x00\x00\x00\x01" + "\x82\x86\x04\x05/none\x01\x01x" // HEADERS, END_STREAM

// TestWhoDoesNotTakeTheAnswerThatAStreamDidNotComeIsNotWaitedFor: nothing but the time that a viewer may take nothing
// bounds it, for the server's deadline is lifted while a viewer waits for the stream.
func TestWhoDoesNotTakeTheAnswerThatAStreamDidNotComeIsNotWaitedFor(t *testing.T) {
	for name, client := range map[string]struct {
		says  string
		takes bool // what is no body
	}{
		"HTTP/1.1": {"GET /none HTTP/1.1\r\nHost: x\r\n\r\n", false},
		"HTTP/2":   {http2Get, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const wait = time.Minute
				hub := remux.NewHub(remux.Config{})
				s := NewServer(Config{Hub: hub, Wait: wait}, Container{
					Format: func(remux.Tracks) bytelog.Format { return nil }, Protocol: "flv", ContentType: "video/x-flv",
				})
				asked := 0
				srv := &http.Server{
					Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						asked++
						s.Serve(w, r, "live/none", r.Context(), func(uint64) {})
					}),
					WriteTimeout: wait / 2, // shorter, as that of who waits long is
					Protocols:    new(http.Protocols),
				}
				srv.Protocols.SetHTTP1(true)
				srv.Protocols.SetUnencryptedHTTP2(true)
				l := &oneConn{conns: make(chan net.Conn, 1)}
				l.closed, l.close = context.WithCancel(t.Context())
				ours, theirs := net.Pipe()
				defer ours.Close() //nolint:errcheck // the end
				l.conns <- theirs
				go func() { _ = srv.Serve(l) }()
				if client.takes {
					go func() { _, _ = io.Copy(io.Discard, ours) }()
				}
				if _, err := io.WriteString(ours, client.says); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if asked != 1 {
					t.Fatal("it was not asked")
				}
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				if err := srv.Shutdown(ctx); err != nil {
					t.Fatalf("the server waits for it: %v", err)
				}
				if waited := time.Since(began); waited < wait+bytelog.StallTimeout || waited > wait+2*bytelog.StallTimeout {
					t.Errorf("it was waited for %v", waited)
				}
				hub.Close()
				s.Close(ctx)
			})
		})
	}
}
