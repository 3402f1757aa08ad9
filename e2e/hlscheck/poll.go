package hlscheck

import (
	"bytes"
	"context"
	"net/http"
	"time"
)

// poll looks at every playlist once.
func (c *Checker) poll(ctx context.Context, multivariant bool) {
	c.mu.Lock()
	known := append([]string(nil), c.media...)
	direct := len(known) == 1 && known[0] == c.o.URL
	c.mu.Unlock()
	if (multivariant || len(known) == 0) && !direct {
		known = c.pollMultivariant(ctx, known)
	}
	for _, u := range known {
		c.pollMedia(ctx, u)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.due(time.Now())
}

// pollMultivariant reads the multivariant playlist and returns the media
// playlists known now.
func (c *Checker) pollMultivariant(ctx context.Context, known []string) []string {
	a, ok := c.playlist(ctx, c.o.URL, len(known) > 0)
	if !ok {
		return known
	}
	if bytes.Contains(a.body, []byte("#EXTINF:")) {
		return c.know(known, c.o.URL)
	}
	v := Version{URL: c.o.URL, At: a.at, LastSeen: a.at, Header: a.header, Body: a.body}
	c.mu.Lock()
	if n := len(c.history.Multivariant); n == 0 || !sameVersion(c.history.Multivariant[n-1], v) {
		c.history.Multivariant = append(c.history.Multivariant, v)
	} else {
		c.history.Multivariant[n-1].LastSeen = a.at
	}
	c.mu.Unlock()
	if m, ok := parseMultivariant(v, &findings{}); ok {
		for _, s := range m.variants {
			known = c.know(known, s.url)
		}
	}
	return known
}

// know adds a media playlist to those that are watched.
func (c *Checker) know(known []string, url string) []string {
	for _, k := range known {
		if k == url {
			return known
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.media = append(c.media, url)
	return append(known, url)
}

// sameVersion reports whether two answers stand for the same state.
func sameVersion(a, b Version) bool {
	return bytes.Equal(a.Body, b.Body) && a.Header.Get("ETag") == b.Header.Get("ETag")
}

// pollMedia reads a media playlist, keeps it if it is new, and follows the
// segments that came and went.
func (c *Checker) pollMedia(ctx context.Context, url string) {
	c.mu.Lock()
	i, seen := c.latest[url]
	c.mu.Unlock()
	asked := time.Now()
	a, ok := c.playlist(ctx, url, seen)
	if !ok {
		return
	}
	v := Version{URL: url, At: a.at, LastSeen: a.at, Header: a.header, Body: a.body}
	c.mu.Lock()
	defer c.mu.Unlock()
	since := c.asked[url]
	c.asked[url] = asked
	if !seen {
		since = a.at
	}
	if seen && sameVersion(c.history.Media[i], v) {
		c.history.Media[i].LastSeen = a.at
		return
	}
	c.latest[url] = len(c.history.Media)
	c.history.Media = append(c.history.Media, v)
	if p, ok := parseMedia(v, &findings{}); ok {
		c.follow(url, p, since)
	}
}

// playlist fetches a playlist. A failure counts once the stream exists, except
// during an outage, and except that a stream that has ended may go.
func (c *Checker) playlist(ctx context.Context, url string, exists bool) (answer, bool) {
	asked := time.Now()
	a, err := c.get(ctx, url, nil)
	if ctx.Err() != nil {
		return a, false
	}
	c.mu.Lock()
	c.slowest = max(c.slowest, time.Since(asked))
	c.mu.Unlock()
	if err == nil && a.status == http.StatusOK {
		return a, true
	}
	c.mu.Lock()
	down := overlaps(pausesOf(c.history.Marks), time.Now().Add(-settle), time.Now())
	gone := c.over(url)
	c.mu.Unlock()
	switch {
	case !exists || down:
	case err != nil:
		c.note("playlist-unavailable", url, "%v", err)
	case !gone:
		c.note("playlist-unavailable", url, "status %d for a stream that exists", a.status)
	}
	return a, false
}

// over reports whether a media playlist has ended, and long enough ago for its
// viewers to have seen all of it; of the multivariant playlist, whether all have.
// The caller holds mu.
func (c *Checker) over(url string) bool {
	for u, i := range c.latest {
		if u != url && url != c.o.URL {
			continue
		}
		v := c.history.Media[i]
		if p, _ := parseMedia(v, &findings{}); !p.endlist || time.Since(v.At) < p.length() {
			return false
		}
	}
	return len(c.latest) > 0
}
