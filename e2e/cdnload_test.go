package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	loadRate        = 2000 // requests per second
	loadConnections = 64
)

// load is many players behind one cache: they ask for playlists and segments at a fixed
// rate, and compare every byte with the origin's.
type load struct {
	client       *http.Client
	truth        *truth
	index, media string // paths

	asked  atomic.Int64
	answer atomic.Int64
	newest atomic.Pointer[[]string] // paths of the segments in the newest playlist received

	mu       sync.Mutex
	faults   []string
	received map[string]*receipt // playlists, by entity tag
	quiet    quietTimes
}

// receipt is a playlist that was received.
type receipt struct {
	body []byte
	last time.Time
}

// run puts load on the cache until ctx ends and returns when all answers are there.
func (l *load) run(ctx context.Context, t *testing.T) {
	begin := time.Now()
	var wg sync.WaitGroup
	for range loadConnections {
		wg.Go(func() {
			for {
				n := l.asked.Add(1) - 1
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Until(begin.Add(time.Duration(n) * time.Second / loadRate))):
				}
				l.request(t, n)
				l.answer.Add(1)
			}
		})
	}
	wg.Wait()
	t.Logf("%.0f requests a second, all answered", float64(l.answer.Load())/time.Since(begin).Seconds())
}

// request sends the request number n: half are for playlists, most of them in gzip, and
// half for segments, most of them the newest.
func (l *load) request(t *testing.T, n int64) {
	segments := l.newest.Load()
	switch n % 8 {
	case 0, 1, 2:
		l.playlist(t, l.media, "gzip")
	case 3:
		l.playlist(t, l.media, "")
	case 4:
		l.playlist(t, l.index, "gzip, deflate, br")
	case 5, 6:
		if segments != nil {
			l.segment(t, (*segments)[len(*segments)-1])
		}
	default:
		if segments != nil {
			l.segment(t, (*segments)[rand.IntN(len(*segments))])
		}
	}
}

func (l *load) get(t *testing.T, path, encoding string) (fetched, bool) {
	// Not the load's context: each request is answered.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, throughCache+path, nil)
	if err != nil {
		l.fault("%v", err)
		return fetched{}, false
	}
	if encoding != "" {
		req.Header.Set("Accept-Encoding", encoding)
	}
	res, err := l.client.Do(req)
	if err != nil {
		l.fault("%v", err)
		return fetched{}, false
	}
	defer func() { _ = res.Body.Close() }()
	body := bytes.NewBuffer(make([]byte, 0, max(res.ContentLength, 0)+bytes.MinRead))
	if _, err := body.ReadFrom(res.Body); err != nil || res.StatusCode != http.StatusOK {
		l.fault("%s: status %d, %v", path, res.StatusCode, err)
		return fetched{}, false
	}
	return fetched{status: res.StatusCode, header: res.Header, body: body.Bytes()}, true
}

func (l *load) playlist(t *testing.T, path, encoding string) {
	began := time.Now()
	f, ok := l.get(t, path, encoding)
	ended := time.Now()
	l.mu.Lock()
	l.quiet.asked(originKey(path, encoding), began, ended)
	l.mu.Unlock()
	if !ok {
		return
	}
	if got := f.header.Get("Content-Encoding"); (got == "gzip") != (encoding != "") {
		l.fault("%s: Content-Encoding is %q for %q", path, got, encoding)
	}
	if path == l.media && encoding == "" {
		l.follow(string(f.body))
	}
	etag := f.header.Get("Etag")
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.received[etag]
	if r == nil {
		r = &receipt{body: f.body}
		l.received[etag] = r
	}
	r.last = time.Now()
	if !bytes.Equal(r.body, f.body) {
		l.faults = append(l.faults, fmt.Sprintf("%s: two bodies for %s", path, etag))
	}
}

// follow takes note of the segments in a playlist.
func (l *load) follow(text string) {
	var segments []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			segments = append(segments, path.Join(path.Dir(l.media), line))
		}
	}
	l.newest.Store(&segments)
}

func (l *load) segment(t *testing.T, path string) {
	began := time.Now()
	f, ok := l.get(t, path, "")
	ended := time.Now()
	l.mu.Lock()
	l.quiet.answered(originKey(path, ""), began, ended)
	l.mu.Unlock()
	if ok && !bytes.Equal(f.body, l.truth.segment(t, path)) {
		l.fault("%s: not the bytes of the origin", path)
	}
}

func (l *load) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.faults) < maxFaults {
		l.faults = append(l.faults, fmt.Sprintf(format, args...))
	}
}

// check compares what was received with what the origin gave out, when.
func (l *load) check(t *testing.T, target time.Duration) {
	t.Helper()
	report(t, "load", l.faults)
	oldest := time.Duration(0)
	for etag, r := range l.received {
		if body, ok := l.truth.bodies[etag]; !ok || !bytes.Equal(body, r.body) {
			t.Errorf("a playlist was received as %s, which is not the origin's (%d bytes)", etag, len(r.body))
		}
		if at, ok := l.truth.superseded(etag); ok {
			oldest = max(oldest, r.last.Sub(at))
		}
	}
	t.Logf("%d playlists received, the oldest %v after there was a newer one", len(l.received), oldest.Round(time.Millisecond))
	if oldest > target {
		t.Errorf("a playlist was received %v after there was a newer one; the target duration is %v", oldest, target)
	}
	if len(l.received) < 6 {
		t.Errorf("only %d playlists were received, so nothing was tested", len(l.received))
	}
}
