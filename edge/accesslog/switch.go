package accesslog

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
)

// Switch is an access log whose destination and format may change while entries are added. What was added before a change
// goes to the old one, what is added after it to the new one, and nothing gets lost between. The zero value is off.
type Switch struct {
	current atomic.Pointer[Log] // nil is off
	counts  counts              // of all logs
	writing sync.WaitGroup      // for their goroutines

	// earlier are those that may be writing still what they have, by their name. Of who calls Use.
	earlier map[string]*Log
}

// Use has another log take what is added from now on, and begins to write it; nil is off. The old one writes what it has
// and is closed. Use and Close are not called at the same time.
func (s *Switch) Use(next *Log) {
	if next != nil {
		next.counts = &s.counts
	}
	old := s.current.Swap(next)
	if old != nil {
		old.finish()
		maps.DeleteFunc(s.earlier, func(_ string, l *Log) bool { return l.over() })
		if s.earlier == nil {
			s.earlier = make(map[string]*Log)
		}
		s.earlier[old.name] = old
	}
	if next == nil {
		return
	}
	// Two that write to the same file would mix lines up. Others need not wait for a pipe that nobody reads.
	before := s.earlier[next.name]
	s.writing.Go(func() {
		if before != nil {
			<-before.ended
		}
		next.Run()
	})
}

// On reports whether entries go anywhere. It may be called without a Switch.
func (s *Switch) On() bool { return s != nil && s.current.Load() != nil }

// Add adds an entry, and never waits.
func (s *Switch) Add(e *Entry) {
	for {
		l := s.current.Load()
		switch {
		case l == nil, l.Add(e):
			return
		case s.current.Load() == l: // it was closed for good
			s.counts.dropped.Add(1)
			return
		}
	}
}

// Reopen has the file opened again by its name, see [Log.Reopen].
func (s *Switch) Reopen() {
	if l := s.current.Load(); l != nil {
		l.Reopen()
	}
}

// Lines returns how many lines were written since the start, Dropped how many were not.
func (s *Switch) Lines() uint64   { return s.counts.lines.Load() }
func (s *Switch) Dropped() uint64 { return s.counts.dropped.Load() }

// Close has what is left written, and waits for that until ctx ends.
func (s *Switch) Close(ctx context.Context) error {
	if l := s.current.Load(); l != nil {
		l.finish()
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.writing.Wait()
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return errStuck
	}
}
