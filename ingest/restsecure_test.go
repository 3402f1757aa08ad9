package ingest

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
)

// TestAPublisherOverTLSIsNotHeldUp publishes records of TLS to nobody, at a server that would rest for seconds where it
// takes a short read for the last.
func TestAPublisherOverTLSIsNotHeldUp(t *testing.T) {
	const frames = 300
	counters := make(chan remux.Counters, 1)
	o := start(t, func(_ *Config, h *remux.Config) {
		h.Events.Ended = func(_ remux.StreamName, _ *remux.Publication, _ remux.EndReason, c remux.Counters) { counters <- c }
	})
	o.server.rest = 2 * time.Second
	addr, config := o.listenTLS()
	c, err := rtmp.Dial(t.Context(), "rtmps://"+addr+"/live/test", rtmp.ClientConfig{TLS: config})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	send(t, c, 0, frames) // a record for each
	_ = c.Close()
	select {
	case got := <-counters:
		if got.Messages != frames+1 {
			t.Errorf("%d messages have arrived, %d were sent", got.Messages, frames+1)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("what was published has not arrived")
	}
}

// listenTLS has the server listen for TLS as well, until the test ends. It returns where, and how to dial.
func (o *origin) listenTLS() (addr string, client *tls.Config) {
	o.t.Helper()
	web := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate
	o.t.Cleanup(web.Close)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: web.TLS.Certificates})
	if err != nil {
		o.t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = o.server.Serve(l) }) // until it is closed
	o.t.Cleanup(func() { o.server.Drain(); serving.Wait() })
	client = web.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	client.ServerName = "127.0.0.1"
	return l.Addr().String(), client
}
