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

// Find waits until a stream is there and has begun, at most for the given time, and returns
// its log. The log is nil if it did not come to that.
func (s *Logs[K]) Find(ctx context.Context, hub Hub, name remux.StreamName, key K, wait time.Duration) (*remux.Stream, *Log, func()) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		stream, made, stop := hub.Await(name)
		if stream == nil {
			ok := await(ctx, made)
			stop()
			if !ok {
				return nil, nil, nil
			}
			continue
		}
		l, leave := s.Watch(stream, key)
		if l == nil { // it ends this moment: look again when it has
			if !await(ctx, stream.Closed()) {
				return nil, nil, nil
			}
			continue
		}
		if begun(ctx, l) {
			return stream, l, leave
		}
		leave()
		if ctx.Err() != nil {
			return nil, nil, nil
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
