package ingest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
)

const (
	// handshakeSize is C0, C1 and C2.
	handshakeSize = 1 + 2*1536
	// seedSize is how much of a capture's begin is a seed: the commands, the configurations
	// and the first pictures.
	seedSize = 12 << 10
	// sessionLimit is far more than a session on a connection that never waits can take.
	sessionLimit = 20 * time.Second
	// fuzzMaxMessage keeps what an authorised peer may hold small enough to be told from a leak.
	fuzzMaxMessage = 256 << 10
	// heapLimit is what a session may hold at its end: unfinished messages of twice
	// fuzzMaxMessage, and slabs and caches that its input, at most maxInput, has filled.
	heapLimit = 16 << 20
	maxInput  = 1 << 20
)

// FuzzSession feeds all that a peer sends on one connection, and then the end of it, to a
// session. Without the handshake that is put before it where the first argument says so,
// mutations would be wasted on 3073 bytes that mean nothing.
func FuzzSession(f *testing.F) {
	for _, seed := range captureSeeds(f) {
		f.Add(false, seed)
		f.Add(true, seed[handshakeSize:])
	}
	for _, commands := range commandSeeds() {
		f.Add(true, commands)
	}
	f.Fuzz(func(t *testing.T, handshake bool, data []byte) {
		if len(data) > maxInput {
			return
		}
		if handshake {
			data = append(append(make([]byte, 0, handshakeSize+len(data)), greeting...), data...)
		}
		runSession(t, data, func(server *Server, nc net.Conn) { server.serve(nc, server.admit(nc)) })
	})
}

// FuzzAdopt goes on with a session in any state, on which anything comes, and then the end.
func FuzzAdopt(f *testing.F) {
	for _, messages := range [][]rtmp.MessageState{nil, {
		{Type: rtmp.TypeVideo, StreamID: 1, Payload: avcHeader}, {Type: rtmp.TypeAudio, StreamID: 1, Payload: aacHeader},
		{Type: rtmp.TypeVideo, StreamID: 1, Payload: picture(1, true, 50)},
	}} {
		state := rtmp.State{
			InChunkSize: 128, OutChunkSize: 65536, Window: 2_500_000, BytesIn: 4000,
			Streams:      []rtmp.StreamState{{ID: 1, Name: "test", Publishing: true}},
			ChunkStreams: []rtmp.ChunkStreamState{{ID: 4, Length: 7, Type: rtmp.TypeAudio, StreamID: 1, Open: true, Got: 2, Partial: []byte{0xaf, 1}}},
			Midway:       4, MidwayLeft: 5, Messages: messages, Unread: []byte{0x21, 0, 0, 0},
			Owner: json.RawMessage(`{"Remote":"192.0.2.7:4000","Protocol":"rtmps","Publications":[{"StreamID":1,"Stream":"live/test","Encoder":"test"}]}`),
		}
		b, err := state.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, []byte{9, 0xc4, 0, 0})
	}
	f.Fuzz(func(t *testing.T, state, data []byte) {
		if len(state)+len(data) > maxInput {
			return
		}
		runSession(t, data, func(server *Server, nc net.Conn) { server.Adopt([]Frozen{{Conn: nc, State: state}})() })
	})
}

// greeting is a simple handshake.
var greeting = append([]byte{3}, make([]byte, handshakeSize-1)...)

// captureSeeds returns the begins of what real encoders sent.
func captureSeeds(f *testing.F) [][]byte {
	paths, err := filepath.Glob("../testdata/captures/*.c2s")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no captures: %v", err)
	}
	var seeds [][]byte
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, data[:seedSize])
	}
	return seeds
}

// commandSeeds are sessions that no capture has: players, and publishers that come back.
func commandSeeds() [][]byte {
	command := func(dst []byte, stream uint32, values ...any) []byte {
		return rtmp.AppendMessage(dst, 3, 20, stream, 0, 128, rtmp.AppendAMF0(nil, values...))
	}
	connect := command(nil, 0, "connect", 1.0, rtmp.Object{{Name: "app", Value: "live"}, {Name: "tcUrl", Value: "rtmp://h/live"}})
	connect = command(connect, 0, "createStream", 2.0, nil)
	audio := func(dst []byte, timestamp uint32, body []byte) []byte {
		return rtmp.AppendMessage(dst, 4, 8, 1, timestamp, 128, body)
	}

	play := command(bytes.Clone(connect), 1, "play", 3.0, nil, "test", -2.0)
	play = command(play, 1, "pause", 4.0, nil, true, 0.0)
	play = command(play, 1, "seek", 5.0, nil, 1000.0)
	play = command(play, 1, "receiveVideo", 0.0, nil, false)
	play = command(play, 0, "deleteStream", 0.0, nil, 1.0)

	again := bytes.Clone(connect)
	for range 2 {
		again = command(again, 1, "publish", 3.0, nil, "test?token=x", "live")
		again = audio(again, 0, aacHeader)
		again = audio(again, 23, aacFrame)
		again = audio(again, 0xfffffff0, aacFrame)
		again = command(again, 0, "FCUnpublish", 4.0, nil, "test")
	}

	// A connection that watches itself.
	both := command(bytes.Clone(connect), 0, "createStream", 3.0, nil)
	both = command(both, 2, "play", 4.0, nil, "test")
	both = command(both, 1, "publish", 5.0, nil, "test", "live")
	both = audio(both, 0, aacHeader)
	both = audio(both, 23, aacFrame)

	aggregate := command(bytes.Clone(connect), 1, "publish", 3.0, nil, "test", "live")
	var tags []byte
	for i, body := range [][]byte{aacHeader, aacFrame, aacFrame} {
		tags = append(tags, 8, 0, byte(len(body)>>8), byte(len(body)), 0, 0, byte(i*23), 0, 0, 0, 0)
		tags = binary.BigEndian.AppendUint32(append(tags, body...), uint32(11+len(body)))
	}
	aggregate = rtmp.AppendMessage(aggregate, 4, 22, 1, 1000, 128, tags)
	return [][]byte{play, again, both, aggregate}
}

// runSession runs a session on all that a peer sends, and checks what must hold whatever that is.
func runSession(t *testing.T, data []byte, begin func(*Server, net.Conn)) {
	sinks := &sinkChecks{}
	var began, ended atomic.Int32
	hub := remux.NewHub(remux.Config{Grace: time.Hour, Sinks: []remux.SinkFactory{sinks}, Events: remux.Events{
		Began: func(remux.StreamName, *remux.Publication) { began.Add(1) },
		Ended: func(remux.StreamName, *remux.Publication, remux.EndReason, remux.Counters) { ended.Add(1) },
	}})
	server := NewServer(Config{
		Hub: hub, MaxMessage: fuzzMaxMessage, Wait: time.Hour,
		MayPublish: func(r Request) Decision { return Decision{Allowed: true, Credential: r.Query} },
	})
	server.rest = 0
	nc := &inputConn{left: data, closed: make(chan struct{})}
	if crc32.ChecksumIEEE(data)%64 == 0 { // it costs more than all else
		before := heapInUse() // the engine's own mutations are tens of megabytes
		nc.atEnd = func() {
			if held := heapInUse(); held > before+heapLimit {
				t.Errorf("a session that waits holds %d bytes", held-before)
			}
		}
	}

	done := make(chan struct{})
	go func() {
		defer close(done)
		server.sessions.Go(func() { begin(server, nc) })
		server.sessions.Wait()
	}()
	select {
	case <-done:
	case <-time.After(sessionLimit):
		stacks := make([]byte, 1<<20)
		t.Fatalf("the session goes on %v after its peer has ended:\n%s", sessionLimit, stacks[:runtime.Stack(stacks, true)])
	}
	for _, s := range hub.Streams() {
		if info := s.Info(); info.State == "live" {
			t.Errorf("%q is %s after its publisher has gone", s.Name(), info.State)
		}
		if n := s.Viewers(); n != 0 {
			t.Errorf("%q has %d viewers after they have gone", s.Name(), n)
		}
	}
	if waiting := hub.Waiting(); len(waiting) > 0 {
		t.Errorf("somebody still waits for streams: %v", waiting)
	}
	if b, e := began.Load(), ended.Load(); b != e {
		t.Errorf("%d publications began, %d ended", b, e)
	}
	hub.Close()
	sinks.check(t)
}

// heapInUse is how much memory is reachable.
func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
