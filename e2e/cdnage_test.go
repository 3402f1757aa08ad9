package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestNoCacheGivesAnOldPlaylist has viewers who are alone come to a cache at the worst moments, with an origin whose
// every answer is out of date at once. None is given what has been so for longer than the target duration.
func TestNoCacheGivesAnOldPlaylist(t *testing.T) {
	t.Parallel()
	for kind, start := range caches {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			origin := &hasty{sent: map[string]time.Time{}}
			server := httptest.NewServer(origin)
			t.Cleanup(server.Close)
			f := &front{client: clientOf(start(t, server.URL))}
			var all sync.WaitGroup
			for _, target := range []time.Duration{2 * time.Second, 4 * time.Second} {
				const phases = 20 // caches count in whole seconds, or not
				for n := range phases {
					all.Go(func() {
						time.Sleep(time.Duration(n) * time.Second / phases)
						f.visit(t, origin, target, fmt.Sprintf("/live/%d-%d/index.m3u8", target/time.Second, n))
					})
				}
			}
			all.Wait()
		})
	}
}

// hasty is an origin with playlists that are never the same again.
type hasty struct {
	mu   sync.Mutex
	sent map[string]time.Time // when a version was sent, by its text
}

// ServeHTTP answers as Headwater does for a stream whose name begins with its target duration.
func (h *hasty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/" { // what health probes ask for
		http.NotFound(w, r)
		return
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/live/"), "-")
	target, err := strconv.Atoi(name)
	if err != nil {
		http.Error(w, "no target duration", http.StatusInternalServerError)
		return
	}
	h.mu.Lock()
	version := strconv.Itoa(len(h.sent))
	h.sent[version] = time.Time{}
	h.mu.Unlock()
	w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d, stale-while-revalidate=%[1]d", target/2))
	w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
	w.Header().Set("Etag", `"`+version+`"`)
	_, _ = w.Write([]byte(version)) // a cache that has gone is its own matter
	_ = http.NewResponseController(w).Flush()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent[version] = time.Now()
}

// visit asks for a playlist some times, each when the last answer has nearly been kept for as long as a cache might that
// rounds up all lifetimes.
func (f *front) visit(t *testing.T, origin *hasty, target time.Duration, path string) {
	const roundedUp, tolerance = 700 * time.Millisecond, 500 * time.Millisecond
	for n := range 3 {
		if n > 0 {
			time.Sleep(target + roundedUp)
		}
		asked := time.Now()
		got := f.get(t.Context(), t, path)
		origin.mu.Lock()
		sent, ok := origin.sent[string(got.body)]
		origin.mu.Unlock()
		if got.status != http.StatusOK || !ok {
			t.Errorf("%s: status %d, %q", path, got.status, got.body)
		}
		// It was given out after it was asked for: it was at least as old then.
		if age := asked.Sub(sent); !sent.IsZero() && age > target+tolerance {
			t.Errorf("%s: out of date for %v; the target duration is %v", path, age.Round(time.Millisecond), target)
		}
	}
}
