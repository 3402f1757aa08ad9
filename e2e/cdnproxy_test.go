package e2e

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// counter stands between a cache and the origin and writes down what the cache asks for.
// It goes on to another origin when that takes the place of the first, on other ports.
type counter struct {
	*httptest.Server
	origin atomic.Pointer[string] // http://HOST:PORT; "" while it is away

	mu       sync.Mutex
	requests []originRequest
	held     chan struct{} // answers wait until it is closed; nil if they need not
}

// originRequest is what a cache asked the origin for, and what it got.
type originRequest struct {
	at       time.Time
	answered time.Time // zero until it was, or was cut
	path     string
	encoding string // asked for
	status   int
	etag     string
}

func startCounter(t testing.TB, origin string) *counter {
	t.Helper()
	c := &counter{}
	c.origin.Store(&origin)
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

// ServeHTTP passes a request on as it is, and its answer back.
func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	req, err := http.NewRequestWithContext(r.Context(), r.Method, *c.origin.Load()+r.URL.RequestURI(), nil)
	if err != nil {
		panic(http.ErrAbortHandler) // the origin is away: so is this
	}
	req.Header = r.Header.Clone()
	res, err := viewerClient.Do(req)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer func() { _ = res.Body.Close() }()
	if r.URL.Path != "/" { // what health probes ask for
		c.mu.Lock()
		c.requests = append(c.requests, originRequest{
			at: at, path: r.URL.Path, encoding: r.Header.Get("Accept-Encoding"), status: res.StatusCode, etag: res.Header.Get("Etag"),
		})
		n := len(c.requests) - 1
		c.mu.Unlock()
		defer func() {
			c.mu.Lock()
			c.requests[n].answered = time.Now()
			c.mu.Unlock()
		}()
	}
	c.await(r)
	for key, values := range res.Header {
		w.Header()[key] = values
	}
	w.WriteHeader(res.StatusCode)
	copyAsItComes(w, res.Body)
}

// copyAsItComes copies a body that may be live and without an end.
func copyAsItComes(w http.ResponseWriter, body io.Reader) {
	buf := make([]byte, 64<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

// since returns what was asked for since a time.
func (c *counter) since(at time.Time) (requests []originRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.requests {
		if r.at.After(at) {
			requests = append(requests, r)
		}
	}
	return requests
}

// truth is what the origin itself says, asked without a cache in between.
type truth struct {
	origin atomic.Pointer[string]

	mu       sync.Mutex
	versions []version         // of the media playlist
	bodies   map[string][]byte // of playlists, by entity tag
	segments map[string][]byte // by path
}

// version is a version of the media playlist.
type version struct {
	etag  string    // of the identity encoding
	first time.Time // when it was seen first
}

// watch looks at the playlists until done is closed.
func (o *truth) watch(t *testing.T, index, media string, done <-chan struct{}) {
	for {
		for _, path := range []string{index, media} {
			for _, encoding := range []string{"identity", "gzip"} {
				o.look(t, path, encoding, path == media && encoding == "identity")
			}
		}
		select {
		case <-done:
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (o *truth) look(t *testing.T, path, encoding string, isVersion bool) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, *o.origin.Load()+path, nil)
	if err != nil {
		return // the origin is away
	}
	req.Header.Set("Accept-Encoding", encoding)
	f, err := roundTrip(req)
	if err != nil || f.status != http.StatusOK {
		return
	}
	etag := f.header.Get("Etag")
	o.mu.Lock()
	defer o.mu.Unlock()
	if body, ok := o.bodies[etag]; ok && !bytes.Equal(body, f.body) {
		t.Errorf("the origin gave out two bodies as %s", etag)
	}
	o.bodies[etag] = f.body
	if isVersion && (len(o.versions) == 0 || o.versions[len(o.versions)-1].etag != etag) {
		o.versions = append(o.versions, version{etag, time.Now()})
	}
}

// segment returns the bytes of a segment, from the origin.
func (o *truth) segment(t *testing.T, path string) []byte {
	o.mu.Lock()
	body, ok := o.segments[path]
	o.mu.Unlock()
	if ok {
		return body
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, *o.origin.Load()+path, nil)
	if err != nil {
		return nil
	}
	f, err := roundTrip(req)
	if err != nil || f.status != http.StatusOK {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.segments[path] = f.body
	return f.body
}

// superseded returns when a version of the media playlist was replaced; false if it is the
// newest, or none.
func (o *truth) superseded(etag string) (time.Time, bool) {
	for i, v := range o.versions[:max(len(o.versions)-1, 0)] {
		if v.etag == strings.Replace(etag, `-gzip"`, `"`, 1) {
			return o.versions[i+1].first, true
		}
	}
	return time.Time{}, false
}

// roundTrip sends a request and reads the answer.
func roundTrip(req *http.Request) (fetched, error) {
	res, err := viewerClient.Do(req)
	if err != nil {
		return fetched{}, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return fetched{status: res.StatusCode, header: res.Header, length: res.ContentLength, body: body}, err
}
