package bytelog

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/headwater-live/headwater/remux"
)

// slow is an output that can be swept, and takes a second for what is not the prologue.
type slow struct{ prologue bool }

func (o *slow) Begin(_ []byte, prologue bool) { o.prologue = prologue }

func (o *slow) Step(bool) (int, bool, error) {
	if !o.prologue {
		time.Sleep(time.Second)
	}
	o.prologue = true // nothing is left
	return 1, true, nil
}

func (o *slow) Sweepable() bool { return true }

func TestTheDelayIsThatOfThePacketThatWaitedLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		delay := NewDelay()
		l := live(Options{Delay: delay})
		ended := make(chan error, 1)
		v := &Viewer{Log: l, MaxBacklog: 1 << 20, Metrics: new(Metrics), Output: &slow{}}
		v.Start(func(err error) { ended <- err })
		synctest.Wait()
		if viewers, _ := l.sweptNow(); viewers != 1 {
			t.Fatalf("%d viewers are swept", viewers)
		}
		l.Write(frame(0, true, 1)) // its round takes all that has come, until 2 s
		time.Sleep(200 * time.Millisecond)
		l.Write(frame(40, false, 1)) // waits until then
		time.Sleep(300 * time.Millisecond)
		l.Write(frame(80, false, 1))
		l.End()
		l.Begin(remux.Tracks{Video: true})
		time.Sleep(2 * time.Second)
		l.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if got := delay.Snapshot(); got.Count != 2 || got.Sum < 3.799 || got.Sum > 3.801 {
			t.Errorf("%d delays, %.3f s in all; want 2 s and 1.8 s", got.Count, got.Sum)
		}
	})
}

// trickle is an output whose peer takes a byte every nine seconds.
type trickle struct{ left, steps int }

func (o *trickle) Begin(b []byte, _ bool) { o.left = len(b) }

func (o *trickle) Step(bool) (n int, done bool, err error) {
	if o.left == 0 {
		return 0, true, nil
	}
	time.Sleep(time.Second)
	if o.steps++; o.steps%9 == 0 {
		n = 1
	}
	o.left -= n
	return n, o.left == 0, nil
}

func (o *trickle) Sweepable() bool { return false }

func TestAViewerThatTricklesEndsOnceItIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := live(Options{})
		defer l.Close()
		l.Write(frame(0, true, 100_000))
		v := &Viewer{Log: l, MaxBacklog: 1 << 20, Metrics: new(Metrics), Output: &trickle{}}
		ended := make(chan error, 1)
		v.Start(func(err error) { ended <- err })
		time.Sleep(10 * time.Minute)
		if len(ended) != 0 {
			t.Fatalf("it ended with %v while nothing was to be held for it", <-ended)
		}
		for dts := int64(40); dts < 120; dts += 40 {
			l.Write(frame(dts, true, 1<<20))
		}
		began := time.Now()
		if err := <-ended; err != ErrTooSlow {
			t.Errorf("it ended with %v", err)
		}
		if held := time.Since(began); held < StallTimeout || held > StallTimeout+2*time.Second {
			t.Errorf("it held its bytes for %v", held)
		}
		if n := v.Metrics.Behind.Load(); n != 1 {
			t.Errorf("%d were counted", n)
		}
	})
}
