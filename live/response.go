package live

import (
	"errors"
	"net/http"
	"time"

	"github.com/headwater-live/headwater/remux/bytelog"
)

// responsePiece is how much is written to a response at once: a frame of HTTP/2, so that a slow
// viewer is seen to be slow before it has got a lot.
const responsePiece = 16 << 10

// responseOutput writes through net/http, which frames: HTTP/2.
type responseOutput struct {
	w       http.ResponseWriter
	control *http.ResponseController
	left    []byte
}

// newResponseOutput sends the header of an answer.
func newResponseOutput(w http.ResponseWriter) *responseOutput {
	w.WriteHeader(http.StatusOK)
	return &responseOutput{w: w, control: http.NewResponseController(w)}
}

// Begin implements bytelog.Output.
func (o *responseOutput) Begin(b []byte, _ bool) { o.left = b }

// Step implements bytelog.Output.
func (o *responseOutput) Step(bool) (n int, done bool, err error) {
	deadline := time.Now().Add(bytelog.StallTimeout)
	if err := o.control.SetWriteDeadline(deadline); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, false, err
	}
	n, err = o.w.Write(o.left[:min(len(o.left), responsePiece)])
	if err != nil {
		return n, false, err
	}
	if o.left = o.left[n:]; len(o.left) > 0 {
		return n, false, nil
	}
	o.left = nil
	return n, true, o.control.Flush()
}

// Sweepable implements bytelog.Output.
func (o *responseOutput) Sweepable() bool { return false }
