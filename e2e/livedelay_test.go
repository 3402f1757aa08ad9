package e2e

import (
	"fmt"
	"testing"
	"time"
)

// finish ends the publication and checks that every frame has arrived, in order.
func (l *liveStream) finish(t *testing.T) {
	t.Helper()
	l.stop()
	l.publishing.Wait()
	if err := l.client.Close(); err != nil {
		t.Errorf("live stream: close: %v", err)
	}
	l.viewing.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	report(t, "live stream", l.faults)
	if len(l.arrived) != len(l.sent) || len(l.sent) == 0 {
		t.Errorf("live stream: %d frames were sent, %d arrived", len(l.sent), len(l.arrived))
	}
	if !l.ended {
		t.Error("live stream: the response did not end with the stream")
	}
}

// delayed is how long a frame took.
type delayed struct {
	sent  time.Time
	delay time.Duration
}

// lostAfter is when a frame that has not arrived counts as lost.
const lostAfter = 20 * time.Second

// delaysBetween waits for the frames that were sent between two moments.
func (l *liveStream) delaysBetween(from, to time.Time) ([]delayed, error) {
	timeout := time.After(lostAfter)
	for {
		all, missing, changed, broken := l.delaysNow(from, to)
		if missing == 0 && len(all) > 0 {
			return all, nil
		}
		if broken {
			return nil, fmt.Errorf("%d frames are missing, and the stream is broken", missing)
		}
		select {
		case <-changed:
		case <-timeout:
			return nil, fmt.Errorf("%d of %d frames have not arrived after %v", missing, missing+len(all), lostAfter)
		}
	}
}

// delaysNow returns the delays of the frames that have arrived by now, how many have not, and
// what is closed when another does.
func (l *liveStream) delaysNow(from, to time.Time) (all []delayed, missing int, changed <-chan struct{}, broken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, sent := range l.sent {
		if sent.Before(from) || sent.After(to) {
			continue
		}
		if arrived, ok := l.arrived[id]; ok {
			all = append(all, delayed{sent, arrived.Sub(sent)})
		} else {
			missing++
		}
	}
	return all, missing, l.changed, len(l.faults) > 0 || l.ended
}
