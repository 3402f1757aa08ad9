package hooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/headwater-live/headwater/events"
)

const (
	// firstRetry is the pause after the first failure; it doubles up to lastRetry, which is short enough
	// that an endpoint that is back is told within a minute.
	firstRetry = 500 * time.Millisecond
	lastRetry  = 30 * time.Second
	// maxRefusals is how often an endpoint may refuse an event as malformed (400, 413, 415, 422): asking
	// again does not change the event, and those behind it wait.
	maxRefusals = 5
	// maxAnswer bounds what is read of an answer, so that the connection can be used again.
	maxAnswer = 64 << 10
)

// lane delivers from a queue.
type lane struct {
	endpoint *endpoint
	queue    *queue
	// added is signalled when there is something new in the queue.
	added chan struct{}
	// missed are the events that found the queue full since the last that did not. Of the pump.
	missed uint64
}

func (l *lane) signal() {
	select {
	case l.added <- struct{}{}:
	default:
	}
}

// run delivers until ctx ends.
func (l *lane) run(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		body, err := l.queue.oldest()
		if err == nil && body == nil {
			select {
			case <-ctx.Done():
			case <-l.added:
			}
			continue
		}
		if lost := new(lostError); errors.As(err, &lost) {
			l.endpoint.dropped.Add(uint64(lost.bodies))
			l.endpoint.config().Logger.Error("webhook events were lost", "endpoint", l.endpoint.shown, "events", lost.bodies, "error", lost.err)
			continue
		}
		if err == nil {
			err = l.attempt(ctx, body, failures)
		}
		if ctx.Err() != nil {
			return // the attempt may have been cut off: the next process makes it again
		}
		l.endpoint.note(err)
		if err == nil {
			failures = 0
			continue
		}
		failures++
		pause(ctx, backoff(failures))
	}
}

// attempt delivers an event once, and takes it from the queue if that is over with.
func (l *lane) attempt(ctx context.Context, body []byte, failures int) error {
	e := l.endpoint
	err := e.post(ctx, body)
	if err != nil {
		var refused refusal
		hopeless := errors.As(err, &refused) && refused.hopeless() && failures+1 >= maxRefusals
		if !hopeless && !e.tooOld(body) {
			return err
		}
		e.dropped.Add(1)
		e.config().Logger.Error("event given up", "endpoint", e.shown, "error", err)
	} else {
		e.delivered.Add(1)
	}
	return l.queue.take()
}

// backoff returns how long to wait after a number of failures, with a third of it left to chance, so that
// lanes and servers do not come all at once.
func backoff(failures int) time.Duration {
	d := lastRetry
	if failures < 8 {
		d = min(firstRetry<<(failures-1), lastRetry)
	}
	return d*2/3 + rand.N(d/3)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// refusal is an answer other than success.
type refusal struct{ status int }

func (r refusal) Error() string {
	return fmt.Sprintf("answered %d %s", r.status, http.StatusText(r.status))
}

// hopeless reports whether the answer says that the event itself is not acceptable.
func (r refusal) hopeless() bool {
	switch r.status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// head is what the headers say of an event.
type head struct {
	ID   events.ID   `json:"id"`
	Time time.Time   `json:"time"`
	Type events.Type `json:"type"`
}

// post makes one attempt. Its errors do not say the URL, which may be secret.
func (e *endpoint) post(ctx context.Context, body []byte) error {
	var h head
	if err := json.Unmarshal(body, &h); err != nil {
		return fmt.Errorf("read event: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, e.config().Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return errors.New("make request")
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", e.config().UserAgent)
	r.Header.Set(IDHeader, h.ID.String())
	r.Header.Set(TypeHeader, string(h.Type))
	r.Header.Set(SignatureHeader, Sign(e.config().Secret, body, time.Now()))
	resp, err := e.client.Do(r)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return fmt.Errorf("post event: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // only so that the connection can be used again
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return refusal{resp.StatusCode}
	}
	return nil
}

// tooOld reports whether an event has been tried for long enough.
func (e *endpoint) tooOld(body []byte) bool {
	var h head
	return json.Unmarshal(body, &h) != nil || time.Since(h.Time) > e.config().MaxAge
}

// lastError keeps why the newest attempt failed.
type lastError struct {
	mu   sync.Mutex
	text string
}

func (l *lastError) set(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = text
}

func (l *lastError) get() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text
}
