package bytelog

import (
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/remux/histogram"
)

// Metrics count what happened to viewers.
type Metrics struct {
	Viewers   atomic.Int64
	BytesSent atomic.Uint64
	// Jumps counts viewers that fell behind and continued at a keyframe.
	Jumps atomic.Uint64
	// Behind counts viewers closed for falling behind again and again, or for good, Stalled those
	// closed for taking nothing.
	Behind, Stalled atomic.Uint64
	// Delay is for Options.Delay; nil if it is not measured.
	Delay *histogram.Histogram
}

// NewDelay returns a histogram for Metrics.Delay. Its bounds lie around the latency that packets wait
// for others; the last is where a viewer sees it.
func NewDelay() *histogram.Histogram {
	return histogram.New(time.Millisecond, 5*time.Millisecond, 10*time.Millisecond, 25*time.Millisecond, 50*time.Millisecond,
		75*time.Millisecond, 100*time.Millisecond, 150*time.Millisecond, 250*time.Millisecond, 500*time.Millisecond, time.Second)
}
