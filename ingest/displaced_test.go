package ingest

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/crowd"
	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
)

// dialFrom connects from an address of this machine.
func dialFrom(t *testing.T, ip byte, addr string) net.Conn {
	t.Helper()
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, ip)}}
	c, err := from.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return c
}

// TestAFewNetworksDoNotKeepAllOthersOut has two networks take all handshakes and say nothing, over TLS as far as its own
// handshake. Whoever comes from elsewhere is let in.
func TestAFewNetworksDoNotKeepAllOthersOut(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(map[bool]string{false: "rtmp", true: "rtmps"}[secure], func(t *testing.T) { testFewNetworks(t, secure) })
	}
}

func testFewNetworks(t *testing.T, secure bool) {
	const slots = 5
	o := start(t, func(c *Config, _ *remux.Config) {
		c.Crowd = crowd.Limits{Handshakes: slots, HandshakesPerNetwork: 3}
		c.HandshakeTimeout = time.Hour // nobody leaves by itself
	})
	addr, scheme, config := strings.Split(strings.TrimPrefix(o.url, "rtmp://"), "/")[0], "rtmp", (*tls.Config)(nil)
	if secure {
		addr, config = o.listenTLS()
		scheme = "rtmps"
	}
	var silent []net.Conn
	for i, ip := range []byte{2, 3, 3, 2, 3} {
		c := dialFrom(t, ip, addr)
		if secure {
			c = tls.Client(c, config)
			if err := c.(*tls.Conn).Handshake(); err != nil {
				t.Fatal(err)
			}
		}
		silent = append(silent, c)
		waitFor(t, "it is counted", func() bool { _, n, _ := o.server.crowd.Counts(); return n == i+1 })
	}
	come := func(ip byte) *rtmp.Client {
		t.Helper()
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, ip)}}
		c, err := rtmp.Dial(t.Context(), scheme+"://"+addr+"/live/test", rtmp.ClientConfig{Dial: from.DialContext, TLS: config})
		if err != nil {
			t.Fatalf("a newcomer is kept out: %v", err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	publisher := come(4)
	if err := publisher.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	send(t, publisher, 0, 10)
	if _, err := silent[1].Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("the oldest of the network with the most is not closed: %v", err)
	}
	if n := o.server.Refusals()[string(crowd.HandshakeDisplaced)]; n != 1 || len(o.server.Refusals()) != 1 {
		t.Errorf("counted are %v", o.server.Refusals())
	}
	waitFor(t, "it is counted out", func() bool { all, n, _ := o.server.crowd.Counts(); return all == slots && n == slots-1 })
	if secure {
		return
	}
	for _, i := range []int{0, 2, 3, 4} { // the others can still end theirs
		c, err := rtmp.Dial(t.Context(), o.url, rtmp.ClientConfig{Dial: func(context.Context, string, string) (net.Conn, error) { return silent[i], nil }})
		if err != nil {
			t.Errorf("connection %d is closed: %v", i, err)
			continue
		}
		_ = c.Close()
	}
}

// waitFor waits until something holds.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
