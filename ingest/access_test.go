package ingest

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwater-live/headwater/crowd"
	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
)

// door lets in, remembers how to send away, and counts who has left.
type door struct {
	mu       sync.Mutex
	ends     []func(EndCause)
	left     int
	decision Decision
	refusal  *Decision
}

func (d *door) decide(r Request) Decision {
	decision := d.decision
	decision.Credential = r.Query
	decision.Enter = func(end func(EndCause)) (func(), *Decision) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.refusal != nil {
			return nil, d.refusal
		}
		d.ends = append(d.ends, end)
		return func() { d.mu.Lock(); d.left++; d.mu.Unlock() }, nil
	}
	return decision
}

func (d *door) endAll(cause EndCause) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, end := range d.ends {
		end(cause)
		end(cause) // it may be said twice
	}
}

func (d *door) wantLeft(t *testing.T, want int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		d.mu.Lock()
		left := d.left
		d.mu.Unlock()
		if left == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d have left, want %d", left, want)
		}
	}
}

func TestAPublisherAppearsUnderItsPublicName(t *testing.T) {
	d := &door{decision: Decision{Allowed: true, Stream: "live/public"}}
	o := start(t, func(c *Config, _ *remux.Config) { c.MayPublish = d.decide })
	send(t, o.publish("?token=abc"), 0, 10)
	if o.hub.Stream("live/public") == nil || o.hub.Stream("live/test") != nil {
		t.Errorf("streams %v", o.hub.Streams())
	}
}

func TestAPublicationEndsWithItsPermission(t *testing.T) {
	for cause, want := range map[EndCause]remux.EndReason{EndExpired: remux.EndExpired, EndRevoked: remux.EndKicked} {
		d := &door{decision: Decision{Allowed: true}}
		o := start(t, func(c *Config, _ *remux.Config) { c.MayPublish = d.decide })
		c := o.publish("?token=abc")
		send(t, c, 0, 10)
		d.endAll(cause)
		o.wantEnd(want)
		d.wantLeft(t, 1)
		if n := o.server.Refusals()["permission-"+string(cause)]; n != 1 {
			t.Errorf("%s: %d counted", cause, n)
		}
	}
}

func TestAPublisherThatSendsTooMuchIsSentAway(t *testing.T) {
	d := &door{decision: Decision{Allowed: true, MaxBitrate: 8_000}}
	o := start(t, func(c *Config, _ *remux.Config) { c.MayPublish = d.decide })
	c := o.publish("")
	_ = c.WriteMedia(rtmp.TypeAudio, 0, aacHeader)
	for i := range uint32(1000) { // 300 KB at once, where ten seconds may have 10 KB
		if c.WriteMedia(rtmp.TypeAudio, i*23, aacFrame) != nil {
			break // it is gone already
		}
	}
	o.wantEnd(remux.EndTooMuch)
}

func TestABitrateIsMeasuredOverItsSpan(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	l := newBitrateLimit(1_000_000)
	const second = 1_000_000 // bits
	for i := range 100 {
		burst := 0.0
		if i%4 == 0 { // a keyframe, and all that is allowed
			burst = 4 * second
		}
		if l.overflows(burst, now) {
			t.Fatalf("second %d: what is allowed is too much", i)
		}
		now = now.Add(time.Second)
	}
	seconds := 0
	for ; !l.overflows(2*second, now); seconds++ {
		if now = now.Add(time.Second); seconds > 100 {
			t.Fatal("twice the bitrate is never too much")
		}
	}
	if seconds < 5 || seconds > 12 {
		t.Errorf("twice the bitrate was too much after %d s", seconds)
	}
}

func TestAPlayerEndsWithItsPermission(t *testing.T) {
	d := &door{decision: Decision{Allowed: true}}
	o := start(t, func(c *Config, _ *remux.Config) { c.MayPlay = d.decide })
	publisher := o.publish("")
	send(t, publisher, 0, 100)
	player := o.dial("")
	if err := player.Play(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := player.ReadMedia(); err != nil {
		t.Fatal(err)
	}
	d.endAll(EndExpired)
	for {
		if _, err := player.ReadMedia(); err != nil {
			break
		}
	}
	d.wantLeft(t, 1)
	if o.hub.Stream("live/test").Info().State != "live" {
		t.Error("the publisher has gone, too")
	}
}

func TestAPlayerIsRefusedInWords(t *testing.T) {
	for name, d := range map[string]*door{
		"not allowed": {decision: Decision{Code: "no-token", Reason: "add a token"}},
		"full":        {decision: Decision{Allowed: true}, refusal: &Decision{Code: "too-many-viewers", Reason: "add a token to a full house"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := start(t, func(c *Config, _ *remux.Config) { c.MayPlay = d.decide })
			err := o.dial("?token=SECRET").Play(t.Context())
			if err == nil || !strings.Contains(err.Error(), "add a token") || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("error %v", err)
			}
			code := d.decision.Code
			if d.refusal != nil {
				code = d.refusal.Code
			}
			if n := o.server.Refusals()[code]; n != 1 {
				t.Errorf("%d counted as %s", n, code)
			}
		})
	}
}

func TestHandshakesInFlightAreBounded(t *testing.T) {
	for reason, limits := range map[string]crowd.Limits{
		"too-many-handshakes":              {Handshakes: 2, HandshakesPerNetwork: 3},
		"too-many-handshakes-from-address": {Handshakes: 4}, // of which an address gets half
	} {
		t.Run(reason, func(t *testing.T) { testHandshakesInFlight(t, reason, limits) })
	}
}

func testHandshakesInFlight(t *testing.T, reason string, limits crowd.Limits) {
	o := start(t, func(c *Config, _ *remux.Config) { c.Crowd = limits })
	addr := strings.Split(strings.TrimPrefix(o.url, "rtmp://"), "/")[0]
	var silent []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:errcheck // nothing was written
		silent = append(silent, c)
	}
	third, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close() //nolint:errcheck // nothing was written
	_ = third.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := third.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("a third one is let in: %v", err)
	}
	if n := o.server.Refusals()[reason]; n != 1 {
		t.Errorf("%d counted", n)
	}
	if reason == "too-many-handshakes-from-address" {
		other := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		c, err := rtmp.Dial(t.Context(), o.url, rtmp.ClientConfig{Dial: other.DialContext})
		if err != nil {
			t.Fatalf("another address is kept out: %v", err)
		}
		_ = c.Close()
	}
	_ = silent[0].Close()
	deadline := time.Now().Add(20 * time.Second)
	for { // its end has to be noticed first
		c, err := rtmp.Dial(t.Context(), o.url, rtmp.ClientConfig{})
		if err == nil {
			defer c.Close() //nolint:errcheck // the server's end
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("there is no room again: %v", err)
		}
	}
	for range 3 { // those whose handshake has ended are not counted
		send(t, o.publish("?x=1"), 0, 1)
	}
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

func TestLittleIsTakenBeforeAuthorisation(t *testing.T) {
	const limit = 16 << 10
	asked := make(chan struct{}, 1)
	o := start(t, func(c *Config, _ *remux.Config) {
		c.MaxBeforeAuth = limit
		c.MayPublish = func(Request) Decision {
			asked <- struct{}{}
			return Decision{Allowed: true}
		}
	})
	// Who talks on without asking is broken off.
	addr := strings.Split(strings.TrimPrefix(o.url, "rtmp://"), "/")[0]
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // the server's end
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	hello := append([]byte{3}, make([]byte, 2*1536)...)
	_, _ = c.Write(hello)
	go func() {
		// Messages of a kind that nobody asked for, 100 bytes each.
		message := append([]byte{3, 0, 0, 0, 0, 0, 100, 18, 0, 0, 0, 0}, bytes.Repeat([]byte{0}, 100)...)
		for {
			if _, err := c.Write(message); err != nil {
				return
			}
		}
	}()
	n, _ := io.Copy(io.Discard, c)
	if n > 1<<20 {
		t.Errorf("the server sent %d bytes", n)
	}
	for deadline := time.Now().Add(20 * time.Second); o.server.Refusals()["too-much-before-authorisation"] != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not counted: %v", o.server.Refusals())
		}
	}
	// Who asks may send as much as it likes afterwards.
	send(t, o.publish(""), 0, 200)
	<-asked
	if got := o.hub.Stream("live/test"); got == nil {
		t.Error("nothing was published")
	}
}
