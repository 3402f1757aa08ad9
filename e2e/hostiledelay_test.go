package e2e

import (
	"fmt"
	"slices"
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

// delays are those of the frames of a stretch of time.
type delays struct {
	frames           int
	median, p95, max time.Duration
}

func (d delays) String() string {
	return fmt.Sprintf("median %v, p95 %v, max %v of %d frames", d.median.Round(time.Millisecond),
		d.p95.Round(time.Millisecond), d.max.Round(time.Millisecond), d.frames)
}

// lostAfter is when a frame that has not arrived counts as lost.
const lostAfter = 10 * time.Second

// delaysBetween waits for the frames that were sent between two moments.
func (l *liveStream) delaysBetween(from, to time.Time) (delays, error) {
	timeout := time.After(lostAfter)
	for {
		var all []time.Duration
		missing := 0
		l.mu.Lock()
		changed, broken := l.changed, len(l.faults) > 0 || l.ended
		for id, sent := range l.sent {
			if sent.Before(from) || sent.After(to) {
				continue
			}
			if arrived, ok := l.arrived[id]; ok {
				all = append(all, arrived.Sub(sent))
			} else {
				missing++
			}
		}
		l.mu.Unlock()
		if missing == 0 && len(all) > 0 {
			slices.Sort(all)
			return delays{len(all), all[len(all)/2], all[len(all)*95/100], all[len(all)-1]}, nil
		}
		if broken {
			return delays{}, fmt.Errorf("%d frames are missing, and the stream is broken", missing)
		}
		select {
		case <-changed:
		case <-timeout:
			return delays{}, fmt.Errorf("%d of %d frames have not arrived after %v", missing, missing+len(all), lostAfter)
		}
	}
}
