package e2e

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// crowd asks for one thing at the same moment.
	crowd = 32
	// gathering is how long the origin keeps its first answer back, so that all of the crowd have asked. A
	// cache of one request at a time never asks again, however long it is.
	gathering = 400 * time.Millisecond
)

// hold keeps all answers back, but for those to health probes, until release is called.
func (c *counter) hold() (release func()) {
	held := make(chan struct{})
	c.mu.Lock()
	c.held = held
	c.mu.Unlock()
	return sync.OnceFunc(func() {
		c.mu.Lock()
		c.held = nil
		c.mu.Unlock()
		close(held)
	})
}

func (c *counter) await(r *http.Request) {
	c.mu.Lock()
	held := c.held
	c.mu.Unlock()
	if held != nil && r.URL.Path != "/" {
		select {
		case <-held:
		case <-r.Context().Done():
		}
	}
}

// asked returns how often a path was asked for.
func (c *counter) asked(path string) (n int) {
	for _, r := range c.since(time.Time{}) {
		if r.path == path {
			n++
		}
	}
	return n
}

// crowd has many ask a cache for something that it does not have, all at once, and returns how
// often the origin was asked.
func (f *front) crowd(ctx context.Context, t *testing.T, path string) int {
	t.Helper()
	release := f.counter.hold()
	defer release()
	var all sync.WaitGroup
	for range crowd {
		all.Go(func() {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, throughCache+path, nil)
			if err != nil {
				t.Error(err)
				return
			}
			res, err := f.client.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = res.Body.Close() }()
			if res.StatusCode != http.StatusOK {
				t.Errorf("%s: status %d", path, res.StatusCode)
			}
		})
	}
	eventually(ctx, t, "the origin is asked", func() error { return notYet(f.counter.asked(path) > 0, "not yet") })
	time.Sleep(gathering)
	release()
	all.Wait()
	return f.counter.asked(path)
}

// mustCollapse checks that the origin is asked once for a segment that all want at once.
func (f *front) mustCollapse(ctx context.Context, t *testing.T) {
	var fresh string
	eventually(ctx, t, "a segment that this cache has not got", func() error {
		media := mustFetch(ctx, t, *f.truth.origin.Load()+f.media)
		fresh = path.Join(path.Dir(f.media), lastLine(media.body))
		return notYet(strings.HasSuffix(fresh, ".ts") && f.counter.asked(fresh) == 0, "it has all of them")
	})
	if n := f.crowd(ctx, t, fresh); n != 1 {
		t.Errorf("%d viewers asked for one segment, and the cache asked the origin %d times", crowd, n)
	}
}

// TestACacheThatDoesNotCollapseIsNoticed changes the examples so that they collapse nothing: what TestCDN
// checks of them is no matter of course.
func TestACacheThatDoesNotCollapseIsNoticed(t *testing.T) {
	t.Parallel()
	change := func(old, now string) func(string) string {
		return func(s string) string {
			if !strings.Contains(s, old) {
				t.Errorf("the example has no %q", old)
			}
			return strings.ReplaceAll(s, old, now)
		}
	}
	for kind, start := range map[string]func(t *testing.T, origin string) (socket string){
		"nginx": func(t *testing.T, origin string) string {
			return startNginxWith(t, origin, change("proxy_cache_lock on;", "proxy_cache_lock off;"))
		},
		"Varnish": func(t *testing.T, origin string) string {
			return startVarnishWith(t, origin, change("sub vcl_recv {", "sub vcl_recv {\n    set req.hash_ignore_busy = true;"))
		},
	} {
		t.Run(kind, func(t *testing.T) {
			origin := startBareOrigin(t)
			c := startCounter(t, origin)
			f := &front{counter: c, client: clientOf(start(t, c.URL))}
			if n := f.crowd(limit(t, time.Minute), t, "/live/test/0123456789abcdef/1-01234567.ts"); n < 2 {
				t.Errorf("the origin was asked %d times: the check cannot fail", n)
			}
		})
	}
}

// startBareOrigin starts an origin with one segment, whatever its name.
func startBareOrigin(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.Header().Set("Content-Type", "video/mp2t")
		_, _ = w.Write([]byte("segment")) // a cache that has gone is its own matter
	}))
	t.Cleanup(s.Close)
	return s.URL
}
