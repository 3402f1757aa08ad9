package ingest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
)

// strictSink is a sink that checks what it is told: publications that begin and end in turn,
// packets only within them, and time that never goes back on a track.
type strictSink struct {
	mu     sync.Mutex
	live   bool
	begun  int
	ended  int
	frames int
	last   map[remux.Track]int64
	faults []string
}

func (s *strictSink) NewSink(remux.StreamName) remux.Sink {
	s.last = map[remux.Track]int64{}
	return s
}

func (s *strictSink) check(right bool, format string, args ...any) {
	if !right && len(s.faults) < 20 {
		s.faults = append(s.faults, fmt.Sprintf(format, args...))
	}
}

func (s *strictSink) Begin(remux.Tracks) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.check(!s.live, "publication %d begins before the one before has ended", s.begun+1)
	s.live = true
	s.begun++
}

func (s *strictSink) Write(pkt *remux.Packet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.check(s.live, "a packet at %d outside of a publication", pkt.DTS)
	if pkt.Kind != remux.AudioFrame && pkt.Kind != remux.VideoFrame {
		return
	}
	track, _ := pkt.Track()
	last, ok := s.last[track]
	s.check(!ok || pkt.DTS > last, "track %v goes from %d to %d", track, last, pkt.DTS)
	s.last[track] = pkt.DTS
	s.frames++
}

func (s *strictSink) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.check(s.live, "publication %d ends twice", s.begun)
	s.live = false
	s.ended++
}

func (s *strictSink) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.check(!s.live, "closed within a publication")
}

// resources counts what a process must not lose.
func resources(t *testing.T) (goroutines, descriptors int) {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return runtime.NumGoroutine(), len(open)
}

// wantMessages waits until the publication in progress has got so many messages.
func (o *origin) wantMessages(n uint64) {
	o.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		got := o.hub.Stream("live/test").Info().Publication.Counters.Messages
		if got == n {
			return
		}
		if time.Now().After(end) {
			o.t.Fatalf("%d messages have come, want %d", got, n)
		}
	}
}

func TestHundredsOfTakeoversLeaveNothingBehind(t *testing.T) {
	sink := &strictSink{}
	o := start(t, func(_ *Config, hub *remux.Config) {
		hub.MaxTakeovers = -1
		hub.Sinks = []remux.SinkFactory{sink}
	})
	goroutines, descriptors := resources(t)
	const times, frames = 300, 60 // enough to begin
	var clients []*rtmp.Client
	for range times {
		c := o.publish("")
		if len(clients) == 0 { // who is watched is read without a rest
			defer o.hub.Stream("live/test").AddViewer(remux.Viewer{})()
		}
		send(t, c, 0, frames)
		o.wantMessages(1 + frames)
		clients = append(clients, c)
	}
	for range times - 1 {
		o.wantEnd(remux.EndTakenOver)
	}
	if generation := o.hub.Stream("live/test").Info().Generation; generation != times {
		t.Errorf("generation %d", generation)
	}
	for _, c := range clients {
		_ = c.Close() // all but the last are closed already, at their other end
	}
	o.wantEnd(remux.EndUnpublished)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		g, d := resources(t)
		if g <= goroutines && d <= descriptors {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d goroutines and %d descriptors are left, %d and %d were there before", g, d, goroutines, descriptors)
		}
	}
	sink.mu.Lock()
	defer sink.mu.Unlock()
	if len(sink.faults) > 0 || sink.begun != times || sink.ended != times || sink.frames != times*frames {
		t.Errorf("the sink saw %d publications begin, %d end, %d frames; %q", sink.begun, sink.ended, sink.frames, sink.faults)
	}
}

// rawPublisher is a publisher of which the test writes what follows itself.
type rawPublisher struct {
	*rtmp.Client
	nc *net.TCPConn
}

// dialRaw connects and publishes nothing.
func (o *origin) dialRaw() rawPublisher {
	o.t.Helper()
	var p rawPublisher
	c, err := rtmp.Dial(o.t.Context(), o.url, rtmp.ClientConfig{
		ChunkSize: 128,
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := new(net.Dialer).DialContext(ctx, network, addr)
			p.nc, _ = nc.(*net.TCPConn)
			return nc, err
		},
	})
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = p.nc.Close(); _ = c.Close() })
	p.Client = c
	return p
}

func (o *origin) publishRaw() rawPublisher {
	o.t.Helper()
	p := o.dialRaw()
	if err := p.Publish(o.t.Context()); err != nil {
		o.t.Fatal(err)
	}
	return p
}

// command sends a command on a message stream.
func (p rawPublisher) command(t *testing.T, stream uint32, values ...any) {
	t.Helper()
	b := rtmp.AppendMessage(nil, 3, 20, stream, 0, 128, rtmp.AppendAMF0(nil, values...))
	if _, err := p.nc.Write(b); err != nil {
		t.Fatal(err)
	}
}

func TestAPublicationEndsOnceHoweverItEnds(t *testing.T) {
	const silence = 3 * time.Second
	o := start(t, func(c *Config, _ *remux.Config) { c.MediaTimeout = silence })
	for name, c := range map[string]struct {
		end  func(*testing.T, rawPublisher)
		want remux.EndReason
	}{
		"FCUnpublish":  {func(t *testing.T, p rawPublisher) { p.command(t, 0, "FCUnpublish", 6.0, nil, "test") }, remux.EndUnpublished},
		"deleteStream": {func(t *testing.T, p rawPublisher) { p.command(t, 0, "deleteStream", 7.0, nil, 1.0) }, remux.EndUnpublished},
		"closeStream":  {func(t *testing.T, p rawPublisher) { p.command(t, 1, "closeStream", 0.0, nil) }, remux.EndUnpublished},
		"all of them, and the end": {func(t *testing.T, p rawPublisher) {
			p.command(t, 0, "FCUnpublish", 6.0, nil, "test")
			p.command(t, 1, "closeStream", 0.0, nil)
			p.command(t, 0, "deleteStream", 7.0, nil, 1.0)
			_ = p.nc.Close()
		}, remux.EndUnpublished},
		"EOF": {func(_ *testing.T, p rawPublisher) { _ = p.nc.Close() }, remux.EndDisconnected},
		"RST": {func(_ *testing.T, p rawPublisher) {
			_ = p.nc.SetLinger(0)
			_ = p.nc.Close()
		}, remux.EndDisconnected},
		"silence":               {func(*testing.T, rawPublisher) {}, remux.EndSilent},
		"ended by the operator": {func(*testing.T, rawPublisher) { o.hub.Stream("live/test").EndPublication(remux.EndKicked) }, remux.EndKicked},
	} {
		t.Run(name, func(t *testing.T) {
			p := o.publishRaw()
			send(t, p.Client, 0, 2)
			c.end(t, p)
			o.wantEnd(c.want)
			_ = p.nc.Close()
			if info := o.hub.Stream("live/test").Info(); info.State != "idle" {
				t.Errorf("the stream is %s", info.State)
			}
		})
	}
	o.server.Drain()
	o.hub.Close()
	o.server.Close(t.Context()) // all sessions are over
	select {
	case reason := <-o.ended:
		t.Errorf("another end: %s", reason)
	default:
	}
}

func TestAConnectionMayPublishAgain(t *testing.T) {
	o := start(t, nil)
	p := o.publishRaw()
	for generation := uint64(1); generation <= 5; generation++ {
		id := uint32(generation)
		if id > 1 {
			p.command(t, 0, "createStream", float64(id), nil)
			p.command(t, id, "publish", 0.0, nil, "test", "live")
		}
		audio := rtmp.AppendMessage(nil, 4, rtmp.TypeAudio, id, 0, 128, aacHeader)
		if _, err := p.nc.Write(audio); err != nil {
			t.Fatal(err)
		}
		p.command(t, 0, "FCUnpublish", 0.0, nil, "test")
		p.command(t, 0, "deleteStream", 0.0, nil, float64(id))
		o.wantEnd(remux.EndUnpublished)
		info := o.hub.Stream("live/test").Info()
		if info.Generation != generation || info.Publication.Counters.Messages != 1 {
			t.Errorf("generation %d with %d messages, want %d with 1", info.Generation, info.Publication.Counters.Messages, generation)
		}
	}
}

func TestAStreamMayBeKeptFromASecondPublisher(t *testing.T) {
	o := start(t, func(_ *Config, h *remux.Config) { h.Conflict = remux.Reject })
	first := o.publish("")
	err := o.dial("").Publish(t.Context())
	var refusal *rtmp.Error
	if !errors.As(err, &refusal) || refusal.Reason != rtmp.ReasonRefusedByPeer {
		t.Fatalf("the second publisher got %v", err)
	}
	if n := o.server.Refusals()["busy"]; n != 1 {
		t.Errorf("%d refusals counted", n)
	}
	send(t, first, 0, 1) // which goes on
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	o.wantEnd(remux.EndUnpublished)
	o.publish("")
}

func TestARefusalArrivesThoughMoreIsSentThanIsRead(t *testing.T) {
	o := start(t, func(c *Config, _ *remux.Config) {
		c.MaxBeforeAuth = 8 << 10
		c.MayPublish = func(Request) Decision { return Decision{Reason: "the key is wrong"} }
	})
	p := o.dialRaw()
	// The encoder does not wait for the answer.
	p.command(t, 1, "publish", 0.0, nil, "test", "live")
	media := rtmp.AppendMessage(nil, 6, rtmp.TypeVideo, 1, 0, 128, make([]byte, 300_000))
	if _, err := p.nc.Write(media); err != nil {
		t.Fatal(err)
	}
	if err := p.refused(); err == nil || !strings.Contains(err.Error(), "the key is wrong") {
		t.Errorf("it is told %v", err)
	}
}

func TestFaultsAreCountedByReason(t *testing.T) {
	o := start(t, nil)
	for reason, sent := range map[string]string{
		"chunk-header": "\xe1", // type 3 on a chunk stream that nobody has used
		"chunk-size":   "\x02\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00\x00\x00\x00\x00\x00",
	} {
		p := o.dialRaw()
		if _, err := p.nc.Write([]byte(sent)); err != nil {
			t.Fatal(err)
		}
		if err := p.refused(); err == nil {
			t.Errorf("%s: it goes on", reason)
		}
		if n := o.server.Refusals()[reason]; n != 1 {
			t.Errorf("%s: counted %d times in %v", reason, n, o.server.Refusals())
		}
	}
}

// refused reads until the connection ends, and says how.
func (p rawPublisher) refused() error {
	for {
		if _, err := p.ReadMedia(); err != nil {
			return err
		}
	}
}
