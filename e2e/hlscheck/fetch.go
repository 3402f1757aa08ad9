package hlscheck

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxBody bounds what is read of an answer: a segment of ten seconds at 100 Mbit/s
// is half of it.
const maxBody = 256 << 20

// drainTime is how long the segments still in the queue may take when Run ends.
const drainTime = 10 * time.Second

// answer is an HTTP response read to its end.
type answer struct {
	at     time.Time
	status int
	header http.Header
	body   []byte
}

// request sends one request and reads the answer. It asks for the identity
// encoding unless the header says otherwise, lest the transport unzip unseen.
// An origin that does not answer in time is one that fails: without a deadline it
// would stop the checker and go unreported.
func (o Options) request(ctx context.Context, method, url string, header http.Header) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Accept-Encoding", "identity")
	for k, v := range header {
		r.Header[k] = v
	}
	res, err := o.HTTPClient.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close() //nolint:errcheck // nothing is written, so closing cannot lose anything
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return answer{}, fmt.Errorf("read body of %s: %w", url, err)
	}
	return answer{at: time.Now(), status: res.StatusCode, header: res.Header, body: body}, nil
}

func (c *Checker) get(ctx context.Context, url string, header http.Header) (answer, error) {
	return c.o.request(ctx, http.MethodGet, url, header)
}

// watched is a segment that is or was listed.
type watched struct {
	duration time.Duration
	longest  time.Duration // the longest playlist it was in
	listed   bool
	recheck  time.Time // when it has to be fetched for the last time; zero while listed
}

// retained says that the server removed a segment or ended the playlist at since or later, and that the segment stays
// for d from then. A tenth less leaves time to fetch it. The caller holds mu.
func (c *Checker) retained(url string, since time.Time, d time.Duration) {
	c.watched[url].recheck, c.until[url] = since.Add(d*9/10), since.Add(d)
}

// job is a segment to fetch, and why.
type job struct {
	url string
	why string
}

const (
	whyListed   = "it was listed"
	whyRemoved  = "it was removed from the playlist"
	whyRetained = "its retention is nearly over"
)

// follow queues what joined the playlist and what left it. What it was before the server still said when it was asked
// at since, which on a busy machine is well before the answer to the next question. The caller holds mu.
func (c *Checker) follow(playlist string, p mediaPlaylist, since time.Time) {
	length := p.length()
	now := map[string]bool{}
	for _, e := range p.entries {
		now[e.url] = true
		w := c.watched[e.url]
		if w == nil {
			w = &watched{duration: e.duration, listed: true}
			c.watched[e.url] = w
			c.queue = append(c.queue, job{e.url, whyListed})
		}
		w.longest = max(w.longest, length)
		if p.endlist { // the last who joined need it for as long as all of it lasts
			c.retained(e.url, since, length)
		}
	}
	i, ok := c.before(playlist)
	if !ok {
		return
	}
	old, _ := parseMedia(c.history.Media[i], &findings{})
	for _, e := range old.entries {
		if w := c.watched[e.url]; w != nil && w.listed && !now[e.url] {
			w.listed = false
			// RFC 8216 6.2.2: a removed segment stays for its duration plus that of the
			// longest playlist it was in.
			c.retained(e.url, since, w.duration+w.longest)
			c.queue = append(c.queue, job{e.url, whyRemoved})
		}
	}
}

// before returns the index of the version before the newest. The caller holds mu.
func (c *Checker) before(playlist string) (int, bool) {
	for i := len(c.history.Media) - 2; i >= 0; i-- {
		if c.history.Media[i].URL == playlist {
			return i, true
		}
	}
	return 0, false
}

// due queues the segments whose retention is nearly over. The caller holds mu.
func (c *Checker) due(now time.Time) {
	for u, w := range c.watched {
		if !w.recheck.IsZero() && now.After(w.recheck) {
			delete(c.watched, u)
			c.queue = append(c.queue, job{u, whyRetained})
		}
	}
}

// fetchLoop fetches what is queued, until ctx ends and then what was listed. A
// fetch under way when ctx ends goes on, for the sake of the accounting.
func (c *Checker) fetchLoop(ctx context.Context, work <-chan struct{}) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(drainTime, cancel) })()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-work:
			c.drain(late, ctx)
		}
	}
	c.drain(late, ctx)
}

// drain fetches what is queued.
func (c *Checker) drain(ctx, watch context.Context) {
	for ctx.Err() == nil {
		c.mu.Lock()
		if len(c.queue) == 0 {
			c.mu.Unlock()
			return
		}
		j := c.queue[0]
		c.queue = c.queue[1:]
		c.mu.Unlock()
		if watch.Err() == nil || j.why == whyListed {
			c.fetch(ctx, watch, j)
		}
	}
}

// late says that a segment which may be gone from until on, or may not if that is zero, was asked for too late.
func late(until, now time.Time) bool { return !until.IsZero() && now.After(until) }

// fetch gets a segment, and examines it or compares it with what it was. Once the
// watch has ended failures mean nothing: the test may have stopped the server.
func (c *Checker) fetch(ctx, watch context.Context, j job) {
	a, err := c.get(ctx, j.url, nil)
	if watch.Err() != nil && (err != nil || a.status != http.StatusOK) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	down := overlaps(pausesOf(c.history.Marks), now.Add(-settle), now)
	switch {
	case down && (err != nil || a.status != http.StatusOK):
		return
	case err == nil && a.status == http.StatusNotFound && late(c.until[j.url], now): // the machine is busy
		return
	case err != nil:
		c.found.add("segment-unavailable", j.url, now, "%v (fetched because %s)", err, j.why)
		return
	case a.status != http.StatusOK:
		c.found.add("segment-unavailable", j.url, now, "status %d (fetched because %s)", a.status, j.why)
		return
	}
	old := c.facts[j.url]
	if old == nil {
		c.mu.Unlock()
		s := examine(j.url, a.at, a.body)
		c.mu.Lock()
		s.etag = a.header.Get("ETag")
		checkSegmentHeader(j.url, a, &c.found)
		c.facts[j.url] = s
		close(c.listened)
		c.listened = make(chan struct{})
		return
	}
	if sum := sha256.Sum256(a.body); sum != old.sum {
		c.found.add("segment-bytes-changed", j.url, now, "%d bytes %x, now %d bytes %x (fetched because %s)",
			old.size, old.sum[:4], len(a.body), sum[:4], j.why)
	}
	if etag := a.header.Get("ETag"); etag != old.etag {
		c.found.add("etag-unstable", j.url, now, "ETag was %s and is %s", old.etag, etag)
	}
}
