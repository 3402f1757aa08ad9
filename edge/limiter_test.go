package edge

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/crowd"
)

// startLimited serves HTTP within limits until the test ends.
func startLimited(t *testing.T, limits crowd.Limits, handler http.HandlerFunc) (*Limiter, string) {
	t.Helper()
	return startLimitedFor(t, time.Minute, limits, handler)
}

// startLimitedFor has another time for headers.
func startLimitedFor(t *testing.T, timeout time.Duration, limits crowd.Limits, handler http.HandlerFunc) (*Limiter, string) {
	t.Helper()
	l := NewLimiter("http", limits)
	return l, serveLimited(t, l, timeout, handler)
}

func serveLimited(t *testing.T, l *Limiter, timeout time.Duration, handler http.HandlerFunc) (addr string) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := NewServer(handler, ServerConfig{HeaderTimeout: timeout, MaxHeader: 16 << 10, Limiter: l, Logger: slog.New(slog.DiscardHandler)})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l.Listener(inner)) // until it is closed
	}()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return inner.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	return c
}

// get sends a request and returns the status, 0 if the connection was closed instead.
func get(t *testing.T, c net.Conn) int {
	t.Helper()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return 0
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

func ok(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestConnectionsBeyondALimitAreClosedAndCounted(t *testing.T) {
	for reason, limits := range map[string]crowd.Limits{
		"http-too-many-connections":              {Connections: 2},
		"http-too-many-connections-from-address": {PerNetwork: 2},
	} {
		t.Run(reason, func(t *testing.T) {
			l, addr := startLimited(t, limits, ok)
			first, second := dial(t, addr), dial(t, addr)
			if get(t, first) != 204 || get(t, second) != 204 {
				t.Fatal("those within the limit are not answered")
			}
			if status := get(t, dial(t, addr)); status != 0 {
				t.Errorf("one too many is answered with %d", status)
			}
			if n := l.Refusals()[reason]; n != 1 {
				t.Errorf("%d counted", n)
			}
			_ = first.Close()
			until(t, "there is room again", func() bool { return get(t, dial(t, addr)) == 204 })
			if get(t, second) != 204 {
				t.Error("the other connection has gone")
			}
		})
	}
}

func TestConnectionsThatSayNothingAreBounded(t *testing.T) {
	for reason, limits := range map[string]crowd.Limits{
		"http-too-many-handshakes":              {Handshakes: 2, HandshakesPerNetwork: 3},
		"http-too-many-handshakes-from-address": {Handshakes: 4}, // of which an address gets half
	} {
		t.Run(reason, func(t *testing.T) { testSilentConnections(t, reason, limits) })
	}
}

func testSilentConnections(t *testing.T, reason string, limits crowd.Limits) {
	l, addr := startLimited(t, limits, ok)
	silent := dial(t, addr)
	talking := dial(t, addr)
	for range 2 {
		if get(t, talking) != 204 {
			t.Fatal("not answered")
		}
	}
	another := dial(t, addr)
	until(t, "both silent ones are counted", func() bool { _, silent, _ := l.crowd.Counts(); return silent == 2 })
	if status := get(t, dial(t, addr)); status != 0 || l.Refusals()[reason] != 1 {
		t.Errorf("a third one is answered with %d", status)
	}
	if get(t, another) != 204 {
		t.Error("who speaks late is not answered")
	}
	_ = silent.Close()
	until(t, "there is room again", func() bool { return get(t, dial(t, addr)) == 204 })
}

func TestATakenOverConnectionIsCountedUntilItIsClosed(t *testing.T) {
	release := make(chan struct{})
	l, addr := startLimited(t, crowd.Limits{Connections: 1}, func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		if _, isReader := c.(io.ReaderFrom); !isReader {
			t.Error("the connection cannot do sendfile")
		}
		<-release
		_ = c.Close()
		_ = c.Close()
	})
	first := dial(t, addr)
	if _, err := io.WriteString(first, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	until(t, "it was heard", func() bool { all, silent, _ := l.crowd.Counts(); return silent == 0 && all == 1 })
	if status := get(t, dial(t, addr)); status != 0 {
		t.Errorf("one too many is answered with %d", status)
	}
	close(release)
	until(t, "nobody is left", func() bool { all, _, addresses := l.crowd.Counts(); return all == 0 && addresses == 0 })
}

func TestWhatIsNoRequestIsCounted(t *testing.T) {
	for reason, test := range map[string]struct {
		sent   string
		status int // 0: the connection is closed without an answer
	}{
		"http-header-too-large":  {"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", 431},
		"http-malformed-request": {"GET / HTTP/1.1\r\nHost: x\r\nno field\r\n\r\n", 400},
		"http-header-timeout":    {"GET / HTTP/1.1\r\nHost:", 0},
	} {
		for _, secure := range []bool{false, true} {
			for _, before := range []int{0, 2} { // requests on the same connection
				t.Run(fmt.Sprintf("%s over TLS %v after %d requests", reason, secure, before), func(t *testing.T) {
					t.Parallel()
					testRefusal(t, reason, test.sent, test.status, secure, before)
				})
			}
		}
	}
	t.Run("a host that is none", func(t *testing.T) {
		testRefusal(t, "http-malformed-request", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, true, 0)
	})
}

func testRefusal(t *testing.T, reason, sent string, want int, secure bool, before int) {
	t.Helper()
	timeout := time.Minute
	if want == 0 {
		timeout = 3 * time.Second // what is in order must get through on a busy machine, too
	}
	l, addr := startLimitedFor(t, timeout, crowd.Limits{}, ok)
	secureAddr := startLimitedTLS(t, l, timeout, ok)
	connect := func() net.Conn {
		if !secure {
			return dial(t, addr)
		}
		return dialTLS(t, secureAddr)
	}
	well := connect()
	if get(t, well) != 204 {
		t.Fatal("a request is not answered")
	}
	c := connect()
	for range before {
		if get(t, c) != 204 {
			t.Fatal("a request is not answered")
		}
	}
	_, _ = io.WriteString(c, sent) // the server may have closed it already
	status := 0
	if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil {
		status = resp.StatusCode
		_ = resp.Body.Close()
	}
	if status != want {
		t.Errorf("answered with %d, want %d", status, want)
	}
	_ = c.Close()
	_ = well.Close()
	until(t, "it is counted", func() bool { return l.Refusals()[reason] == 1 })
	until(t, "nobody is left", func() bool { all, _, _ := l.crowd.Counts(); return all == 0 })
	for other, n := range l.Refusals() {
		if other != reason && n != 0 || n > 1 {
			t.Errorf("%d counted as %s", n, other)
		}
	}
}

// TestWhatIsInOrderIsNotCounted: connections that end in every other way.
func TestWhatIsInOrderIsNotCounted(t *testing.T) {
	const timeout = 10 * time.Second
	l, _ := startLimitedFor(t, timeout, crowd.Limits{}, ok)
	addr := startLimitedTLS(t, l, timeout, ok)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true} //nolint:gosec // a test's certificate
	for range 3 {
		resp, err := (&http.Client{Transport: transport}).Get("https://" + addr)
		if err != nil || resp.ProtoMajor != 2 {
			t.Fatalf("HTTP/2: %v, %v", resp, err)
		}
		_ = resp.Body.Close()
	}
	transport.CloseIdleConnections()
	c := dialTLS(t, addr)
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(c); err != nil {
		t.Fatal(err)
	}
	_ = dial(t, addr).Close()
	until(t, "nobody is left", func() bool { all, _, _ := l.crowd.Counts(); return all == 0 })
	for reason, n := range l.Refusals() {
		if n != 0 {
			t.Errorf("%d counted as %s", n, reason)
		}
	}
}

// startLimitedTLS serves HTTPS within the same limits.
func startLimitedTLS(t *testing.T, l *Limiter, timeout time.Duration, handler http.HandlerFunc) (addr string) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	own := httptest.NewUnstartedServer(nil)
	own.StartTLS() // for its certificate
	t.Cleanup(own.Close)
	config := &tls.Config{Certificates: own.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}
	srv := NewServer(handler, ServerConfig{HeaderTimeout: timeout, MaxHeader: 16 << 10, Limiter: l, Logger: slog.New(slog.DiscardHandler)})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(tls.NewListener(l.Listener(inner), config)) // until it is closed
	}()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return inner.Addr().String()
}

// dialTLS connects for HTTP/1.1.
func dialTLS(t *testing.T, addr string) net.Conn {
	t.Helper()
	c := tls.Client(dial(t, addr), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}) //nolint:gosec // a test's certificate
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestAnHTTP2ConnectionIsNoBadRequest: it says something between requests, and is not in the middle of one by that.
func TestAnHTTP2ConnectionIsNoBadRequest(t *testing.T) {
	t.Parallel()
	const timeout = 3 * time.Second // what is in order must get through on a busy machine, too
	l, _ := startLimitedFor(t, timeout, crowd.Limits{}, ok)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, //nolint:gosec // a test's certificate
		HTTP2: &http.HTTP2Config{SendPingTimeout: 100 * time.Millisecond},
	}
	resp, err := (&http.Client{Transport: transport}).Get("https://" + startLimitedTLS(t, l, timeout, ok))
	if err != nil || resp.ProtoMajor != 2 {
		t.Fatalf("HTTP/2: %v, %v", resp, err)
	}
	_ = resp.Body.Close()
	<-time.After(timeout + time.Second) // longer than a header may take
	transport.CloseIdleConnections()
	until(t, "nobody is left", func() bool { all, _, _ := l.crowd.Counts(); return all == 0 })
	for reason, n := range l.Refusals() {
		if n != 0 {
			t.Errorf("%d counted as %s", n, reason)
		}
	}
}

// TestAServerThatIsNotUsedChangesNothing: a reload that is refused has made one.
func TestAServerThatIsNotUsedChangesNothing(t *testing.T) {
	l, addr := startLimited(t, crowd.Limits{}, ok)
	NewServer(http.HandlerFunc(ok), ServerConfig{HeaderTimeout: time.Minute, MaxHeader: 1 << 20, Limiter: l, Logger: slog.New(slog.DiscardHandler)})
	c := dial(t, addr)
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nX-Large: "+strings.Repeat("x", 40<<10)+"\r\n\r\n") // the server may have closed it already
	until(t, "the header is counted as too large", func() bool { return l.Refusals()["http-header-too-large"] == 1 })
	if n := l.Refusals()["http-malformed-request"]; n != 0 {
		t.Errorf("%d counted as malformed", n)
	}
}

// http2Request writes a request of HTTP/2 with so many fields of 9000 bytes as it is on the wire (RFC 9113, RFC 7541): each
// field is a literal that is not indexed.
func http2Request(stream uint32, fields int) []byte {
	block := []byte{0x82, 0x84, 0x86, 0x41, 1, 'x'} // GET / of https://x
	for range fields {
		block = append(block, 0x00, 1, 'x', 0x7f, 0xa9, 0x45) // a length of 127+8873
		block = append(block, bytes.Repeat([]byte{'v'}, 9000)...)
	}
	const headers, continuation, endStream, endHeaders, largest = 1, 9, 1, 4, 16 << 10
	var out []byte
	for kind, flags := byte(headers), byte(endStream); ; kind, flags = continuation, 0 {
		n := min(len(block), largest)
		if n == len(block) {
			flags |= endHeaders
		}
		out = append(out, byte(n>>16), byte(n>>8), byte(n), kind, flags)
		out = append(binary.BigEndian.AppendUint32(out, stream), block[:n]...)
		if block = block[n:]; len(block) == 0 {
			return out
		}
	}
}

func TestWhatHTTP2RefusesIsCounted(t *testing.T) {
	for name, test := range map[string]struct {
		fields []int // of 9000 bytes, by request
		reason string
		n      uint64
	}{
		"nothing":                      {[]int{0, 0, 1}, "", 0},
		"a header that is too large":   {[]int{0, 2, 0, 2}, "http-refused-by-http2", 2},
		"one that ends the connection": {[]int{0, 6}, "http-header-too-large", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, _ := startLimited(t, crowd.Limits{}, ok)
			c := tls.Client(dial(t, startLimitedTLS(t, l, time.Minute, ok)), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) //nolint:gosec // a test's certificate
			settings := []byte{0, 0, 0, 4, 0, 0, 0, 0, 0}
			if _, err := c.Write(append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), settings...)); err != nil {
				t.Fatal(err)
			}
			for i, fields := range test.fields {
				if _, err := c.Write(http2Request(uint32(2*i+1), fields)); err != nil {
					t.Fatal(err)
				}
				awaitHTTP2(t, c, uint32(2*i+1))
			}
			_ = c.Close()
			until(t, "nobody is left", func() bool { all, _, _ := l.crowd.Counts(); return all == 0 })
			for reason, n := range l.Refusals() {
				if want := map[bool]uint64{true: test.n}[reason == test.reason]; n != want {
					t.Errorf("%d counted as %s, want %d", n, reason, want)
				}
			}
		})
	}
}

// awaitHTTP2 reads until a stream has been answered to its end, or the connection has.
func awaitHTTP2(t *testing.T, c net.Conn, stream uint32) {
	t.Helper()
	const goAway, endStream = 7, 1
	for header := make([]byte, 9); ; {
		if _, err := io.ReadFull(c, header); err != nil {
			return
		}
		length := int64(header[0])<<16 | int64(header[1])<<8 | int64(header[2])
		if _, err := io.CopyN(io.Discard, c, length); err != nil || header[3] == goAway {
			return
		}
		if header[3] < 2 && binary.BigEndian.Uint32(header[5:]) == stream && header[4]&endStream != 0 {
			return
		}
	}
}
