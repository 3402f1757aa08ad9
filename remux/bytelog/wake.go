package bytelog

import "time"

// wakeSoon wakes the viewers once the latency has passed since the first packet that they
// have not been told of.
func (l *Log) wakeSoon() {
	if l.options.Delay != nil && l.arrived.IsZero() {
		l.arrived = time.Now()
	}
	switch {
	case l.latency <= 0:
		l.wakeLocked()
	case l.due:
	case l.pending == nil:
		l.due = true
		l.pending = time.AfterFunc(l.latency, l.wakeDue)
	default:
		l.due = true
		l.pending.Reset(l.latency)
	}
}

// setLatency changes how long packets wait for others from now on.
func (l *Log) setLatency(latency time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latency = latency
}

func (l *Log) wakeDue() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakeLocked()
}

func (l *Log) wakeLocked() {
	l.due = false
	l.wakes++
	close(l.wake)
	l.wake = make(chan struct{})
	l.announced = l.endLocked().Offset()
	for _, s := range l.sweepers {
		if s.batch.IsZero() { // else it is still busy, and what it has not taken has waited for longer
			s.batch = l.arrived
		}
	}
	l.arrived = time.Time{}
	l.callSweepersLocked()
}
