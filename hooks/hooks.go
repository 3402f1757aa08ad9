package hooks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/events"
)

// lanes is how many deliveries to one endpoint run at once. A stream is always in the same, so changing
// the number could mix the order of what waits on disk.
const lanes = 4

// batch is how many events the pump takes at once; they are synced to disk together.
const batch = 256

// Config configures a Dispatcher.
type Config struct {
	// URLs are the endpoints.
	URLs []string
	// Secret signs the deliveries.
	Secret string
	// Types are the events that are delivered.
	Types []events.Type
	// Folder is where the queues are.
	Folder string
	// MaxQueue bounds the queues of an endpoint, in bytes.
	MaxQueue int64
	// Timeout bounds an attempt, MaxAge how long an event is tried.
	Timeout, MaxAge time.Duration
	UserAgent       string
	Logger          *slog.Logger
}

// Dispatcher delivers events to endpoints.
type Dispatcher struct {
	config    Config
	endpoints []*endpoint
	pumping   sync.WaitGroup
	running   sync.WaitGroup
	cancel    context.CancelFunc
}

// endpoint is where events go.
type endpoint struct {
	config *Config
	url    string
	// shown is what may be said of the URL: its scheme and host.
	shown  string
	client *http.Client
	lanes  [lanes]*lane

	delivered, failed, dropped atomic.Uint64
	last                       lastError
}

// Status is how the deliveries to an endpoint go.
type Status struct {
	// Endpoint is the URL's scheme and host.
	Endpoint string
	// Queued are the events that wait, QueuedBytes what the queues take on disk.
	Queued, QueuedBytes int64
	// Delivered and Dropped count events, Failed attempts.
	Delivered, Failed, Dropped uint64
	// LastError is of the newest attempt, "" if it succeeded.
	LastError string
}

// Start opens the queues and begins to deliver what is in them, and what the bus says from its first
// event on.
func Start(config Config, bus *events.Bus) (*Dispatcher, error) {
	d := &Dispatcher{config: config}
	for _, u := range config.URLs {
		e, err := d.newEndpoint(u)
		if err != nil {
			d.closeQueues()
			return nil, fmt.Errorf("webhook queue: %w", err)
		}
		d.endpoints = append(d.endpoints, e)
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel = cancel
	for _, e := range d.endpoints {
		for _, l := range e.lanes {
			d.running.Go(func() { l.run(ctx) })
		}
	}
	reader := bus.Follow(events.ID{})
	d.pumping.Go(func() { d.pump(ctx, reader) })
	return d, nil
}

func (d *Dispatcher) newEndpoint(text string) (*endpoint, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	e := &endpoint{
		config: &d.config,
		url:    text,
		shown:  u.Scheme + "://" + u.Host,
		client: &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: lanes, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	// By a hash, so that an endpoint has its queue back wherever it stands in the list.
	sum := sha256.Sum256([]byte(text))
	for i := range e.lanes {
		q, err := openQueue(filepath.Join(d.config.Folder, hex.EncodeToString(sum[:8]), strconv.Itoa(i)), d.config.MaxQueue/lanes)
		if err != nil {
			return nil, err
		}
		e.lanes[i] = &lane{endpoint: e, queue: q, added: make(chan struct{}, 1)}
	}
	return e, nil
}

// pump writes events to the queues until the bus is closed or ctx ends.
func (d *Dispatcher) pump(ctx context.Context, reader *events.Reader) {
	var list []events.Event
	for {
		var err error
		if list, err = reader.Next(ctx, list[:0], batch); err != nil {
			return
		}
		for _, e := range d.endpoints {
			e.take(list)
		}
	}
}

// note takes note of how an attempt went.
func (e *endpoint) note(err error) {
	if err == nil {
		e.last.set("")
		return
	}
	e.failed.Add(1)
	if e.last.get() == "" {
		e.config.Logger.Warn("webhook fails, and is tried again", "endpoint", e.shown, "error", err)
	}
	e.last.set(err.Error())
}

// Status returns how each endpoint does, in the order of the configuration.
func (d *Dispatcher) Status() []Status {
	list := make([]Status, len(d.endpoints))
	for i, e := range d.endpoints {
		s := Status{
			Endpoint: e.shown, LastError: e.last.get(),
			Delivered: e.delivered.Load(), Failed: e.failed.Load(), Dropped: e.dropped.Load(),
		}
		for _, l := range e.lanes {
			count, bytes := l.queue.waiting()
			s.Queued += count
			s.QueuedBytes += bytes
		}
		list[i] = s
	}
	return list
}

// closeTime is how long Close tries to empty the queues. What stays is delivered by the next process.
const closeTime = 2 * time.Second

// Close writes down what the bus has said, gives the deliveries a moment, and ends them. The bus must
// have been closed before.
func (d *Dispatcher) Close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, closeTime)
	defer cancel()
	d.pumping.Wait()
	for ctx.Err() == nil && !d.idle() {
		pause(ctx, 10*time.Millisecond)
	}
	d.cancel()
	d.running.Wait()
	d.closeQueues()
}

// idle reports whether nothing waits, or nothing that waits can be delivered now.
func (d *Dispatcher) idle() bool {
	for _, s := range d.Status() {
		if s.Queued > 0 && s.LastError == "" {
			return false
		}
	}
	return true
}

func (d *Dispatcher) closeQueues() {
	for _, e := range d.endpoints {
		for _, l := range e.lanes {
			if err := l.queue.close(); err != nil {
				d.config.Logger.Warn("webhook queue not closed", "error", err)
			}
		}
		e.client.CloseIdleConnections()
	}
}
