package ingest

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
)

// heard is all that a raw publisher is sent, until its connection ends.
type heard struct {
	mu    sync.Mutex
	all   []byte
	ended bool
}

func (h *heard) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, b...)
	return len(b), nil
}

// hear reads what is sent from now on.
func (p rawPublisher) hear() *heard {
	h := &heard{}
	_ = p.nc.SetReadDeadline(time.Time{}) // it has that of the client, which reads no more
	go func() {
		_, _ = io.Copy(h, p.nc)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.ended = true
	}()
	return h
}

// told reports whether an onStatus with a code has come on a message stream, and whether the connection has ended.
func (h *heard) told(stream uint32, code string) (told, ended bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	begin := append(binary.LittleEndian.AppendUint32(nil, stream), "\x02\x00\x08onStatus"...)
	for rest := h.all; ; {
		_, after, found := bytes.Cut(rest, begin)
		if !found {
			return false, h.ended
		}
		if bytes.Contains(after[:min(len(after), 150)], []byte(code)) {
			return true, h.ended
		}
		rest = after
	}
}

func (h *heard) want(t *testing.T, stream uint32, code string) {
	t.Helper()
	waitFor(t, code, func() bool { told, ended := h.told(stream, code); return told || ended })
	if told, ended := h.told(stream, code); !told || ended {
		t.Fatalf("%s was told: %v; the connection has ended: %v", code, told, ended)
	}
}

// publishHeard publishes some frames on message stream 1. Unlike a Client, it reads on whatever it is told.
func (o *origin) publishHeard(name string) (rawPublisher, *heard) {
	o.t.Helper()
	p := o.dialRaw()
	h := p.hear()
	p.command(o.t, 0, "createStream", 1.0, nil)
	p.command(o.t, 1, "publish", 2.0, nil, name)
	h.want(o.t, 1, rtmp.CodePublishStart)
	p.audio(o.t, 1, 0, aacHeader)
	for i := range uint32(50) {
		p.audio(o.t, 1, i*23, aacFrame)
	}
	return p, h
}

// audio sends a message of a publication.
func (p rawPublisher) audio(t *testing.T, stream, timestamp uint32, body []byte) {
	t.Helper()
	if _, err := p.nc.Write(rtmp.AppendMessage(nil, 4, rtmp.TypeAudio, stream, timestamp, 128, body)); err != nil {
		t.Fatal(err)
	}
}

// TestARefusedPlaybackEndsNothingElse asks, on a connection that has something in progress, to play what cannot be played.
func TestARefusedPlaybackEndsNothingElse(t *testing.T) {
	for _, has := range []string{"publishes", "plays"} {
		for name, c := range map[string]struct{ stream, code, counted string }{
			"is not there":     {"missing", rtmp.CodePlayStreamNotFound, "play-not-found"},
			"cannot be called": {".hidden", rtmp.CodePlayStreamNotFound, "bad-name"},
			"is forbidden":     {"secret", rtmp.CodePlayFailed, "not-allowed"},
		} {
			t.Run("who "+has+" asks for what "+name, func(t *testing.T) { testRefusedPlayback(t, has, c.stream, c.code, c.counted) })
		}
	}
}

func testRefusedPlayback(t *testing.T, has, stream, code, counted string) {
	played := make(chan Playback, 1)
	o := start(t, func(c *Config, _ *remux.Config) {
		c.Wait, c.Played = 0, func(b Playback) {
			if b.Code != "" {
				played <- b
			}
		}
		c.MayPlay = func(r Request) Decision {
			return Decision{Allowed: r.Stream != "live/secret", Code: "not-allowed", Reason: "it is secret"}
		}
	})
	publisher, h := o.publishHeard("test")
	o.wantMessages(51)
	p := publisher
	if has == "plays" {
		p = o.dialRaw()
		if err := p.Play(t.Context()); err != nil {
			t.Fatal(err)
		}
		h = p.hear()
	}
	p.command(t, 0, "createStream", 7.0, nil)
	p.command(t, 2, "play", 0.0, nil, stream)
	h.want(t, 2, code)
	if n := o.server.Refusals()[counted]; n != 1 {
		t.Errorf("counted are %v", o.server.Refusals())
	}
	select {
	case b := <-played:
		if b.Code != counted || b.Stream != remux.StreamName("live/"+stream) || b.Asked.IsZero() {
			t.Errorf("the account is %+v", b)
		}
	case <-time.After(30 * time.Second):
		t.Error("it is not accounted for")
	}
	marked := append(slices.Clone(aacFrame), "marked"...)
	publisher.audio(t, 1, 51*23, marked)
	o.wantMessages(52)
	if has == "plays" {
		waitFor(t, "the player is sent more", func() bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			return bytes.Contains(h.all, marked)
		})
	}
	// The message stream is free for another playback.
	p.command(t, 2, "play", 0.0, nil, "test")
	h.want(t, 2, rtmp.CodePlayStart)
	waitFor(t, "it is played", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		_, after, _ := bytes.Cut(h.all, append(binary.LittleEndian.AppendUint32(nil, 2), "\x02\x00\x08onStatus"...))
		return bytes.Contains(after, aacFrame)
	})
}

// TestARefusedPublicationEndsNothingElse asks, on a connection that has something in progress, to publish what it may not,
// and sends media without waiting for the answer.
func TestARefusedPublicationEndsNothingElse(t *testing.T) {
	for _, has := range []string{"publishes", "plays"} {
		for name, c := range map[string]struct{ stream, code, counted string }{
			"cannot be called": {".hidden", rtmp.CodePublishBadName, BadName},
			"is forbidden":     {"secret", rtmp.CodePublishDenied, "not-allowed"},
			"is published":     {"busy", rtmp.CodePublishBadName, "busy"},
		} {
			t.Run("who "+has+" asks for what "+name, func(t *testing.T) { testRefusedPublication(t, has, c.stream, c.code, c.counted) })
		}
	}
}

func testRefusedPublication(t *testing.T, has, stream, code, counted string) {
	o := start(t, func(c *Config, _ *remux.Config) {
		c.MayPublish = func(r Request) Decision {
			return Decision{Allowed: r.Stream != "live/secret", Code: "not-allowed", Reason: "it is secret", Credential: r.Query}
		}
	})
	busy, err := o.hub.Publish("live/busy", remux.Publisher{Credential: "another"})
	if err != nil {
		t.Fatal(err)
	}
	defer busy.End(remux.EndUnpublished)
	publisher, h := o.publishHeard("test")
	o.wantMessages(51)
	p := publisher
	if has == "plays" {
		p = o.dialRaw()
		if err := p.Play(t.Context()); err != nil {
			t.Fatal(err)
		}
		h = p.hear()
	}
	p.command(t, 0, "createStream", 7.0, nil)
	p.command(t, 2, "publish", 0.0, nil, stream)
	p.audio(t, 2, 51*23, append(slices.Clone(aacFrame), "foreign"...))
	h.want(t, 2, code)
	if n := o.server.Refusals()[counted]; n != 1 {
		t.Errorf("counted are %v", o.server.Refusals())
	}
	publisher.audio(t, 1, 51*23, aacFrame)
	// The message stream is free for another publication.
	p.command(t, 2, "publish", 0.0, nil, "other")
	h.want(t, 2, rtmp.CodePublishStart)
	publisher.audio(t, 1, 52*23, aacFrame)
	p.audio(t, 2, 0, aacHeader)
	waitFor(t, "it is published", func() bool {
		s := o.hub.Stream("live/other")
		return s != nil && s.Info().Publication != nil && s.Info().Publication.Counters.Messages == 1
	})
	o.wantMessages(53) // and none of the refused one's
}

// TestThePlaybackThatWaitsLastEndsTheConnection has two wait for streams that do not come.
func TestThePlaybackThatWaitsLastEndsTheConnection(t *testing.T) {
	o := start(t, func(c *Config, _ *remux.Config) { c.Wait = 50 * time.Millisecond })
	p := o.dialRaw()
	for id := 1.0; id <= 2; id++ {
		p.command(t, 0, "createStream", id, nil)
		p.command(t, uint32(id), "play", 0.0, nil, "missing")
	}
	h := p.hear()
	waitFor(t, "the end", func() bool { _, ended := h.told(0, ""); return ended })
	for id := uint32(1); id <= 2; id++ {
		if told, _ := h.told(id, rtmp.CodePlayStreamNotFound); !told {
			t.Errorf("nothing is said of playback %d", id)
		}
	}
	if n := o.server.Refusals()["play-not-found"]; n != 2 {
		t.Errorf("counted are %v", o.server.Refusals())
	}
}

// TestWhatIsPlayedNoMoreDoesNotKeepTheServer closes it while connections are there that have played, and one that has
// tried to.
func TestWhatIsPlayedNoMoreDoesNotKeepTheServer(t *testing.T) {
	o := start(t, func(c *Config, h *remux.Config) { c.Wait, c.IdleTimeout, h.Grace = 0, time.Hour, time.Millisecond })
	publisher, told := o.publishHeard("test")
	o.wantMessages(51)
	player := o.dialRaw()
	if err := player.Play(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := player.hear()
	publisher.command(t, 2, "play", 0.0, nil, "missing")
	told.want(t, 2, rtmp.CodePlayStreamNotFound)
	publisher.command(t, 0, "deleteStream", 0.0, nil, 1.0)
	h.want(t, 1, rtmp.CodePlayUnpublishNotify) // its stream is over, and its connection goes on
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		o.server.Drain()
		o.hub.Close()
		o.server.Close(context.Background())
	}()
	select {
	case <-closed:
	case <-time.After(30 * time.Second):
		t.Fatal("the server waits for those who play nothing")
	}
}

// TestEveryPlaybackThatIsRefusedIsAccountedFor has a viewer ask until it is sent away.
func TestEveryPlaybackThatIsRefusedIsAccountedFor(t *testing.T) {
	codes := make(chan string, 100*requestBurst)
	o := start(t, func(c *Config, _ *remux.Config) { c.Wait, c.Played = 0, func(b Playback) { codes <- b.Code } })
	p, h := o.publishHeard("test") // so that a refusal does not end the connection
	ask := string(rtmp.AppendMessage(nil, 3, 20, 2, 0, 128, rtmp.AppendAMF0(nil, "play", 0.0, nil, ".hidden")))
	_, _ = io.Copy(p.nc, strings.NewReader(strings.Repeat(ask, 50*requestBurst))) // until it is sent away
	waitFor(t, "the end", func() bool { _, ended := h.told(0, ""); return ended })
	waitFor(t, "it is counted", func() bool { return o.server.Refusals()[ReasonTooManyRequests] == 1 })
	got := map[string]uint64{}
	for len(codes) > 0 {
		got[<-codes]++
	}
	want := o.server.Refusals()
	if got[BadName] != want[BadName] || got[ReasonTooManyRequests] != 1 || len(got) != 2 {
		t.Errorf("accounted for are %v, counted %v", got, want)
	}
}

// TestAPlaybackThatIsStoppedWhileTheServerStopsLeavesTheOtherItsEnd has a connection play twice.
func TestAPlaybackThatIsStoppedWhileTheServerStopsLeavesTheOtherItsEnd(t *testing.T) {
	o := start(t, nil)
	send(t, o.publish(""), 0, 50)
	p := o.dialRaw()
	h := p.hear()
	for id := uint32(1); id <= 2; id++ {
		p.command(t, 0, "createStream", float64(id), nil)
		p.command(t, id, "play", 0.0, nil, "test")
		h.want(t, id, rtmp.CodePlayStart)
	}
	viewers := func(n int) func() bool {
		return func() bool { return o.hub.Stream("live/test").Viewers() == n }
	}
	waitFor(t, "both play", viewers(2))
	o.server.Drain()
	p.command(t, 0, "deleteStream", 0.0, nil, 1.0)
	waitFor(t, "one plays no more", func() bool {
		o.server.mu.Lock()
		defer o.server.mu.Unlock()
		for _, c := range o.server.conns {
			if c.playing.Load() > 1 {
				return false
			}
		}
		return true
	})
	// Of what was asked later the answer comes later, too.
	p.command(t, 2, "pause", 0.0, nil, true, 0.0)
	h.want(t, 2, rtmp.CodePause)
	o.hub.Close()
	waitFor(t, "the end", func() bool { _, ended := h.told(0, ""); return ended })
	if told, _ := h.told(2, rtmp.CodePlayUnpublishNotify); !told {
		t.Error("the other is not told that its stream has ended")
	}
	o.server.Close(t.Context())
}

// TestWhoStaysWithAServerThatEndsPlaysNothingElse asks on a connection that plays, as those do that stay over an upgrade:
// what decides there is not kept up to date.
func TestWhoStaysWithAServerThatEndsPlaysNothingElse(t *testing.T) {
	asked := make(chan remux.StreamName, 4)
	o := start(t, func(c *Config, _ *remux.Config) {
		c.MayPlay = func(r Request) Decision { asked <- r.Stream; return Decision{Allowed: true} }
	})
	o.publishHeard("test")
	o.wantMessages(51)
	p := o.dialRaw()
	if err := p.Play(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := p.hear()
	<-asked
	waitFor(t, "it plays", func() bool { return o.hub.Stream("live/test").Viewers() == 1 })
	o.server.Drain()
	p.command(t, 0, "createStream", 7.0, nil)
	p.command(t, 2, "play", 0.0, nil, "test")
	h.want(t, 2, rtmp.CodePlayFailed)
	if n := o.server.Refusals()["stopping"]; n != 1 || len(asked) > 0 {
		t.Errorf("counted are %v, and %d were decided on", o.server.Refusals(), len(asked))
	}
}

// TestWhoAsksAllTheTimeIsSentAway has a publisher begin and end publications as fast as it can.
func TestWhoAsksAllTheTimeIsSentAway(t *testing.T) {
	var asked int
	o := start(t, func(c *Config, _ *remux.Config) {
		c.MayPublish = func(Request) Decision { asked++; return Decision{Allowed: true} }
	})
	p, h := o.publishHeard("test")
	again := rtmp.AppendMessage(nil, 3, 20, 1, 0, 128, rtmp.AppendAMF0(nil, "closeStream", 0.0, nil))
	again = rtmp.AppendMessage(again, 3, 20, 1, 0, 128, rtmp.AppendAMF0(nil, "publish", 0.0, nil, "test"))
	_ = p.nc.SetWriteDeadline(time.Now().Add(30 * time.Second))
	_, err := io.Copy(p.nc, strings.NewReader(strings.Repeat(string(again), 20_000)))
	if err != nil && isTimeout(err) {
		t.Fatal("it is not sent away")
	}
	waitFor(t, "the end", func() bool { _, ended := h.told(0, ""); return ended })
	waitFor(t, "it is counted", func() bool { return o.server.Refusals()[ReasonTooManyRequests] == 1 })
	o.server.Drain()
	o.hub.Close()
	o.server.Close(t.Context())
	if asked < requestBurst || asked > 10*requestBurst { // a busy machine takes seconds for it
		t.Errorf("it asked %d times", asked)
	}
}
