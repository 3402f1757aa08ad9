package ingest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// origin is a server on loopback with a hub.
type origin struct {
	t      *testing.T
	hub    *remux.Hub
	server *Server
	url    string
	ended  chan remux.EndReason
}

func start(t *testing.T, change func(*Config, *remux.Config)) *origin {
	t.Helper()
	o := &origin{t: t, ended: make(chan remux.EndReason, 1000)}
	hubConfig := remux.Config{Grace: time.Hour, Events: remux.Events{
		Ended: func(_ remux.StreamName, _ *remux.Publication, reason remux.EndReason, _ remux.Counters) {
			o.ended <- reason
		},
	}}
	config := Config{
		MayPublish: func(r Request) Decision { return Decision{Allowed: true, Credential: r.Query} },
		Wait:       10 * time.Second,
	}
	if change != nil {
		change(&config, &hubConfig)
	}
	o.hub = remux.NewHub(hubConfig)
	config.Hub = o.hub
	o.server = NewServer(config)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.url = "rtmp://" + l.Addr().String() + "/live/test"
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := o.server.Serve(l); !errors.Is(err, net.ErrClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(func() {
		o.server.Drain()
		o.hub.Close()
		now, cancel := context.WithCancel(context.Background())
		cancel()
		o.server.Close(now)
		serving.Wait()
	})
	return o
}

func (o *origin) dial(query string) *rtmp.Client {
	o.t.Helper()
	c, err := rtmp.Dial(o.t.Context(), o.url+query, rtmp.ClientConfig{})
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (o *origin) publish(query string) *rtmp.Client {
	o.t.Helper()
	c := o.dial(query)
	if err := c.Publish(o.t.Context()); err != nil {
		o.t.Fatal(err)
	}
	return c
}

func (o *origin) wantEnd(want remux.EndReason) {
	o.t.Helper()
	select {
	case got := <-o.ended:
		if got != want {
			o.t.Errorf("the publication ended as %q, want %q", got, want)
		}
	case <-time.After(20 * time.Second):
		o.t.Fatalf("the publication did not end, want %q", want)
	}
}

var (
	aacHeader = []byte{0xaf, 0, 0x12, 0x10}
	aacFrame  = append([]byte{0xaf, 1}, bytes.Repeat([]byte{0x21}, 300)...)
)

// send publishes audio frames from a time on.
func send(t *testing.T, c *rtmp.Client, from uint32, frames int) {
	t.Helper()
	if err := c.WriteMedia(rtmp.TypeAudio, 0, aacHeader); err != nil {
		t.Fatal(err)
	}
	for i := range frames {
		if err := c.WriteMedia(rtmp.TypeAudio, from+uint32(i)*23, aacFrame); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAPlayerGetsWhatIsPublished(t *testing.T) {
	o := start(t, nil)
	player := o.dial("")
	if err := player.Play(t.Context()); err != nil { // before the publisher: it waits
		t.Fatal(err)
	}
	publisher := o.publish("")
	const first, frames = 0x00fffff0, 300 // across the extended timestamp
	send(t, publisher, first, frames)
	next := uint32(0)
	for got := 0; next != first+frames*23; {
		m, err := player.ReadMedia()
		if err != nil {
			t.Fatal(err)
		}
		if m.Type != rtmp.TypeAudio || bytes.Equal(m.Payload, aacHeader) {
			continue
		}
		if got++; got == 1 {
			next = m.Timestamp // it may have begun to wait too late for the first
		}
		if m.Timestamp != next || !bytes.Equal(m.Payload, aacFrame) {
			t.Fatalf("a frame at %d with %d bytes, want %d", m.Timestamp, len(m.Payload), next)
		}
		next += 23
	}
	o.hub.Close()
	if _, err := player.ReadMedia(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end of the stream: %v, want EOF", err)
	}
}

func TestFramesOfEverySizeArriveWhole(t *testing.T) {
	o := start(t, nil)
	publisher := o.publish("")
	if err := publisher.WriteMedia(rtmp.TypeAudio, 0, aacHeader); err != nil {
		t.Fatal(err)
	}
	player := o.dial("")
	if err := player.Play(t.Context()); err != nil {
		t.Fatal(err)
	}
	sizes := []int{3, 65535, 65536, 65537, 131072, 200_000, 65536, 65536, 4, 1_000_000}
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := range 60 {
			payload := append([]byte{0xaf, 1}, bytes.Repeat([]byte{byte(i)}, sizes[i%len(sizes)])...)
			if err := publisher.WriteMedia(rtmp.TypeAudio, uint32(i)*100, payload); err != nil {
				t.Error(err)
			}
		}
	})
	defer writing.Wait()
	for {
		m, err := player.ReadMedia()
		if err != nil {
			t.Fatal(err)
		}
		if m.Type != rtmp.TypeAudio || bytes.Equal(m.Payload, aacHeader) {
			continue
		}
		i := int(m.Timestamp / 100)
		if want := append([]byte{0xaf, 1}, bytes.Repeat([]byte{byte(i)}, sizes[i%len(sizes)])...); !bytes.Equal(m.Payload, want) {
			t.Fatalf("frame %d has %d bytes, want %d", i, len(m.Payload), len(want))
		}
		if i == 59 {
			return
		}
	}
}

func TestARefusalSaysWhy(t *testing.T) {
	o := start(t, func(c *Config, _ *remux.Config) {
		c.MayPublish = func(Request) Decision { return Decision{Reason: "set auth.publish to open this server"} }
	})
	c := o.dial("?token=secret")
	err := c.Publish(t.Context())
	if err == nil || !strings.Contains(err.Error(), rtmp.CodePublishDenied) || !strings.Contains(err.Error(), "set auth.publish") || strings.Contains(err.Error(), "secret") {
		t.Errorf("refused with %v", err)
	}
	if n := o.server.Refusals()["not-allowed"]; n != 1 {
		t.Errorf("%d refusals counted", n)
	}
}

func TestABadNameIsRefused(t *testing.T) {
	o := start(t, nil)
	o.url = strings.TrimSuffix(o.url, "test") + ".hidden"
	if err := o.dial("").Publish(t.Context()); err == nil || !strings.Contains(err.Error(), "BadName") {
		t.Errorf("refused with %v", err)
	}
}

func TestABadApplicationIsRefusedAtOnce(t *testing.T) {
	o := start(t, nil)
	at, _, _ := strings.Cut(strings.TrimPrefix(o.url, "rtmp://"), "/")
	for _, path := range []string{"a/b/c", ".hidden/test", "caf%C3%A9/test"} {
		_, err := rtmp.Dial(t.Context(), "rtmp://"+at+"/"+path+"/x", rtmp.ClientConfig{})
		if err == nil || !strings.Contains(err.Error(), rtmp.CodeInvalidApp) || !strings.Contains(err.Error(), "In OBS: Server") {
			t.Errorf("%s: refused with %v", path, err)
		}
	}
	if n := o.server.Refusals()["bad-app"]; n != 3 {
		t.Errorf("%d refusals counted", n)
	}
}

// TestStrangersWhoAreRefusedKeepNothing has more of them refused than are dealt with at once.
func TestStrangersWhoAreRefusedKeepNothing(t *testing.T) {
	o := start(t, func(c *Config, _ *remux.Config) { c.MaxBeforeAuth = 64 << 10 })
	at, _, _ := strings.Cut(strings.TrimPrefix(o.url, "rtmp://"), "/")
	for range 2*runtime.GOMAXPROCS(0) + 2 {
		if _, err := rtmp.Dial(t.Context(), "rtmp://"+at+"/a/b/c/x", rtmp.ClientConfig{}); err == nil {
			t.Fatal("a bad application was accepted")
		}
	}
	send(t, o.publish(""), 0, 1)
}

func TestAReconnectingPublisherTakesItsStreamOver(t *testing.T) {
	o := start(t, nil)
	first := o.publish("?key=a")
	send(t, first, 0, 1)
	second := o.publish("?key=a")
	o.wantEnd(remux.EndTakenOver)
	if err := untilError(first); err == nil || !strings.Contains(err.Error(), "taken this stream over") {
		t.Errorf("the one before is told %v", err)
	}
	send(t, second, 0, 1)
	if err := o.dial("?key=b").Publish(t.Context()); err == nil {
		t.Error("another credential took the stream over")
	}
	if generation := o.hub.Stream("live/test").Info().Generation; generation != 2 {
		t.Errorf("generation %d", generation)
	}
}

// untilError publishes until it fails, for as long as an end may take to be noticed.
func untilError(c *rtmp.Client) error {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if err := c.WriteMedia(rtmp.TypeAudio, 0, aacFrame); err != nil {
			return err
		}
	}
	return nil
}

func TestAServerThatStopsEndsPlayersCleanly(t *testing.T) {
	o := start(t, nil)
	publisher := o.publish("")
	send(t, publisher, 0, 100)
	player := o.dial("")
	if err := player.Play(t.Context()); err != nil {
		t.Fatal(err)
	}
	for playing := false; !playing; {
		m, err := player.ReadMedia()
		if err != nil {
			t.Fatal(err)
		}
		playing = m.Type == rtmp.TypeAudio
	}
	o.server.Drain()
	o.wantEnd(remux.EndShutdown)
	o.hub.Close()
	var err error
	for err == nil {
		_, err = player.ReadMedia()
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("the player ended with %v, want EOF", err)
	}
	o.server.Close(t.Context())
}

func TestAServerThatStopsEndsWaitingPlayers(t *testing.T) {
	o := start(t, func(c *Config, _ *remux.Config) { c.Wait = time.Hour })
	player := o.dial("")
	if err := player.Play(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.server.Drain()
	o.hub.Close()
	var err error
	for err == nil {
		_, err = player.ReadMedia()
	}
	o.server.Close(t.Context())
}

func TestConnectionsAreLimited(t *testing.T) {
	for reason, limit := range map[string]func(*Config){
		"too-many-connections":              func(c *Config) { c.Crowd.Connections = 2 },
		"too-many-connections-from-address": func(c *Config) { c.Crowd.PerNetwork = 2 },
	} {
		t.Run(reason, func(t *testing.T) {
			o := start(t, func(c *Config, _ *remux.Config) { limit(c) })
			o.publish("")
			second := o.dial("")
			if _, err := rtmp.Dial(t.Context(), o.url, rtmp.ClientConfig{}); err == nil {
				t.Error("a third connection was let in")
			}
			if n := o.server.Refusals()[reason]; n != 1 {
				t.Errorf("%d refusals counted: %v", n, o.server.Refusals())
			}
			if err := second.Close(); err != nil {
				t.Fatal(err)
			}
			for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
				third, err := rtmp.Dial(t.Context(), o.url, rtmp.ClientConfig{})
				if err == nil {
					_ = third.Close()
					return
				}
				if time.Now().After(end) {
					t.Fatalf("who left still counts: %v", err)
				}
			}
		})
	}
}
