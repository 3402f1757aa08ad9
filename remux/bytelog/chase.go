package bytelog

import (
	"errors"
	"time"
)

const (
	// maxJumps in jumpWindow are as often as a viewer may fall behind.
	maxJumps   = 5
	jumpWindow = time.Minute
)

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
		v.letGo(now)
		if v.lost && now.Sub(v.lostAt) >= StallTimeout {
			return ErrTooSlow // it holds what is being written, and no jump ends that
		}
	}
}

// count counts bytes that the output took.
func (v *Viewer) count(n int) {
	v.Metrics.BytesSent.Add(uint64(n))
	v.sent.Add(uint64(n))
}

// letGo releases the memory between the viewer and where it will continue, once that is
// certain: however slowly a peer reads, it holds back no more than MaxBacklog, and after that no more
// than what is being written, for StallTimeout.
func (v *Viewer) letGo(now time.Time) {
	if v.lost {
		return
	}
	if end, join := v.Log.ends(); end-v.at.Offset() > v.MaxBacklog && join > v.at.Offset() {
		v.at, v.lost, v.lostAt = Position{}, true, now
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
