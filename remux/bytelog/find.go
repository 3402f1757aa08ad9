package bytelog

import (
	"context"
	"time"

	"github.com/headwater-live/headwater/remux"
)

// Hub is where streams are found.
type Hub interface {
	// Expect returns a stream that exists; otherwise made is called when it is published,
	// before its first packet, or with nil when the hub is closed, unless cancel is called
	// before.
	Expect(name remux.StreamName, made func(*remux.Stream)) (s *remux.Stream, cancel func())
}

// Found is a stream that can be watched.
type Found struct {
	Stream *remux.Stream
	Log    *Log
	// From is where a viewer that waited for the stream's beginning begins, so that it misses
	// nothing; nil for one that joins.
	From *Position
	// Leave must be called once.
	Leave func()
}

// Find waits until a stream is there and has begun, at most for the given time. It returns nil
// if it did not come to that.
func (s *Logs[K]) Find(ctx context.Context, hub Hub, name remux.StreamName, key K, wait time.Duration) *Found {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		f := s.expect(ctx, hub, name, key)
		if f == nil {
			return nil
		}
		if f.Log == nil { // it ends this moment: look again when it has
			if !await(ctx, f.Stream.Closed()) {
				return nil
			}
			continue
		}
		if begun(ctx, f.Log) {
			return f
		}
		f.Leave()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// expect returns the log of a stream as soon as that exists, nil if time is up before.
func (s *Logs[K]) expect(ctx context.Context, hub Hub, name remux.StreamName, key K) *Found {
	made := make(chan *Found, 1)
	stream, cancel := hub.Expect(name, func(stream *remux.Stream) { made <- s.found(stream, key) })
	if stream != nil {
		return s.found(stream, key)
	}
	select {
	case f := <-made:
		return f
	case <-ctx.Done():
	}
	cancel()
	select {
	case f := <-made: // it came as time was up
		if f != nil && f.Log != nil {
			f.Leave()
		}
	default:
	}
	return nil
}

// found watches a stream. Who comes before the stream has begun will begin where it does. The
// log is nil if the stream has ended.
func (s *Logs[K]) found(stream *remux.Stream, key K) *Found {
	if stream == nil {
		return nil
	}
	l, leave := s.Watch(stream, key)
	f := &Found{Stream: stream, Log: l, Leave: leave}
	if l == nil {
		return f
	}
	if from, ok := l.beforeBegin(); ok {
		f.From = &from
	}
	return f
}

// begun waits until a log has begun; it returns false if it has been closed, or time is up.
func begun(ctx context.Context, l *Log) bool {
	for {
		state := l.State()
		if state.Begun || state.Closed {
			return state.Begun
		}
		if !await(ctx, state.Changed) {
			return false
		}
	}
}

func await(ctx context.Context, event <-chan struct{}) bool {
	select {
	case <-event:
		return true
	default:
	}
	select {
	case <-event:
		return true
	case <-ctx.Done():
		return false
	}
}
