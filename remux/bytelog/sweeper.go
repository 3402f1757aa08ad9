package bytelog

import (
	"runtime"
	"time"
)

const (
	// maxSwept is how many viewers one goroutine sweeps. More of them than this are worth
	// another processor.
	maxSwept = 512
	// breath is after how many writes a sweeper lets others run: a publisher that has come
	// in meanwhile does not wait for more than these.
	breath = 64
)

// sweeper writes what is new to viewers that had caught up, one after the other and without
// waiting: for most this is all that ever happens, and it costs no switch of goroutines. Who
// does not take everything at once gets a goroutine of its own until it has caught up.
type sweeper struct {
	log *Log
	// called has room for one.
	called chan struct{}

	// Guarded by the log's mu.
	count   int       // of viewers, arrived ones included
	arrived []*Viewer // not yet in viewers
	due     bool      // there is something new
	stops   bool      // somebody is to end, which is no reason to write to the others early
	batch   time.Time // when the first packet of what is new came, zero if there is none

	// Of the sweeper's goroutine.
	viewers []*Viewer
}

// sweep hands a viewer that has caught up to a sweeper.
func (l *Log) sweep(v *Viewer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var s *sweeper
	for _, other := range l.sweepers {
		if other.count < maxSwept {
			s = other
			break
		}
	}
	if s == nil {
		s = &sweeper{log: l, called: make(chan struct{}, 1)}
		l.sweepers = append(l.sweepers, s)
		l.running.Go(s.run)
	}
	s.count++
	s.arrived = append(s.arrived, v)
	// What came between its last write and now was announced already, to others.
	s.due = s.due || l.closed || v.at.Offset() < l.announced
	s.stops = s.stops || v.isStopped()
	s.call()
}

// callSweepers has all sweepers look at who is to end.
func (l *Log) callSweepers() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sweepers {
		s.stops = true
		s.call()
	}
}

// callSweepersLocked has all sweepers write.
func (l *Log) callSweepersLocked() {
	for _, s := range l.sweepers {
		s.due = true
		s.call()
	}
}

func (s *sweeper) call() {
	select {
	case s.called <- struct{}{}:
	default:
	}
}

// run sweeps until there is nobody left.
func (s *sweeper) run() {
	for range s.called {
		due, stops, closed, batch := s.take()
		if !due && !stops {
			continue
		}
		left := s.round(due, closed)
		if !batch.IsZero() {
			s.log.options.Delay.Observe(time.Since(batch))
		}
		if s.leave(left) {
			return
		}
	}
}

// take admits who has arrived, and reports what there is to do.
func (s *sweeper) take() (due, stops, closed bool, batch time.Time) {
	l := s.log
	l.mu.Lock()
	defer l.mu.Unlock()
	s.viewers = append(s.viewers, s.arrived...)
	clear(s.arrived)
	s.arrived = s.arrived[:0]
	due, stops, batch = s.due, s.stops, s.batch
	s.due, s.stops, s.batch = false, false, time.Time{}
	return due, stops, l.closed, batch
}

// round writes to all viewers, if something is due. It returns how many were handed to goroutines
// of their own.
func (s *sweeper) round(due, closed bool) (left int) {
	stay := s.viewers[:0]
	for i, v := range s.viewers {
		if (!due || v.step()) && !closed && !v.isStopped() {
			stay = append(stay, v)
		} else {
			go v.chase()
		}
		if i%breath == breath-1 {
			runtime.Gosched()
		}
	}
	left = len(s.viewers) - len(stay)
	clear(s.viewers[len(stay):])
	s.viewers = stay
	return left
}

// leave counts viewers out. It reports whether the sweeper is at its end, having nobody.
func (s *sweeper) leave(n int) bool {
	l := s.log
	l.mu.Lock()
	defer l.mu.Unlock()
	s.count -= n
	if s.count > 0 {
		return false
	}
	for i, other := range l.sweepers {
		if other == s {
			l.sweepers = append(l.sweepers[:i], l.sweepers[i+1:]...)
		}
	}
	return true
}

// step writes what is new to a viewer that had caught up, and reports whether it has again.
func (v *Viewer) step() bool {
	for units := v.at.Next(); units != nil; units = v.at.Next() {
		v.Output.Begin(units, false)
		v.at.Skip(len(units))
		n, done, err := v.Output.Step(false)
		v.count(n)
		if err != nil || !done {
			v.err = err
			return false
		}
	}
	return true
}
