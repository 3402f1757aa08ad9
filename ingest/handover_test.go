package ingest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
)

// numbers is a sink that keeps the numbers of frames, see frame, and how its publications began.
type numbers struct {
	mu     sync.Mutex
	frames map[remux.StreamName][]uint32
	firsts map[remux.StreamName][]remux.Kind
}

func newNumbers() *numbers {
	return &numbers{frames: map[remux.StreamName][]uint32{}, firsts: map[remux.StreamName][]remux.Kind{}}
}

// NewSink implements remux.SinkFactory.
func (n *numbers) NewSink(name remux.StreamName) remux.Sink { return &numberSink{n, name} }

type numberSink struct {
	*numbers
	name remux.StreamName
}

func (s *numberSink) Begin(remux.Tracks) {}
func (s *numberSink) End()               {}
func (s *numberSink) Close()             {}

func (s *numberSink) Write(pkt *remux.Packet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.firsts[s.name]) < 4 {
		s.firsts[s.name] = append(s.firsts[s.name], pkt.Kind)
	}
	if pkt.Kind == remux.VideoFrame || pkt.Kind == remux.AudioFrame {
		b := pkt.Payload
		s.frames[s.name] = append(s.frames[s.name], binary.BigEndian.Uint32(b[len(b)-4:]))
	}
}

func (n *numbers) of(name remux.StreamName) []uint32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.frames[name])
}

// await waits until a frame of a number or a later one has come.
func (n *numbers) await(t *testing.T, name remux.StreamName, number uint32) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if got := n.of(name); len(got) > 0 && got[len(got)-1] >= number {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: frame %d has not come", name, number)
		}
	}
}

// avcHeader is a decoder configuration of H.264, of 320x180.
var avcHeader = []byte{
	0x17, 0, 0, 0, 0, 1, 0x4d, 0x40, 0x0c, 0xff, 0xe1, 0, 23,
	0x67, 0x4d, 0x40, 0x0c, 0xda, 0x05, 0x06, 0x7e, 0x7c, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0c, 0x83, 0xc5, 0x0a, 0xa8,
	1, 0, 4, 0x68, 0xef, 0x3c, 0x80,
}

// picture is a frame of video with a number, of size bytes; sound is one of audio.
func picture(number uint32, key bool, size int) []byte {
	head := []byte{0x27, 1, 0, 0, 0}
	nalu := byte(0x41)
	if key {
		head[0], nalu = 0x17, 0x65
	}
	b := binary.BigEndian.AppendUint32(head, uint32(size))
	b = append(append(b, nalu, 0x9a), make([]byte, size-6)...)
	return binary.BigEndian.AppendUint32(b, number)
}

func sound(number uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{0xaf, 1, 0x21}, number)
}

// counted is a server on loopback that counts frames.
func counted(t *testing.T, change func(*Config)) (*origin, *numbers) {
	t.Helper()
	n := newNumbers()
	return start(t, func(c *Config, h *remux.Config) {
		h.Sinks = []remux.SinkFactory{n}
		if change != nil {
			change(c)
		}
	}), n
}

// encoder publishes until its context ends, and never connects again.
type encoder struct {
	name string
	// gop is how many pictures there are from a keyframe to the next: 0 is none but the first, and below that there is
	// sound alone.
	gop  int
	size int // of pictures, in bytes
	sent uint32
}

func (e *encoder) run(t *testing.T, o *origin, stop <-chan struct{}) {
	c, err := rtmp.Dial(t.Context(), o.url[:len(o.url)-len("test")]+e.name, rtmp.ClientConfig{})
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close() //nolint:errcheck // which unpublishes
	write := func(kind uint8, b []byte) {
		if err := c.WriteMedia(kind, e.sent*20, b); err != nil {
			t.Errorf("%s: write frame %d: %v", e.name, e.sent, err)
		}
	}
	if err := c.Publish(t.Context()); err != nil {
		t.Error(err)
		return
	}
	if e.gop >= 0 {
		write(rtmp.TypeVideo, avcHeader)
	}
	write(rtmp.TypeAudio, aacHeader)
	for tick := time.NewTicker(5 * time.Millisecond); !t.Failed(); e.sent++ {
		if e.gop < 0 || e.sent%2 == 1 {
			write(rtmp.TypeAudio, sound(e.sent))
		} else {
			write(rtmp.TypeVideo, picture(e.sent, e.sent == 0 || e.gop > 0 && e.sent/2%uint32(e.gop) == 0, e.size))
		}
		select {
		case <-stop:
			e.sent++
			return
		case <-tick.C:
		}
	}
}

// TestPublishersGoOnInAnotherServer has encoders of all kinds publish to three servers, one after the other, on one
// connection each.
func TestPublishersGoOnInAnotherServer(t *testing.T) {
	first, here := counted(t, nil)
	encoders := []*encoder{
		{name: "pictures", gop: 10, size: 500}, {name: "phase", gop: 37, size: 500}, {name: "sound", gop: -1},
		{name: "large", gop: 5, size: 1_000_000}, {name: "endless", gop: 0, size: 500},
	}
	stop := make(chan struct{})
	var sending sync.WaitGroup
	for _, e := range encoders {
		sending.Go(func() { e.run(t, first, stop) })
		here.await(t, remux.StreamName("live/"+e.name), 20)
	}
	servers := []*numbers{here}
	at := first
	for range 2 {
		next, there := counted(t, nil)
		frozen := at.server.Freeze(2 * time.Second)
		if len(frozen) != len(encoders) {
			t.Fatalf("%d publishers were frozen, want %d", len(frozen), len(encoders))
		}
		for range encoders {
			at.wantEnd(remux.EndUpgrade)
		}
		next.server.Adopt(frozen)()
		for _, e := range encoders {
			if e.gop == 0 {
				continue
			}
			name := remux.StreamName("live/" + e.name)
			last := servers[len(servers)-1].of(name)
			there.await(t, name, last[len(last)-1]+30)
		}
		servers, at = append(servers, there), next
	}
	close(stop)
	sending.Wait()
	for range encoders {
		at.wantEnd(remux.EndUnpublished)
	}
	for _, e := range encoders {
		name := remux.StreamName("live/" + e.name)
		var got []uint32
		for _, n := range servers {
			got = append(got, n.of(name)...)
		}
		slices.Sort(got) // the last sound of one server may be older than its last picture
		if e.gop == 0 {
			if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
				t.Errorf("%s: frames came twice", e.name)
			}
			continue
		}
		for i, number := range got {
			if number != uint32(i) {
				t.Fatalf("%s: frame %d is %d", e.name, i, number)
			}
		}
		if len(got) != int(e.sent) {
			t.Errorf("%s: %d frames have come, %d were sent", e.name, len(got), e.sent)
		}
		if first := servers[1].firsts[name]; e.gop > 0 && !slices.Equal(first, []remux.Kind{remux.Metadata, remux.VideoConfig, remux.AudioConfig, remux.VideoFrame}) {
			t.Errorf("%s: it goes on with %v", e.name, first)
		}
	}
}

// handedTo freezes the only publisher of a server and gives it to another.
func (o *origin) handedTo(t *testing.T, next *origin, change func(*Frozen)) (start func()) {
	t.Helper()
	frozen := o.server.Freeze(0) // it sends nothing, and stops where it is
	if len(frozen) != 1 {
		t.Fatalf("%d were frozen", len(frozen))
	}
	if change != nil {
		change(&frozen[0])
	}
	if frozen[0].Ended() {
		t.Error("it has ended meanwhile")
	}
	start = next.server.Adopt(frozen)
	frozen[0].Leave()
	return start
}

func TestAPublisherGoesOnWithItsPermission(t *testing.T) {
	d := &door{decision: Decision{Allowed: true, Stream: "live/public", Admission: json.RawMessage(`"admission"`)}}
	first, here := counted(t, func(c *Config) { c.MayPublish = d.decide })
	there := &door{decision: Decision{Allowed: true}}
	var asked []string
	next, _ := counted(t, func(c *Config) {
		c.GoOn = func(a json.RawMessage) Decision {
			asked = append(asked, string(a))
			return there.decide(Request{})
		}
		c.MayPublish = func(Request) Decision { t.Error("it was asked again"); return Decision{} }
	})
	c := first.publish("?token=t")
	send(t, c, 0, 100)
	here.await(t, "live/public", 0)
	began := first.hub.Stream("live/public").Info().Publication.Started
	first.handedTo(t, next, nil)()
	d.wantLeft(t, 1)
	if !slices.Equal(asked, []string{`"admission"`}) {
		t.Errorf("asked %q", asked)
	}
	s := next.hub.Stream("live/public")
	if s == nil || s.Info().Publication == nil || !s.Info().Publication.Started.Equal(began) {
		t.Fatalf("it does not go on as it was: %+v", s)
	}
	there.endAll(EndRevoked)
	next.wantEnd(remux.EndKicked)
	there.wantLeft(t, 1)
}

// spoiled changes the state of what was frozen.
func spoiled(t *testing.T, z *Frozen, change func(*rtmp.State)) {
	t.Helper()
	s := new(rtmp.State)
	if err := s.UnmarshalBinary(z.State); err != nil {
		t.Fatal(err)
	}
	change(s)
	var err error
	if z.State, err = s.MarshalBinary(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatCannotGoOnIsClosed(t *testing.T) {
	rename := func(from, to string) func(*rtmp.State) {
		return func(s *rtmp.State) { s.Owner = bytes.ReplaceAll(s.Owner, []byte(from), []byte(to)) }
	}
	refuse := func(c *Config) { c.GoOn = func(json.RawMessage) Decision { return Decision{Reason: "no"} } }
	for name, test := range map[string]struct {
		config func(*Config)
		change func(*rtmp.State)
	}{
		"a publisher who may not": {refuse, func(*rtmp.State) {}},
		"a session that is none":  {nil, func(s *rtmp.State) { s.Owner = json.RawMessage(`7`) }},
		"a name that is none":     {nil, rename("live/test", "../test")},
		"a stream there twice":    {nil, rename(`"Publications":[`, `"Publications":[{"StreamID":1,"Stream":"live/other"},`)},
		"more streams than may be": {nil, func(s *rtmp.State) {
			for id := range uint32(rtmp.DefaultMaxStreams) {
				s.Streams = append(s.Streams, rtmp.StreamState{ID: id + 2})
			}
		}},
		"a state that is none": {nil, nil},
	} {
		first, here := counted(t, nil)
		next, _ := counted(t, test.config)
		c := first.publish("")
		send(t, c, 0, 100)
		here.await(t, "live/test", 0)
		first.handedTo(t, next, func(z *Frozen) {
			if test.change == nil {
				z.State = z.State[:10]
			} else {
				spoiled(t, z, test.change)
			}
		})()
		if err := untilError(c); err == nil {
			t.Errorf("%s: the connection is open", name)
		}
		for deadline := time.Now().Add(20 * time.Second); next.server.sessionsLeft() > 0 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		}
		if next.server.Refusals()["not-taken-over"] != 1 || next.hub.Totals().Live != 0 || next.server.sessionsLeft() != 0 {
			t.Errorf("%s: it was not counted, or something is left", name)
		}
	}
}
