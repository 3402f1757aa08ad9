package bytelog

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"
)

const (
	// StallTimeout is how long a write to a viewer may make no progress.
	StallTimeout = 10 * time.Second
	// maxJumps in jumpWindow are as often as a viewer may fall behind.
	maxJumps   = 5
	jumpWindow = time.Minute
)

// ErrTooSlow reports a viewer that fell behind again and again.
var ErrTooSlow = errors.New("the viewer is too slow for the stream")

// Metrics count what happened to viewers.
type Metrics struct {
	Viewers   atomic.Int64
	BytesSent atomic.Uint64
	// Jumps counts viewers that fell behind and continued at a keyframe.
	Jumps atomic.Uint64
	// SlowClosed counts viewers closed for falling behind again and again, or for taking
	// nothing.
	SlowClosed atomic.Uint64
}

// Viewer sends a log to one client.
type Viewer struct {
	Log *Log
	// From is where a viewer begins that waited for the stream; nil is the newest keyframe.
	From *Position
	// MaxBacklog is how many bytes the viewer may be behind before it continues at the
	// newest keyframe.
	MaxBacklog int64
	Metrics    *Metrics
	// Prologue writes what Format.Join rendered, Units whole units of the log. A write that
	// makes no progress for StallTimeout must fail.
	Prologue, Units func([]byte) error

	configs uint64
	jumps   []time.Time
}

// Run sends the log until it ends (nil), the context ends, or a write fails.
func (v *Viewer) Run(ctx context.Context) error {
	v.Metrics.Viewers.Add(1)
	defer v.Metrics.Viewers.Add(-1)
	err := v.run(ctx)
	if errors.Is(err, ErrTooSlow) || isTimeout(err) {
		v.Metrics.SlowClosed.Add(1)
	}
	return err
}

func (v *Viewer) run(ctx context.Context) error {
	at, err := v.begin()
	if err != nil {
		return err
	}
	for {
		state := v.Log.State()
		if state.End-at.Offset() > v.MaxBacklog {
			if err := v.jump(&at); err != nil {
				return err
			}
		}
		if units := at.Next(); units != nil {
			if err := v.Units(units); err != nil {
				return err
			}
			at.Skip(len(units))
			v.Metrics.BytesSent.Add(uint64(len(units)))
			continue
		}
		if state.Closed {
			return nil
		}
		select {
		case <-state.Changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// begin sends what comes first and returns the position that follows.
func (v *Viewer) begin() (Position, error) {
	if v.From != nil {
		v.configs = 1 // as of a log without any
		return *v.From, v.prologue(v.Log.start(nil))
	}
	prologue, at, configs := v.Log.Join(nil, 0)
	v.configs = configs
	return at, v.prologue(prologue)
}

func (v *Viewer) prologue(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return v.Prologue(b)
}

// jump moves a viewer that is too far behind to the newest keyframe, unless it has fallen
// behind too often.
func (v *Viewer) jump(at *Position) error {
	prologue, to, configs := v.Log.Join(nil, v.configs)
	if to.Offset() <= at.Offset() {
		return nil // the GOP itself is larger than the limit: there is nowhere to go
	}
	now := time.Now()
	for len(v.jumps) > 0 && now.Sub(v.jumps[0]) > jumpWindow {
		v.jumps = v.jumps[1:]
	}
	if len(v.jumps) >= maxJumps {
		return ErrTooSlow
	}
	v.jumps = append(v.jumps, now)
	v.Metrics.Jumps.Add(1)
	*at, v.configs = to, configs
	return v.prologue(prologue)
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// Conn writes to a connection with a deadline that is renewed only now and then: setting it at
// every write would cost more than some writes.
type Conn struct {
	net.Conn
	deadline time.Time
}

// renewDeadline is how old a write deadline may get.
const renewDeadline = 1 * time.Second

// Send writes b whole, or fails after StallTimeout.
func (c *Conn) Send(b []byte) error {
	if now := time.Now(); c.deadline.Sub(now) < StallTimeout {
		c.deadline = now.Add(StallTimeout + renewDeadline)
		if err := c.SetWriteDeadline(c.deadline); err != nil {
			return err
		}
	}
	_, err := c.Write(b)
	return err
}
