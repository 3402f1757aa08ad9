package bytelog

import (
	"bytes"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// patience is for what must come, on a machine with other things to do.
const patience = 30 * time.Second

// connOutput is the plainest output that can be swept.
type connOutput struct{ *Conn }

func (o connOutput) Begin(b []byte, _ bool) { o.Put(b) }

// pair returns both ends of a TCP connection.
func pair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = server.Close(), client.Close() })
	_ = client.SetDeadline(time.Now().Add(patience))
	return server, client
}

// swept is a viewer over TCP.
type swept struct {
	*Viewer
	client net.Conn
	ended  chan error
}

func newSwept(t *testing.T, l *Log) *swept {
	t.Helper()
	server, client := pair(t)
	v := &swept{
		Viewer: &Viewer{Log: l, MaxBacklog: 1 << 30, Metrics: new(Metrics), Output: connOutput{NewConn(server)}},
		client: client, ended: make(chan error, 2),
	}
	v.Start(func(err error) {
		_ = server.Close()
		v.ended <- err
	})
	return v
}

func (v *swept) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-v.ended:
		return err
	case <-time.After(patience):
		t.Fatal("the viewer does not end")
		return nil
	}
}

// waitFor polls, for states that nobody announces.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatal("waited in vain until " + what)
		}
	}
}

func (l *Log) sweptNow() (viewers, sweepers int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sweepers {
		viewers += s.count
	}
	return viewers, len(l.sweepers)
}

func TestViewersThatHaveCaughtUpHaveNoGoroutine(t *testing.T) {
	l := live(Options{})
	l.Write(frame(0, true, 100))
	before := runtime.NumGoroutine()
	const n = maxSwept + 20
	viewers := make([]*swept, n)
	for i := range viewers {
		viewers[i] = newSwept(t, l)
	}
	waitFor(t, "all are swept", func() bool { got, _ := l.sweptNow(); return got == n })
	waitFor(t, "their goroutines are gone", func() bool { return runtime.NumGoroutine() <= before+2 })
	if _, sweepers := l.sweptNow(); sweepers != 2 {
		t.Errorf("%d sweepers", sweepers)
	}
	want := frame(0, true, 100).Payload
	for i := range 10 {
		pkt := frame(int64(i+1), false, 1000)
		l.Write(pkt)
		want = append(want, pkt.Payload...)
	}
	l.Close()
	for i, v := range viewers {
		if err := v.wait(t); err != nil {
			t.Fatalf("viewer %d ended with %v", i, err)
		}
		if got, err := io.ReadAll(v.client); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("viewer %d got %d bytes, %v; want %d", i, len(got), err, len(want))
		}
	}
	l.running.Wait()
	if got, sweepers := l.sweptNow(); got != 0 || sweepers != 0 {
		t.Errorf("%d viewers and %d sweepers are left", got, sweepers)
	}
}

func TestAViewerWhoseSocketIsFullIsSweptAgainWhenItHasCaughtUp(t *testing.T) {
	l := live(Options{})
	l.Write(frame(0, true, 10))
	slow, fast := newSwept(t, l), newSwept(t, l)
	isSwept := func(n int) func() bool {
		return func() bool { got, _ := l.sweptNow(); return got == n }
	}
	waitFor(t, "both are swept", isSwept(2))
	var total int
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = io.Copy(io.Discard, fast.client) })
	for i := range 100 { // more than sockets hold
		pkt := frame(int64(i+1), false, 300_000)
		l.Write(pkt)
		total += len(pkt.Payload)
	}
	waitFor(t, "the one that reads is swept alone", isSwept(1))
	if _, err := io.CopyN(io.Discard, slow.client, int64(10+total)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "both are swept again", isSwept(2))
	l.Write(frame(200, false, 7))
	last := make([]byte, 7)
	if _, err := io.ReadFull(slow.client, last); err != nil || last[0] != 200 {
		t.Errorf("then came % x, %v", last, err)
	}
	l.Close()
	if err := errors.Join(slow.wait(t), fast.wait(t)); err != nil {
		t.Error(err)
	}
	reading.Wait()
}

func TestASweptViewerEndsWhenItIsStoppedAndWhenItsPeerHasGone(t *testing.T) {
	l := live(Options{})
	l.Write(frame(0, true, 10))
	stopped, gone, stays := newSwept(t, l), newSwept(t, l), newSwept(t, l)
	waitFor(t, "all are swept", func() bool { got, _ := l.sweptNow(); return got == 3 })
	stopped.Stop()
	stopped.Stop()
	if err := stopped.wait(t); !errors.Is(err, ErrStopped) {
		t.Errorf("stopped, it ended with %v", err)
	}
	_ = gone.client.Close()
	waitFor(t, "the peer's end is noticed", func() bool {
		l.Write(frame(1, false, 10))
		return len(gone.ended) > 0
	})
	if err := gone.wait(t); err == nil {
		t.Error("the peer has gone and nothing is said")
	}
	waitFor(t, "one is left", func() bool { got, _ := l.sweptNow(); return got == 1 })
	l.Close()
	if err := stays.wait(t); err != nil {
		t.Error(err)
	}
}

func TestAViewerThatArrivesAfterTheLastWakeIsSentWhatCameBefore(t *testing.T) {
	l := live(Options{})
	server, client := pair(t)
	ended := make(chan error, 1)
	v := &Viewer{Log: l, MaxBacklog: 1 << 20, Metrics: new(Metrics), Output: connOutput{NewConn(server)}}
	v.done = func(err error) { ended <- err }
	_, v.at, _ = l.Join(nil, 0)
	// It has seen the end of the log, and before it is swept something comes.
	l.Write(frame(1, true, 10))
	l.sweep(v)
	if _, err := io.ReadFull(client, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// stuck is an output whose peer takes nothing.
type stuck struct{}

func (stuck) Begin([]byte, bool) {}
func (stuck) Step(bool) (int, bool, error) {
	time.Sleep(time.Second)
	return 0, false, nil
}
func (stuck) Sweepable() bool { return false }

func TestAViewerThatTakesNothingEndsAfterTheStallTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(Options{})
		defer l.Close()
		l.Write(frame(0, true, 10))
		v := &Viewer{Log: l, MaxBacklog: 1 << 20, Metrics: new(Metrics), Output: stuck{}}
		began := time.Now()
		if err := v.Run(t.Context()); !errors.Is(err, ErrStalled) {
			t.Errorf("it ended with %v", err)
		}
		if waited := time.Since(began); waited != StallTimeout {
			t.Errorf("after %v", waited)
		}
		if n := v.Metrics.Stalled.Load(); n != 1 {
			t.Errorf("%d were counted", n)
		}
	})
}

func TestAConnThatCannotBeSweptStillWritesEverythingInOrder(t *testing.T) {
	server, client := net.Pipe()
	defer func() { _, _ = server.Close(), client.Close() }()
	c := NewConn(server)
	if c.Sweepable() {
		t.Fatal("a pipe can be swept")
	}
	want := bytes.Repeat([]byte("0123456789"), 10_000)
	c.Put(want[:3], want[3:10], nil, want[10:])
	written := make(chan error, 1)
	go func() { written <- c.Flush(patience) }()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(client, got); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil || !bytes.Equal(got, want) || !c.Idle() {
		t.Errorf("got other bytes, or %v", err)
	}
}

func TestSlabsGrowWithWhatAWriteTakes(t *testing.T) {
	for _, test := range []struct{ size, wakes, want int }{
		{minSlab, 2, 2 * minSlab}, {minSlab, 20, minSlab}, {4 * minSlab, 100, 2 * minSlab}, {maxSlab, 1, maxSlab}, {minSlab, 100, minSlab},
	} {
		if got := nextSize(test.size, test.wakes); got != test.want {
			t.Errorf("after %d wakes in %d bytes: %d, want %d", test.wakes, test.size, got, test.want)
		}
	}
}

func TestBetweenPublicationsWhoJoinsWaitsAndWhoJumpsGetsTheLastGOP(t *testing.T) {
	l := live(Options{})
	l.Write(frame(1, true, 3))
	_, _, known := l.Join(nil, 0)
	l.Write(frame(2, true, 4))
	l.Write(frame(3, false, 5))
	l.End()
	if _, at, _ := l.Join(nil, 0); len(at.Next()) != 0 {
		t.Errorf("who joins begins with %d bytes of what is over", len(at.Next()))
	}
	if _, at, _ := l.Join(nil, known); len(at.Next()) != 9 {
		t.Errorf("who jumps continues with %d bytes, want 9", len(at.Next()))
	}
}

func TestAStopIsNoReasonToWriteBeforeTheLatencyIsOver(t *testing.T) {
	l := live(Options{Latency: time.Hour})
	defer l.Close()
	l.Write(frame(0, true, 10))
	stays, stopped := newSwept(t, l), newSwept(t, l)
	waitFor(t, "both are swept", func() bool { got, _ := l.sweptNow(); return got == 2 })
	l.Write(frame(1, false, 10))
	stopped.Stop()
	if err := stopped.wait(t); !errors.Is(err, ErrStopped) {
		t.Errorf("it ended with %v", err)
	}
	if n := stays.Metrics.BytesSent.Load(); n != 10 {
		t.Errorf("the other viewer was sent %d bytes, want 10", n)
	}
}
