package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// joiners is how many viewers of a protocol connect at once, and how many publishers.
	joiners = 64
	// settleTimeout is how long clients may take, after the last one has begun, until each has been accepted or
	// refused: a player of HLS waits for the first segment.
	settleTimeout = 30 * time.Second

	look    = 50 * time.Millisecond // how often it is looked whether a phase is over
	observe = time.Second           // how often usage is read and Observe called
)

// ErrUnreachable is that no publisher, or no viewer of some protocol, was ever accepted.
var ErrUnreachable = errors.New("the server did not accept anybody")

// run is one load.
type run struct {
	config     Config
	measuring  atomic.Bool
	publishers *publishers
	groups     []*group
	drains     *drains

	server, client Usage // the newest
	before         Usage // the server's, without viewers
	mostRSS        int64
	observed       time.Time
	from           mark
}

// Run puts a load on a server, measures, and takes it away again. When ctx ends it ends early, with what it
// has measured so far. The report is nil only if nothing could be begun.
func Run(ctx context.Context, config Config) (*Report, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	if err := raiseDescriptors(config.descriptorsNeeded()); err != nil {
		return nil, err
	}
	if config.PID != 0 {
		if _, err := UsageOf(config.PID); err != nil {
			return nil, err
		}
	}
	r, err := newRun(config)
	if err != nil {
		return nil, err
	}
	working, stop := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	workers.Go(func() { r.drains.run(working) })
	err = r.phases(ctx, working, &workers)
	r.measuring.Store(false)
	report := r.report(r.from, r.now())
	stop()
	workers.Wait()
	report.Interrupted = ctx.Err() != nil
	return report, err
}

func newRun(config Config) (*run, error) {
	drains, err := newDrains()
	if err != nil {
		return nil, fmt.Errorf("make a loop over sockets: %w", err)
	}
	r := &run{config: config, drains: drains}
	network := &network{tls: &tls.Config{InsecureSkipVerify: config.Insecure}} //nolint:gosec // asked for
	if config.clients() > connectionsPerAddress {
		network.perAddress = connectionsPerAddress
	}
	id := rand.Uint32()
	r.publishers = &publishers{run: id, source: config.Source, network: network, measuring: &r.measuring}
	clients := config.Publishers
	for _, kind := range config.Viewers {
		g := &group{protocol: kind.Protocol, drains: drains, network: network, joining: make(chan struct{}, joiners)}
		g.meter.run, g.meter.stallAfter, g.meter.measuring = id, config.Stall, &r.measuring
		every := config.Look
		if every == 0 {
			every = (kind.Count + lookAt - 1) / lookAt
		}
		for i := range kind.Count {
			v := &viewer{group: g, url: streamURL(kind.URL, 1+i%config.Streams), id: clients}
			// TLS has to be read to be counted.
			v.looks = i%every == 0 || strings.HasPrefix(v.url, "rtmps:")
			v.track = tracker{meter: &g.meter, whole: kind.Protocol == HLS}
			g.viewers = append(g.viewers, v)
			clients++
		}
		r.groups = append(r.groups, g)
	}
	r.from = r.now()
	return r, nil
}

// phases goes through the run. Its error is that the server cannot be used; that ctx has ended is none.
func (r *run) phases(ctx, working context.Context, workers *sync.WaitGroup) error {
	c := r.config
	if c.Publishers > 0 {
		workers.Go(func() { r.startPublishers(working) })
		ramp := time.Duration(c.Publishers) * time.Second / publisherRamp
		r.wait(ctx, "publishers connect", ramp+settleTimeout, false, func() bool {
			return int(r.publishers.settled.Load()) == c.Publishers
		})
		if r.publishers.accepted.Load() == 0 && ctx.Err() == nil {
			return unreachable("publisher", &r.publishers.errors)
		}
		r.wait(ctx, "publishers run", c.baseline, true, nil)
	}
	r.usage()
	r.before = r.server
	if len(r.groups) > 0 {
		workers.Go(func() { r.startViewers(working) })
		ramp := time.Duration(c.clients()-c.Publishers) * time.Second / time.Duration(c.Ramp)
		r.wait(ctx, "viewers connect", ramp+settleTimeout, false, r.viewersSettled)
	}
	for _, g := range r.groups {
		if g.meter.joined.Load() == 0 && ctx.Err() == nil {
			return unreachable(string(g.protocol)+" viewer", &g.meter.errors)
		}
	}
	r.wait(ctx, "warm-up", c.Warmup, true, nil)
	if ctx.Err() != nil {
		return nil
	}
	r.from = r.now()
	r.mostRSS = r.server.RSS
	r.measuring.Store(true)
	r.wait(ctx, "measuring", c.Duration, true, nil)
	return nil
}

func unreachable(who string, errs *errorCounts) error {
	why := "it said nothing"
	if counts := errs.snapshot(); len(counts) > 0 {
		kinds := make([]string, 0, len(counts))
		for kind := range counts {
			kinds = append(kinds, kind)
		}
		slices.Sort(kinds)
		why = strings.Join(kinds, ", ")
	}
	return fmt.Errorf("%w: no %s, %s", ErrUnreachable, who, why)
}

func (r *run) viewersSettled() bool {
	for _, g := range r.groups {
		if int(g.settled.Load()) < len(g.viewers) {
			return false
		}
	}
	return true
}

// wait waits until done says so, but at most for limit, and tells the observer meanwhile. Known says that
// limit is how long it takes.
func (r *run) wait(ctx context.Context, phase string, limit time.Duration, known bool, done func() bool) {
	began := time.Now()
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for ctx.Err() == nil && time.Since(began) < limit && (done == nil || !done()) {
		if time.Since(r.observed) >= observe {
			r.observed = time.Now()
			p := Progress{Phase: phase, Since: time.Since(began)}
			if known {
				p.Of = limit
			}
			to := r.now()
			if r.config.Observe != nil {
				p.Report = r.report(r.from, to)
				r.config.Observe(p)
			}
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// usage reads what server and client use now.
func (r *run) usage() {
	if r.config.PID != 0 {
		if u, err := UsageOf(r.config.PID); err == nil {
			r.server = u
			r.mostRSS = max(r.mostRSS, u.RSS)
		}
	}
	if u, err := ownUsage(); err == nil {
		r.client = u
	}
}

// now is a mark of this moment.
func (r *run) now() mark {
	r.usage()
	return r.mark()
}
