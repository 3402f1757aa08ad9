package bytelog

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Why a viewer ended that was well until then.
var (
	// ErrTooSlow reports a viewer that fell behind again and again, or so slowly takes what was
	// being written when it did that it held that for StallTimeout.
	ErrTooSlow = errors.New("the viewer is too slow for the stream")
	// ErrStalled reports a viewer that took nothing for StallTimeout.
	ErrStalled = errors.New("the viewer has taken nothing for some time")
	// ErrStopped reports a viewer that was stopped.
	ErrStopped = errors.New("the viewer was stopped")
)

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
	Output     Output

	// ended says that the viewer shall end: see stop.
	ended atomic.Bool
	// sent are the bytes that it took.
	sent atomic.Uint64

	// All below is of the goroutine that chases, or else of the sweeper.
	at Position
	// lost: the viewer is so far behind that it has let go of its position, at lostAt.
	lost     bool
	lostAt   time.Time
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
		v.ended.Store(true)
		close(v.stop())
		v.Log.callSweepers()
	})
}

// stop returns the channel that is closed when the viewer shall end.
func (v *Viewer) stop() chan struct{} {
	v.stopOnce.Do(func() { v.stopped = make(chan struct{}) })
	return v.stopped
}

// Sent returns how many bytes the viewer took. It may be called at any time.
func (v *Viewer) Sent() uint64 { return v.sent.Load() }

// isStopped is asked at each write: a channel would cost more.
func (v *Viewer) isStopped() bool { return v.ended.Load() }

// IsStalled reports whether a viewer ended because its peer took nothing: as this package has seen, or
// the system, to which it is a connection that has timed out.
func IsStalled(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, ErrStalled) || errors.As(err, &timeout) && timeout.Timeout()
}
