package bytelog

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/remux/histogram"
)

const (
	// maxJumps in jumpWindow are as often as a viewer may fall behind.
	maxJumps   = 5
	jumpWindow = time.Minute
)

// Why a viewer ended that was well until then.
var (
	// ErrTooSlow reports a viewer that fell behind again and again.
	ErrTooSlow = errors.New("the viewer is too slow for the stream")
	// ErrStalled reports a viewer that took nothing for StallTimeout.
	ErrStalled = errors.New("the viewer has taken nothing for some time")
	// ErrStopped reports a viewer that was stopped.
	ErrStopped = errors.New("the viewer was stopped")
)

// Metrics count what happened to viewers.
type Metrics struct {
	Viewers   atomic.Int64
	BytesSent atomic.Uint64
	// Jumps counts viewers that fell behind and continued at a keyframe.
	Jumps atomic.Uint64
	// Behind counts viewers closed for falling behind again and again, Stalled those closed
	// for taking nothing.
	Behind, Stalled atomic.Uint64
	// Delay is for Options.Delay; nil if it is not measured.
	Delay *histogram.Histogram
}

// NewDelay returns a histogram for Metrics.Delay. Its bounds lie around the latency that packets wait
// for others; the last is where a viewer sees it.
func NewDelay() *histogram.Histogram {
	return histogram.New(time.Millisecond, 5*time.Millisecond, 10*time.Millisecond, 25*time.Millisecond, 50*time.Millisecond,
		75*time.Millisecond, 100*time.Millisecond, 150*time.Millisecond, 250*time.Millisecond, 500*time.Millisecond, time.Second)
}

// Output writes to one client, in steps. A Conn does most of what it takes.
type Output interface {
	// Begin takes units of the log, or what Format.Join rendered, to be written. All before
	// has been written. The bytes stay as they are.
	Begin(b []byte, prologue bool)
	// Step writes some of that. If it may wait for the peer it does, for no longer than
	// StallTimeout. It returns how many bytes were taken, and whether nothing is left.
	Step(wait bool) (n int, done bool, err error)
	// Sweepable reports whether Step can do without waiting.
	Sweepable() bool
}

// Viewer sends a log to one client.
//
// A viewer that has something to catch up with, or to wait for, has a goroutine: it chases the
// log's end. One that has caught up is swept, together with others of its log, and has none.
type Viewer struct {
	Log *Log
	// From is where a viewer begins that waited for the stream; nil is the newest keyframe.
	From *Position
	// MaxBacklog is how many bytes the viewer may be behind before it continues at the
	// newest keyframe.
	MaxBacklog int64
	Metrics    *Metrics
	// Sent counts the bytes that this viewer took; nil is nothing.
	Sent   *atomic.Uint64
	Output Output

	// All below is of the goroutine that chases, or else of the sweeper.
	at Position
	// lost: the viewer is so far behind that it has let go of its position.
	lost     bool
	configs  uint64
	jumps    []time.Time
	progress time.Time // when the peer last took something, while it is waited for
	err      error     // of the sweeper
	done     func(error)

	stopOnce sync.Once
	stopping sync.Once
	stopped  chan struct{} // see stop
}

// Start sends the log until it ends (nil), Stop is called, or a write fails, and then calls
// done, once, on a goroutine of its own.
func (v *Viewer) Start(done func(error)) {
	v.done = done
	v.Metrics.Viewers.Add(1)
	go v.begin()
}

// Run does the same in the caller's goroutine, until the context ends.
func (v *Viewer) Run(ctx context.Context) error {
	ended := make(chan error, 1)
	v.Start(func(err error) { ended <- err })
	defer context.AfterFunc(ctx, v.Stop)()
	return <-ended
}

// Stop ends the viewer soon, unless it is in the middle of a write: closing the connection
// ends that. It may be called at any time, and again.
func (v *Viewer) Stop() {
	v.stopping.Do(func() {
		close(v.stop())
		v.Log.callSweepers()
	})
}

// stop returns the channel that is closed when the viewer shall end.
func (v *Viewer) stop() chan struct{} {
	v.stopOnce.Do(func() { v.stopped = make(chan struct{}) })
	return v.stopped
}

func (v *Viewer) isStopped() bool {
	select {
	case <-v.stop():
		return true
	default:
		return false
	}
}

// begin sends what comes first.
func (v *Viewer) begin() {
	var prologue []byte
	if v.From != nil {
		v.at, v.configs = *v.From, 1 // as of a log without any
		v.From = nil
		prologue = v.Log.start(nil)
	} else {
		prologue, v.at, v.configs = v.Log.Join(nil, 0)
	}
	v.Output.Begin(prologue, true)
	v.chase()
}

// chase writes until the viewer has caught up and is swept, or has ended.
func (v *Viewer) chase() {
	swept, err := v.pursue()
	if swept {
		v.Log.sweep(v)
		return
	}
	switch {
	case errors.Is(err, ErrTooSlow):
		v.Metrics.Behind.Add(1)
	case IsStalled(err):
		v.Metrics.Stalled.Add(1)
	}
	v.at = Position{}
	v.Metrics.Viewers.Add(-1)
	v.done(err)
}

func (v *Viewer) pursue() (swept bool, err error) {
	for {
		if err := v.flush(); err != nil {
			return false, err
		}
		if v.isStopped() {
			return false, ErrStopped
		}
		state := v.Log.State()
		if v.lost || state.End-v.at.Offset() > v.MaxBacklog {
			jumped, err := v.jump()
			if err != nil {
				return false, err
			}
			if jumped {
				continue
			}
		}
		if units := v.at.Next(); units != nil {
			v.Output.Begin(units, false)
			v.at.Skip(len(units))
			continue
		}
		if state.Closed {
			return false, nil
		}
		if v.Output.Sweepable() {
			return true, nil
		}
		select {
		case <-state.Changed:
		case <-v.stop():
		}
	}
}

// flush writes what the output has begun.
func (v *Viewer) flush() error {
	if v.err != nil {
		return v.err
	}
	v.progress = time.Now()
	for {
		n, done, err := v.Output.Step(true)
		v.count(n)
		if done || err != nil {
			return err
		}
		now := time.Now()
		if n > 0 {
			v.progress = now
		} else if now.Sub(v.progress) >= StallTimeout {
			return ErrStalled
		}
		if v.isStopped() {
			return ErrStopped
		}
		v.letGo()
	}
}

// count counts bytes that the output took.
func (v *Viewer) count(n int) {
	v.Metrics.BytesSent.Add(uint64(n))
	if v.Sent != nil {
		v.Sent.Add(uint64(n))
	}
}

// letGo releases the memory between the viewer and where it will continue, once that is
// certain: however slowly a peer reads, it holds back no more than MaxBacklog.
func (v *Viewer) letGo() {
	if v.lost {
		return
	}
	if end, join := v.Log.ends(); end-v.at.Offset() > v.MaxBacklog && join > v.at.Offset() {
		v.at, v.lost = Position{}, true
	}
}

// jump moves a viewer that is too far behind to the newest keyframe, unless it has fallen
// behind too often. It reports whether there was anywhere to go.
func (v *Viewer) jump() (bool, error) {
	prologue, to, configs := v.Log.Join(nil, v.configs)
	if !v.lost && to.Offset() <= v.at.Offset() {
		return false, nil // the GOP itself is larger than the limit
	}
	now := time.Now()
	for len(v.jumps) > 0 && now.Sub(v.jumps[0]) > jumpWindow {
		v.jumps = v.jumps[1:]
	}
	if len(v.jumps) >= maxJumps {
		return false, ErrTooSlow
	}
	v.jumps = append(v.jumps, now)
	v.Metrics.Jumps.Add(1)
	v.at, v.lost, v.configs = to, false, configs
	v.Output.Begin(prologue, true)
	return true, nil
}

// IsStalled reports whether a viewer ended because its peer took nothing: as this package has seen, or
// the system, to which it is a connection that has timed out.
func IsStalled(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, ErrStalled) || errors.As(err, &timeout) && timeout.Timeout()
}
