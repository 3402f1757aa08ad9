package bytelog

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwater-live/headwater/remux"
)

// plain is a format without framing: payloads, and a byte per configuration when joining.
type plain struct{}

func (plain) Size(pkt *remux.Packet) int                          { return len(pkt.Payload) }
func (plain) Append(dst []byte, pkt *remux.Packet, _ bool) []byte { return append(dst, pkt.Payload...) }
func (plain) Join(dst []byte, j Join) []byte {
	for _, pkt := range j.Configs {
		dst = append(dst, pkt.Payload[0])
	}
	return dst
}

func frame(dts int64, keyframe bool, size int) *remux.Packet {
	return &remux.Packet{Kind: remux.VideoFrame, Keyframe: keyframe, DTS: dts, Payload: bytes.Repeat([]byte{byte(dts)}, size)}
}

func config(b byte) *remux.Packet {
	return &remux.Packet{Kind: remux.VideoConfig, Payload: []byte{b}}
}

func live(options Options) *Log {
	l := New(plain{}, options)
	l.Begin(remux.Tracks{Video: true})
	return l
}

// client is a viewer's other end.
type client struct {
	mu       sync.Mutex
	prologue []byte
	units    []byte
	got      chan struct{}
	entered  chan struct{} // told when units are about to be written, if it is set
	block    chan struct{} // which then wait for this
}

func (c *client) viewer(l *Log, maxBacklog int64) *Viewer {
	c.got = make(chan struct{}, 1000)
	return &Viewer{Log: l, MaxBacklog: maxBacklog, Metrics: new(Metrics), Output: &whole{
		prologue: func(b []byte) error { c.add(&c.prologue, b); return nil },
		units: func(b []byte) error {
			if c.block != nil {
				c.entered <- struct{}{}
				<-c.block
			}
			c.add(&c.units, b)
			c.got <- struct{}{}
			return nil
		},
	}}
}

// whole is an output that writes everything in one step, in which it may wait.
type whole struct {
	prologue, units func([]byte) error
	left            []byte
	first           bool
}

func (o *whole) Begin(b []byte, prologue bool) { o.left, o.first = b, prologue }

func (o *whole) Step(bool) (n int, done bool, err error) {
	b := o.left
	o.left = nil
	switch {
	case len(b) == 0:
		return 0, true, nil
	case o.first:
		return 0, true, o.prologue(b)
	}
	return len(b), true, o.units(b)
}

func (o *whole) Sweepable() bool { return false }

func (c *client) add(to *[]byte, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*to = append(*to, b...)
}

func TestViewersWakeOncePerLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(Options{Latency: 50 * time.Millisecond})
		defer l.Close()
		changed := l.State().Changed
		began := time.Now()
		l.Write(frame(0, true, 1))
		time.Sleep(20 * time.Millisecond)
		l.Write(frame(40, false, 1))
		<-changed
		if waited := time.Since(began); waited != 50*time.Millisecond {
			t.Errorf("woken after %v", waited)
		}
		changed = l.State().Changed
		select {
		case <-changed:
			t.Error("woken without anything new")
		case <-time.After(time.Hour):
		}
	})
}

func TestWithoutLatencyViewersWakeAtOnce(t *testing.T) {
	l := live(Options{})
	changed := l.State().Changed
	l.Write(frame(0, true, 1))
	select {
	case <-changed:
	default:
		t.Error("not woken")
	}
}

func TestAViewerGetsEverythingAndEndsWithTheLog(t *testing.T) {
	l := live(Options{})
	l.Write(config(7))
	l.Write(frame(1, true, 3))
	var c client
	done := make(chan error)
	v := c.viewer(l, 1<<20)
	go func() { done <- v.Run(context.Background()) }()
	<-c.got
	l.Write(frame(2, false, 200_000))
	l.Write(frame(3, false, 5))
	l.End()
	l.Begin(remux.Tracks{Video: true})
	l.Write(frame(4, true, 2))
	l.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	want := bytes.Join([][]byte{frame(1, true, 3).Payload, frame(2, false, 200_000).Payload, frame(3, false, 5).Payload, frame(4, true, 2).Payload}, nil)
	if !bytes.Equal(c.units, want) || !bytes.Equal(c.prologue, []byte{7}) {
		t.Errorf("got %d bytes after prologue %v, want %d after [7]", len(c.units), c.prologue, len(want))
	}
	if sent := v.Metrics.BytesSent.Load(); sent != uint64(len(want)) {
		t.Errorf("%d bytes counted", sent)
	}
}

func TestAViewerThatFallsBehindContinuesAtAKeyframe(t *testing.T) {
	l := live(Options{})
	l.Write(config(7))
	l.Write(frame(1, true, 10))
	c := client{block: make(chan struct{}), entered: make(chan struct{}, 100)}
	v := c.viewer(l, 1000)
	done := make(chan error)
	go func() { done <- v.Run(context.Background()) }()
	<-c.entered
	for i := range int64(20) {
		l.Write(frame(10+i, i%5 == 0, 300))
	}
	l.Write(config(8))
	l.Write(frame(40, true, 30))
	l.Write(frame(41, false, 10))
	l.Close()
	close(c.block)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := v.Metrics.Jumps.Load(); n != 1 {
		t.Errorf("%d jumps", n)
	}
	if !bytes.HasSuffix(c.units, append(frame(40, true, 30).Payload, frame(41, false, 10).Payload...)) {
		t.Error("it did not continue at the newest keyframe")
	}
	if !bytes.Equal(c.prologue, []byte{7, 8}) {
		t.Errorf("prologues %v: the changed configuration was not sent", c.prologue)
	}
}

func TestAViewerThatFallsBehindAgainAndAgainIsClosed(t *testing.T) {
	l := live(Options{})
	c := client{}
	v := c.viewer(l, 100)
	dts := int64(0)
	v.Output.(*whole).units = func([]byte) error {
		for range 5 { // meanwhile more comes than it may be behind
			dts++
			l.Write(frame(dts, true, 90))
		}
		return nil
	}
	l.Write(frame(0, true, 10))
	if err := v.Run(context.Background()); !errors.Is(err, ErrTooSlow) {
		t.Errorf("ended with %v", err)
	}
	if v.Metrics.Behind.Load() != 1 || v.Metrics.Jumps.Load() != maxJumps {
		t.Errorf("%d closed, %d jumps", v.Metrics.Behind.Load(), v.Metrics.Jumps.Load())
	}
}

func TestWhoJoinsInTheFirstGOPGetsTheSoundBeforeIt(t *testing.T) {
	l := New(plain{}, Options{})
	l.Begin(remux.Tracks{Video: true, Audio: true})
	l.Write(config(7))
	l.Write(sound(1))
	l.Write(frame(23, true, 1))
	if _, at, _ := l.Join(nil, 0); !bytes.Equal(at.Next(), []byte{1, 23}) {
		t.Errorf("who joins in the first GOP begins with % x", at.Next())
	}
	l.Write(frame(63, true, 1))
	if _, at, _ := l.Join(nil, 0); !bytes.Equal(at.Next(), []byte{63}) {
		t.Errorf("who joins in the second GOP begins with % x", at.Next())
	}
}

func TestAWriteThatFailsEndsTheViewer(t *testing.T) {
	l := live(Options{})
	l.Write(frame(0, true, 10))
	v := (&client{}).viewer(l, 1000)
	broken := errors.New("broken")
	v.Output.(*whole).units = func([]byte) error { return broken }
	if err := v.Run(context.Background()); !errors.Is(err, broken) {
		t.Errorf("ended with %v", err)
	}
}

func newHub(t *testing.T) *remux.Hub {
	hub := remux.NewHub(remux.Config{Grace: time.Hour})
	t.Cleanup(hub.Close)
	return hub
}

func newLogs(made *int) *Logs[int] {
	return &Logs[int]{Make: func(int) *Log { *made++; return New(plain{}, Options{}) }}
}

func TestALogLivesWhileItIsWatched(t *testing.T) {
	hub := newHub(t)
	if _, err := hub.Publish("live/test", remux.Publisher{}); err != nil {
		t.Fatal(err)
	}
	stream := hub.Stream("live/test")
	made := 0
	logs := newLogs(&made)
	first, leaveFirst := logs.Watch(stream, 1)
	second, leaveSecond := logs.Watch(stream, 1)
	if first != second || made != 1 {
		t.Errorf("%d logs made for two viewers", made)
	}
	leaveFirst()
	leaveSecond()
	if len(logs.logs) != 0 {
		t.Error("the log is still there")
	}
	if third, leave := logs.Watch(stream, 1); third == first {
		t.Error("a log that nobody watched went on")
	} else {
		leave()
	}
}

func TestAViewerWaitsForThePublisherForAsLongAsItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := remux.NewHub(remux.Config{Grace: time.Hour})
		defer hub.Close()
		made := 0
		logs := newLogs(&made)
		began := time.Now()
		if f := logs.Find(context.Background(), hub, "live/test", 1, 10*time.Second); f != nil {
			t.Fatal("found what is not there")
		}
		if waited := time.Since(began); waited != 10*time.Second {
			t.Errorf("waited %v", waited)
		}
		found := make(chan *Found)
		go func() { found <- logs.Find(context.Background(), hub, "live/test", 1, time.Minute) }()
		synctest.Wait()
		pub, err := hub.Publish("live/test", remux.Publisher{})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		aac := [][]byte{{0xaf, 0, 0x12, 0x10}, {0xaf, 1, 0x21}, {0xaf, 1, 0x21}}
		for i, ts := range []uint32{0, 0, 1200} {
			if err := pub.Write(remux.Message{Type: 8, Timestamp: ts, Payload: aac[i]}); err != nil {
				t.Fatal(err)
			}
		}
		f := <-found
		if f == nil || f.From == nil {
			t.Fatalf("the waiting viewer got %+v", f)
		}
		defer f.Leave()
		// What came at once, before it woke, must be there for it.
		if units := f.From.Next(); !bytes.HasSuffix(units, bytes.Join(aac, nil)) {
			t.Errorf("it begins with % x", units)
		}
	})
}

func TestWhoJoinsIsSentTheStatesOfThisPublication(t *testing.T) {
	l := live(Options{})
	defer l.Close()
	state := func(slot uint16, b byte) *remux.Packet {
		return &remux.Packet{Kind: remux.VideoState, Slot: slot, Payload: []byte{b}}
	}
	l.Write(config('c'))
	l.Write(state(0, 'h'))
	l.Write(state(1, 'x'))
	l.Write(frame(0, true, 1))
	prologue, _, known := l.Join(nil, 0)
	if string(prologue) != "chx" {
		t.Errorf("who joins is sent %q", prologue)
	}
	l.Write(state(0, 'h'))
	if prologue, _, _ = l.Join(nil, known); len(prologue) != 0 {
		t.Errorf("after a repeat who jumps is sent %q", prologue)
	}
	l.Write(state(0, 'i'))
	if prologue, _, _ = l.Join(nil, known); string(prologue) != "cix" {
		t.Errorf("after a change who jumps is sent %q", prologue)
	}
	l.End()
	l.Begin(remux.Tracks{Video: true})
	l.Write(config('c'))
	l.Write(frame(40, true, 1))
	if prologue, _, _ = l.Join(nil, known); string(prologue) != "c" {
		t.Errorf("in the next publication who joins is sent %q", prologue)
	}
}
