package hlscheck

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Options say what to watch and how strictly. The zero value of a field stands
// for its default.
type Options struct {
	URL        string        // of the multivariant playlist, or of a media playlist
	AliasURL   string        // an address that must answer with the same variants; "" for none
	HTTPClient *http.Client  // default: a new one; redirects are never followed
	Poll       time.Duration // distance of two looks at a media playlist; default 100 ms
	Grace      time.Duration // how long the stream outlives its publisher; default 30 s
	Timeout    time.Duration // longest wait for the end of an answer; default 10 s
	Slack      time.Duration // lateness forgiven, for a machine that is busy; default 500 ms
	Ignore     []string      // ids of rules to leave out of the report
}

func (o Options) withDefaults() Options {
	fill := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	fill(&o.Poll, 100*time.Millisecond)
	fill(&o.Grace, 30*time.Second)
	fill(&o.Slack, 500*time.Millisecond)
	fill(&o.Timeout, 10*time.Second)
	if o.HTTPClient == nil {
		o.HTTPClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2}}
	}
	client := *o.HTTPClient
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	o.HTTPClient = &client
	return o
}

// multivariantEvery is how many looks at a media playlist go by between two looks
// at the multivariant playlist, which changes rarely.
const multivariantEvery = 5

// Checker watches one stream. Its methods may be called from any goroutine.
type Checker struct {
	o Options

	mu       sync.Mutex
	history  History
	facts    map[string]*segmentFacts
	found    findings             // what was found while watching
	until    map[string]time.Time // when a segment that is listed no more may be gone, by URL
	asked    map[string]time.Time // when for the last answer, by playlist URL
	latest   map[string]int       // index in history.Media of the newest version, by playlist URL
	media    []string             // media playlists known, in the order of appearance
	watched  map[string]*watched  // segments by URL
	queue    []job
	slowest  time.Duration // answer of a playlist
	listened chan struct{} // closed and replaced whenever a segment was examined
}

// New returns a Checker that does nothing yet.
func New(o Options) *Checker {
	return &Checker{
		o:        o.withDefaults(),
		history:  History{},
		facts:    map[string]*segmentFacts{},
		until:    map[string]time.Time{},
		asked:    map[string]time.Time{},
		latest:   map[string]int{},
		watched:  map[string]*watched{},
		listened: make(chan struct{}),
	}
}

// Run watches the stream until ctx ends, and returns after the segments listed by
// then were fetched. A stream that does not exist yet is waited for.
func (c *Checker) Run(ctx context.Context) {
	done := make(chan struct{})
	work := make(chan struct{}, 1)
	go func() {
		defer close(done)
		c.fetchLoop(ctx, work)
	}()
	ticker := time.NewTicker(c.o.Poll)
	defer ticker.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		c.poll(ctx, n%multivariantEvery == 0)
		select {
		case work <- struct{}{}:
		default:
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	<-done
}

// Mark notes that something was done to the stream just now.
func (c *Checker) Mark(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history.Marks = append(c.history.Marks, Mark{e, time.Now()})
}

// WaitSegments waits until n segments were fetched and examined.
func (c *Checker) WaitSegments(ctx context.Context, n int) error {
	for {
		c.mu.Lock()
		have, wake := len(c.facts), c.listened
		c.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Report judges what was seen so far. It may be called while Run runs.
func (c *Checker) Report() Report {
	c.mu.Lock()
	h := History{
		Multivariant: append([]Version(nil), c.history.Multivariant...),
		Media:        append([]Version(nil), c.history.Media...),
		Marks:        append([]Mark(nil), c.history.Marks...),
	}
	facts := make(map[string]*segmentFacts, len(c.facts))
	for u, s := range c.facts {
		facts[u] = s
	}
	seen := append([]Finding(nil), c.found.list...)
	slowest := c.slowest
	c.mu.Unlock()
	report := judge(h, facts, seen, c.o)
	report.Measured.SlowestPlaylist = slowest
	return report
}

// note adds a finding made while watching.
func (c *Checker) note(rule, where, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found.add(rule, where, time.Now(), format, args...)
}
