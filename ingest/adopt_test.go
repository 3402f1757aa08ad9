package ingest

import (
	"encoding/json"
	"net"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
)

// reset returns the end of a TCP connection as another process gets it after the other end was reset: nobody knows any
// more who that was.
func reset(t *testing.T) net.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the connection stays
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close() //nolint:errcheck // its duplicate stays
	if err := client.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Read(make([]byte, 1)); err == nil { // now it has come
		t.Fatal("a connection that was reset can be read")
	}
	file, err := server.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // its duplicate stays
	conn, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestAPublisherThatIsResetMeanwhileHoldsUpNobody has one of two publishers go while both are on their way. What it had
// sent is published still.
func TestAPublisherThatIsResetMeanwhileHoldsUpNobody(t *testing.T) {
	first, here := counted(t, nil)
	gone, stays := first.publish(""), first.dialTo(t, "stays")
	send(t, gone, 0, 100)
	send(t, stays, 0, 100)
	here.await(t, "live/test", 0)
	here.await(t, "live/stays", 0)
	frozen := first.server.Freeze(0)
	if len(frozen) != 2 {
		t.Fatalf("%d were frozen", len(frozen))
	}
	for i := range frozen {
		spoiled(t, &frozen[i], func(s *rtmp.State) {
			if s.Streams[0].Name == "stays" {
				return
			}
			_ = frozen[i].Conn.Close()
			frozen[i].Conn = reset(t)
			for at := range uint32(5) {
				s.Unread = rtmp.AppendMessage(s.Unread, rtmp.ChunkStreamAudio, rtmp.TypeAudio, s.Streams[0].ID, 10_000+at*20, s.InChunkSize, sound(7000+at))
			}
		})
	}
	next, there := counted(t, nil)
	next.server.Adopt(frozen)()
	next.wantEnd(remux.EndDisconnected)
	if got := there.of("live/test"); len(got) == 0 || got[len(got)-1] != 7004 {
		t.Errorf("of the one that went there are %v", got)
	}
	send(t, stays, 10_000, 100)
	there.await(t, "live/stays", 0)
}

// dialTo publishes under another name.
func (o *origin) dialTo(t *testing.T, name string) *rtmp.Client {
	t.Helper()
	other := *o
	other.url = o.url[:len(o.url)-len("test")] + name
	return other.publish("")
}

// TestWhoIsSentAwayWhileFrozenIsKnown ends publishers in all ways there are after they were frozen.
func TestWhoIsSentAwayWhileFrozenIsKnown(t *testing.T) {
	for name, end := range map[string]func(*door, *origin) bool{
		"nobody":          nil,
		"the permission":  func(d *door, _ *origin) bool { d.endAll(EndRevoked); return true },
		"the stream":      func(_ *door, o *origin) bool { return o.hub.Stream("live/test").EndPublication(remux.EndKicked) },
		"the publication": func(_ *door, o *origin) bool { return o.hub.Stream("live/test").EndGeneration(1, remux.EndKicked) },
	} {
		d := &door{decision: Decision{Allowed: true}}
		o, here := counted(t, func(c *Config) { c.MayPublish = d.decide })
		c := o.publish("")
		send(t, c, 0, 100)
		here.await(t, "live/test", 0)
		frozen := o.server.Freeze(0)
		if len(frozen) != 1 || frozen[0].Ended() {
			t.Fatalf("%s: %d were frozen, or it has ended", name, len(frozen))
		}
		d.wantLeft(t, 0)
		if end != nil && !end(d, o) {
			t.Errorf("%s: nobody was found to be ended", name)
		}
		if frozen[0].Ended() != (end != nil) {
			t.Errorf("%s: ended: %t", name, frozen[0].Ended())
		}
		frozen[0].Leave()
		frozen[0].Leave()
		d.wantLeft(t, 1)
		_ = frozen[0].Conn.Close()
	}
}

// TestAPublisherThatWasStoppedMaySendWhatHasComeSince hands over somebody who has sent what it may in a minute, and half of what
// it may at once beside, with all times for which it may have been stopped.
func TestAPublisherThatWasStoppedMaySendWhatHasComeSince(t *testing.T) {
	const rate = 80_000 // 10,000 bytes a second
	for stopped, cut := range map[time.Duration]bool{time.Minute: false, 20 * time.Second: true, -time.Minute: true, 1 << 62: true} {
		d := &door{decision: Decision{Allowed: true, MaxBitrate: rate}}
		first, here := counted(t, func(c *Config) { c.MayPublish = d.decide })
		next, there := counted(t, func(c *Config) { c.GoOn = func(json.RawMessage) Decision { return d.decide(Request{}) } })
		c := first.publish("")
		send(t, c, 0, 100)
		here.await(t, "live/test", 0)
		frozen := first.server.Freeze(0)
		if len(frozen) != 1 {
			t.Fatalf("%d were frozen", len(frozen))
		}
		spoiled(t, &frozen[0], func(s *rtmp.State) {
			var handed handedSession
			if err := json.Unmarshal(s.Owner, &handed); err != nil {
				t.Fatal(err)
			}
			handed.Publications[0].Stopped = time.Now().Add(-stopped)
			s.Owner, _ = json.Marshal(handed)
			n := 10_000 * 65 // of a minute, and half of what may come at once
			if stopped == 1<<62 {
				handed.Publications[0].Stopped, n = time.Time{}.Add(time.Hour), 10_000*200
				s.Owner, _ = json.Marshal(handed)
			}
			for range n / 1000 {
				s.Unread = rtmp.AppendMessage(s.Unread, rtmp.ChunkStreamAudio, rtmp.TypeAudio, s.Streams[0].ID, 10_000, s.InChunkSize, append(make([]byte, 996), sound(1)[3:]...))
			}
			s.Unread = rtmp.AppendMessage(s.Unread, rtmp.ChunkStreamAudio, rtmp.TypeAudio, s.Streams[0].ID, 12_000, s.InChunkSize, sound(7000))
		})
		next.server.Adopt(frozen)()
		frozen[0].Leave()
		if cut {
			next.wantEnd(remux.EndTooMuch)
		} else {
			there.await(t, "live/test", 7000)
			if next.server.Refusals()["permission-bitrate"] != 0 {
				t.Error("it was cut off")
			}
		}
	}
}

func TestACreditIsUsedOnce(t *testing.T) {
	now := time.Now()
	b := newBitrateLimit(1000)
	b.credit(time.Minute)
	if b.overflows(1000, now) || b.owed() != 59*time.Second {
		t.Errorf("%v are left", b.owed())
	}
	if b.overflows(1000, now.Add(time.Hour)) || b.owed() != 58*time.Second {
		t.Errorf("%v are left, an hour later", b.owed())
	}
	if b.overflows(68_000, now.Add(time.Hour)) || b.owed() != 0 || !b.overflows(1, now.Add(time.Hour)) {
		t.Error("it holds another amount")
	}
	b = bucket{}
	if b.credit(time.Minute); b.owed() != 0 || b.overflows(1, now) {
		t.Error("one without a limit")
	}
}
