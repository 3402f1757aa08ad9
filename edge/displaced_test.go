package edge

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"github.com/headwater-live/headwater/crowd"
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

// TestAFewNetworksDoNotKeepAllOthersOut has two networks take all that may be there without a request, and say nothing,
// or over TLS a part of its handshake. Whoever comes from elsewhere is answered.
func TestAFewNetworksDoNotKeepAllOthersOut(t *testing.T) {
	limits := crowd.Limits{Handshakes: 5, HandshakesPerNetwork: 3}
	for _, secure := range []bool{false, true} {
		t.Run(map[bool]string{false: "http", true: "https"}[secure], func(t *testing.T) {
			l, addr := startLimited(t, limits, ok)
			if secure {
				addr = startLimitedTLS(t, l, time.Minute, ok)
			}
			var silent []net.Conn
			for i, ip := range []byte{2, 3, 3, 2, 3} {
				c := dialFrom(t, ip, addr)
				if secure {
					_, _ = io.WriteString(c, "\x16\x03\x01\x02\x00")
				}
				silent = append(silent, c)
				until(t, "it is counted", func() bool { _, n, _ := l.crowd.Counts(); return n == i+1 })
			}
			newcomer := dialFrom(t, 4, addr)
			if secure {
				newcomer = tls.Client(newcomer, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test's certificate
			}
			if status := get(t, newcomer); status != 204 {
				t.Fatalf("a newcomer is answered with %d", status)
			}
			_, err := silent[1].Read(make([]byte, 1))
			if timeout, ok := err.(net.Error); err == nil || ok && timeout.Timeout() {
				t.Errorf("the oldest of the network with the most is not closed: %v", err)
			}
			until(t, "it is counted out", func() bool { all, n, _ := l.crowd.Counts(); return all == 5 && n == 4 })
			for reason, n := range l.Refusals() {
				if want := reason == "http-handshake-displaced"; (n == 1) != want || n > 1 {
					t.Errorf("%d counted as %s", n, reason)
				}
			}
			if !secure && get(t, silent[0]) != 204 {
				t.Error("another was closed as well")
			}
		})
	}
}
