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
	"slices"
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
	config    atomic.Pointer[Config]
	endpoints atomic.Pointer[[]*endpoint]
	pumping   sync.WaitGroup
	// taking is held while events are written to the queues of the endpoints, and while these are exchanged.
	taking sync.Mutex
}

// endpoint is where events go.
type endpoint struct {
	dispatcher *Dispatcher
	url        string
	// shown is what may be said of the URL: its scheme and host.
	shown  string
	client *http.Client
	lanes  [lanes]*lane

	running sync.WaitGroup
	cancel  context.CancelFunc

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
	d := &Dispatcher{}
	d.endpoints.Store(new([]*endpoint))
	if err := d.Change(config); err != nil {
		return nil, err
	}
	reader := bus.Follow(events.ID{})
	d.pumping.Go(func() { d.pump(reader) })
	return d, nil
}

// Change puts another configuration in force, or fails and changes nothing. Endpoints that are new get the events from
// now on; what waits for one that is gone stays on disk, and is delivered if it comes back. The folder must be the
// same. It must not be called at the same time as itself or Close.
func (d *Dispatcher) Change(config Config) error {
	old := *d.endpoints.Load()
	var list, added []*endpoint
	for _, u := range config.URLs {
		if i := slices.IndexFunc(list, func(e *endpoint) bool { return e.url == u }); i >= 0 {
			continue // named twice
		}
		if i := slices.IndexFunc(old, func(e *endpoint) bool { return e.url == u }); i >= 0 {
			list = append(list, old[i])
			continue
		}
		e, err := d.newEndpoint(u, config)
		if err != nil {
			for _, e := range added {
				e.close(config.Logger)
			}
			return fmt.Errorf("webhook queue: %w", err)
		}
		list, added = append(list, e), append(added, e)
	}
	d.config.Store(&config)
	for _, e := range list {
		for _, l := range e.lanes {
			l.queue.setLimit(config.MaxQueue / lanes)
		}
	}
	for _, e := range added {
		e.start()
	}
	d.taking.Lock()
	d.endpoints.Store(&list)
	d.taking.Unlock()
	for _, e := range old {
		if !slices.Contains(list, e) {
			e.close(config.Logger)
		}
	}
	return nil
}

func (d *Dispatcher) newEndpoint(text string, config Config) (*endpoint, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	e := &endpoint{
		dispatcher: d,
		url:        text,
		shown:      u.Scheme + "://" + u.Host,
		client: &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: lanes, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		cancel: func() {},
	}
	// By a hash, so that an endpoint has its queue back wherever it stands in the list.
	sum := sha256.Sum256([]byte(text))
	for i := range e.lanes {
		q, err := openQueue(filepath.Join(config.Folder, hex.EncodeToString(sum[:8]), strconv.Itoa(i)), config.MaxQueue/lanes)
		if err != nil {
			e.close(config.Logger)
			return nil, err
		}
		e.lanes[i] = &lane{endpoint: e, queue: q, added: make(chan struct{}, 1)}
	}
	return e, nil
}

// start begins to deliver.
func (e *endpoint) start() {
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	for _, l := range e.lanes {
		e.running.Go(func() { l.run(ctx) })
	}
}

// close ends deliveries, and closes the queues. Nobody may add to them any more.
func (e *endpoint) close(logger *slog.Logger) {
	e.cancel()
	e.running.Wait()
	for _, l := range e.lanes {
		if l == nil { // its queue could not be opened
			continue
		}
		if err := l.queue.close(); err != nil {
			logger.Warn("webhook queue not closed", "endpoint", e.shown, "error", err)
		}
	}
	e.client.CloseIdleConnections()
}

// config is the configuration in force.
func (e *endpoint) config() *Config { return e.dispatcher.config.Load() }

// pump writes events to the queues until the bus is closed.
func (d *Dispatcher) pump(reader *events.Reader) {
	var list []events.Event
	for {
		var err error
		if list, err = reader.Next(context.Background(), list[:0], batch); err != nil {
			return
		}
		d.taking.Lock()
		for _, e := range *d.endpoints.Load() {
			e.take(list)
		}
		d.taking.Unlock()
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
		e.config().Logger.Warn("webhook fails, and is tried again", "endpoint", e.shown, "error", err)
	}
	e.last.set(err.Error())
}

// Status returns how each endpoint does, in the order of the configuration.
func (d *Dispatcher) Status() []Status {
	endpoints := *d.endpoints.Load()
	list := make([]Status, len(endpoints))
	for i, e := range endpoints {
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
	for _, e := range *d.endpoints.Load() {
		e.cancel() // all at once: an attempt may take its time to end
	}
	for _, e := range *d.endpoints.Load() {
		e.close(d.config.Load().Logger)
	}
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
