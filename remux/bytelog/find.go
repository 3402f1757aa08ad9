package bytelog

import (
	"context"
	"time"

	"github.com/headwater-live/headwater/remux"
)

// Hub is where streams are found.
type Hub interface {
	// Await returns a stream, or a channel that is closed when it is published; cancel ends
	// the wait.
	Await(remux.StreamName) (s *remux.Stream, made <-chan struct{}, cancel func())
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
		stream, made, stop := hub.Await(name)
		if stream == nil {
			ok := await(ctx, made)
			stop()
			if !ok {
				return nil
			}
			continue
		}
		l, leave := s.Watch(stream, key)
		if l == nil { // it ends this moment: look again when it has
			if !await(ctx, stream.Closed()) {
				return nil
			}
			continue
		}
		f := &Found{Stream: stream, Log: l, Leave: leave}
		if from := l.end(); !l.State().Begun {
			f.From = &from
		}
		if begun(ctx, l) {
			return f
		}
		leave()
		if ctx.Err() != nil {
			return nil
		}
	}
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
