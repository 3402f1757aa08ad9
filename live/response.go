package live

import (
	"net/http"
	"sync"
	"time"

	"github.com/headwater-live/headwater/remux/bytelog"
)

// responsePiece is how much is written to a response at once: a frame of HTTP/2, so that a slow
// viewer is seen to be slow before it has got a lot.
const responsePiece = 16 << 10

// responseOutput writes through net/http, which frames: HTTP/2.
//
// net/http's write deadline is one for the stream, not for writing: it ends a stream that rests, too. So there
// is none until a write has taken too long.
type responseOutput struct {
	w       http.ResponseWriter
	control *http.ResponseController
	left    []byte
	watch   *time.Timer // calls giveUp

	mu      sync.Mutex
	until   time.Time // how long what is being written may take; zero is nothing
	stalled bool
}

// newResponseOutput sends the header of an answer.
func newResponseOutput(w http.ResponseWriter) *responseOutput {
	o := &responseOutput{w: w, control: http.NewResponseController(w)}
	w.WriteHeader(http.StatusOK)
	o.watch = time.AfterFunc(bytelog.StallTimeout, o.giveUp)
	return o
}

// Begin implements bytelog.Output.
func (o *responseOutput) Begin(b []byte, _ bool) { o.left = b }

// Step implements bytelog.Output.
func (o *responseOutput) Step(bool) (n int, done bool, err error) {
	o.expect(time.Now().Add(bytelog.StallTimeout))
	n, err = o.w.Write(o.left[:min(len(o.left), responsePiece)])
	if o.left = o.left[n:]; err == nil && len(o.left) == 0 {
		o.left, done = nil, true
		err = o.control.Flush()
	}
	if o.expect(time.Time{}); o.stalled {
		err = bytelog.ErrStalled
	}
	return n, done && err == nil, err
}

// expect sets how long what is being written may take. Once it was set to zero giveUp does nothing.
func (o *responseOutput) expect(until time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.until = until
	if until.IsZero() {
		o.watch.Stop()
	} else {
		o.watch.Reset(bytelog.StallTimeout)
	}
}

// giveUp ends a write that takes too long.
func (o *responseOutput) giveUp() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.until.IsZero() || time.Now().Before(o.until) {
		return
	}
	o.stalled = true
	_ = o.control.SetWriteDeadline(o.until) // that is over: it fails now
}

// Sweepable implements bytelog.Output.
func (o *responseOutput) Sweepable() bool { return false }
