package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

const (
	// callbackTimeout is the default of CallbackConfig.Timeout.
	callbackTimeout = 2 * time.Second
	// callbackAttempts is how often a backend that fails is asked.
	callbackAttempts = 2
	// callbackQuestions bounds the questions that the backend has at once, maxAsking those who wait for their turn or
	// an answer: each is a connection of ours that holds memory meanwhile.
	callbackQuestions = 32
	maxAsking         = 1024
	// maxAnswer bounds an answer, in bytes; one with all fields has less than 1 KiB.
	maxAnswer = 16 << 10
	// maxCallbackCache bounds for how long an answer is kept, whatever the backend says: a permission that it takes
	// back ends by then at the latest.
	maxCallbackCache = 5 * time.Minute
)

// Callback asks a backend: it sends the request as JSON with POST, and the answer decides. A backend that fails (no
// answer in time, a status of 408, 429 or 5xx, a redirect, an answer that is no answer) is asked once more; if it
// fails again, nobody is allowed unless the configuration says so.
//
// The backend has a bounded number of questions at once. Who waits for a turn waits in a queue of ours, which anybody
// can make long. That is no failure of the backend: it never allows.
type Callback struct {
	config CallbackConfig
	client *http.Client
	asking chan struct{} // a slot for each that waits
	turns  chan struct{} // a slot for each question that the backend has

	// logged is when a failure was logged last, guarded by mu.
	mu     sync.Mutex
	logged time.Time
}

// CallbackConfig configures a Callback.
type CallbackConfig struct {
	// URL comes from the configuration alone. It may be secret.
	URL string
	// Timeout is for one attempt (2 s), and for waiting before the first.
	Timeout time.Duration
	// AllowOnFailure allows what a backend that fails was asked about.
	AllowOnFailure bool
	// ValidStream reports whether a stream may have a name, "APP/NAME": a backend may name another one.
	ValidStream func(string) bool
	Logger      *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// NewCallback returns the policy.
func NewCallback(config CallbackConfig) *Callback {
	if config.Timeout <= 0 {
		config.Timeout = callbackTimeout
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	return &Callback{
		config: config,
		// Twice as many connections, so that one that is being given up keeps no question waiting.
		client: boundedClient(config.Timeout, callbackQuestions, 2*callbackQuestions),
		asking: make(chan struct{}, maxAsking),
		turns:  make(chan struct{}, callbackQuestions),
	}
}

// question is the body of a callback.
type question struct {
	Action   Action `json:"action"`
	Stream   string `json:"stream"`
	Query    string `json:"query"`
	Address  string `json:"address"`
	Protocol string `json:"protocol"`
}

// errBusy: too many wait for the backend already.
var errBusy = errors.New("too many requests wait for the backend")

// Decide implements Policy.
func (c *Callback) Decide(ctx context.Context, r Request) Decision {
	body, err := json.Marshal(question{r.Action, r.Stream, r.Query, r.Remote.Addr().Unmap().String(), r.Protocol})
	if err != nil { // a struct of strings: it cannot
		return c.failed(r, err)
	}
	done, ok := c.turn(ctx)
	if !ok {
		// Never allowed: who wants it to be could bring it about by asking often enough.
		c.log(errBusy, false)
		return busy(r)
	}
	defer done()
	for range callbackAttempts {
		var a answer
		a, err = c.ask(ctx, body)
		if err == nil {
			d, bad := a.decision(r, c.config)
			if bad == nil {
				return d
			}
			err = bad
		}
		if ctx.Err() != nil {
			return busy(r) // it is we who gave up
		}
		var final finalError
		if errors.As(err, &final) {
			break
		}
	}
	return c.failed(r, err)
}

// turn waits for a turn to ask, which ends with done; there is none if too many wait, or for too long.
func (c *Callback) turn(ctx context.Context) (done func(), ok bool) {
	select {
	case c.asking <- struct{}{}:
	default:
		return nil, false
	}
	timer := time.NewTimer(c.config.Timeout)
	defer timer.Stop()
	select {
	case c.turns <- struct{}{}:
		return func() { <-c.turns; <-c.asking }, true
	case <-timer.C:
	case <-ctx.Done():
	}
	<-c.asking
	return nil, false
}

// finalError is a failure that asking again would not mend.
type finalError struct{ text string }

func (e finalError) Error() string { return e.text }

// ask makes one attempt.
func (c *Callback) ask(ctx context.Context, body []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.config.URL, bytes.NewReader(body))
	if err != nil {
		return answer{}, finalError{"the URL is not valid"}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := c.client.Do(req)
	if err != nil {
		return answer{}, withoutURL(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	// Read to the end, so that the connection can be used again; closing one with more to come ends it.
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case refuses(resp.StatusCode): // whatever the body is
	case err != nil:
		return answer{}, withoutURL(err)
	case len(content) > maxAnswer:
		return answer{}, finalError{fmt.Sprintf("an answer of more than %d bytes", maxAnswer)}
	}
	return readAnswer(resp.StatusCode, content)
}

// failed decides where the backend did not.
func (c *Callback) failed(r Request, err error) Decision {
	allowed := c.config.AllowOnFailure && !r.Reserved
	c.log(err, allowed)
	if allowed {
		return Decision{Allowed: true, Code: CallbackFailed, Credential: addressAndQuery(r)}
	}
	return refuse(CallbackFailed, "who may "+string(r.Action)+" could not be found out: the authorisation backend does not answer; "+
		"try again in a moment, and tell the operator of the server")
}

func busy(r Request) Decision {
	return refuse(CallbackBusy, "who may "+string(r.Action)+" could not be found out: too many ask at the moment; try again in a moment")
}

// logEvery is how often failures are logged at most; all of them are counted.
const logEvery = 5 * time.Second

func (c *Callback) log(err error, allowed bool) {
	c.mu.Lock()
	now := c.config.Now()
	silent := now.Sub(c.logged) < logEvery
	if !silent {
		c.logged = now
	}
	c.mu.Unlock()
	if !silent {
		c.config.Logger.Warn("authorisation callback failed", "error", err, "allowed", allowed)
	}
}

// Close ends idle connections.
func (c *Callback) Close() { c.client.CloseIdleConnections() }
