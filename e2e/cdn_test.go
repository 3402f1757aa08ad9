package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwater-live/headwater/e2e/hlscheck"
)

// Through a cache: the origin cuts segments of cdnTarget, as it does by default, and lets caches keep playlists
// for half of it, cdnMaxAge.
const (
	cdnTarget = 2 * time.Second
	cdnMaxAge = cdnTarget / 2
	cdnLoad   = 15 * time.Second
)

// swift builds headwater without the race detector, for tests that put load on it.
var swift = sync.OnceValues(func() (string, error) {
	path := filepath.Join(runDir, "headwater-swift")
	out, err := exec.Command("go", "build", "-o", path, "../cmd/headwater").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build headwater: %w\n%s", err, out)
	}
	return path, nil
})

// startSwift is startServerIn with a binary that has no race detector.
func startSwift(t testing.TB, dir string, flags ...string) *server {
	t.Helper()
	path, err := swift()
	if err != nil {
		t.Fatal(err)
	}
	return launch(t, dir, []string{path}, flags...)
}

// loopGap is why EXTINF may seem too long where a publication that is a loop is cut.
const loopGap = "between the last frame of a file and its first frame anew is more time than a frame's, and a server that is " +
	"killed just then has listed only what came before"

// publishLoop publishes a file again and again with `headwater publish`, until the test
// ends or stop is called.
func publishLoop(t testing.TB, file, url string) (stop func()) {
	t.Helper()
	path, err := swift()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := isolate(exec.CommandContext(ctx, path, "publish", "--loop", file, url))
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
	t.Cleanup(stop)
	return stop
}

// TestCDN puts the caches of the documentation between the origin and 2,000 requests a
// second, and then takes the origin away for a while.
func TestCDN(t *testing.T) {
	ctx := limit(t, 5*time.Minute)
	dir := t.TempDir()
	s := startSwift(t, dir)
	s.excuse(loopGap, "extinf-implausible")
	src := fixtureNamed(t, "mono-44k").make(t)
	const name = "cdn"
	stop := publishLoop(t, src.path, s.publishURL(name))
	waitForHLS(ctx, t, s.hlsURL(name), 3)
	a := addressesOf(ctx, t, s.hlsURL(name))
	if !strings.Contains(a.text, "#EXT-X-TARGETDURATION:2\n") {
		t.Fatalf("the target duration is not %v:\n%s", cdnTarget, a.text)
	}
	watched := &truth{bodies: map[string][]byte{}, segments: map[string][]byte{}}
	watched.origin.Store(&s.http)
	done, watching := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watching)
		watched.watch(t, pathOf(t, a.index), pathOf(t, a.media), done)
	}()
	defer func() { close(done); <-watching }()

	fronts := map[string]*front{}
	for kind, start := range caches {
		c := startCounter(t, s.http)
		fronts[kind] = &front{counter: c, client: clientOf(start(t, c.URL)), truth: watched, index: pathOf(t, a.index), media: pathOf(t, a.media)}
	}
	for kind, f := range fronts {
		t.Run(kind+"/load", func(t *testing.T) { f.underLoad(t) })
		t.Run(kind+"/contract", func(t *testing.T) { f.contract(t, kind) })
		t.Run(kind+"/flv", func(t *testing.T) { f.live(t, name+".flv", "FLV\x01") })
		t.Run(kind+"/ts", func(t *testing.T) { f.live(t, name+".ts", "\x47") })
		t.Run(kind+"/collapse", func(t *testing.T) { f.mustCollapse(ctx, t) })
	}
	outage(ctx, t, s, stop, fronts, src.path, name)
}

func pathOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Path
}

// front is a cache in front of the origin.
type front struct {
	counter      *counter
	client       *http.Client
	truth        *truth
	index, media string // paths
}

// underLoad checks what viewers get and what the origin is asked for meanwhile.
func (f *front) underLoad(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), cdnLoad)
	defer cancel()
	// A cache may add its own two lifetimes to when a segment is seen first.
	checker := hlscheck.New(hlscheck.Options{
		URL: throughCache + f.index, HTTPClient: f.client, Poll: 250 * time.Millisecond, Slack: 2*cdnMaxAge + time.Second,
	})
	var refereed sync.WaitGroup
	refereed.Go(func() { checker.Run(ctx) })
	l := &load{
		client: f.client, truth: f.truth, index: f.index, media: f.media, received: map[string]*receipt{},
		quiet: quietTimes{last: map[string]time.Time{}},
	}
	began := time.Now()
	l.run(ctx, t)
	took := time.Since(began)
	refereed.Wait()
	for _, finding := range checker.Report().Must() {
		t.Error(finding)
	}
	f.truth.mu.Lock()
	defer f.truth.mu.Unlock()
	l.check(t, cdnTarget)
	f.checkOrigin(t, took, f.counter.since(began), l.quiet.times)
}

// cannot says which rules a cache breaks by itself. Varnish compares If-None-Match as one
// text, so that a list gets a 200, which costs bytes and nothing else.
var cannot = map[string][]string{"Varnish": {"if-none-match"}}

// contract asks through the cache what browsers ask.
func (f *front) contract(t *testing.T, kind string) {
	checker := hlscheck.New(hlscheck.Options{URL: throughCache + f.index, HTTPClient: f.client, Ignore: cannot[kind]})
	if err := checker.CheckHTTP(limit(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	for _, finding := range checker.Report().Must() {
		t.Error(finding)
	}
}

// live checks that a live stream goes through the cache as it comes.
func (f *front) live(t *testing.T, file, magic string) {
	req, err := http.NewRequestWithContext(limit(t, 30*time.Second), http.MethodGet, throughCache+"/"+app+"/"+file, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := f.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	head := make([]byte, 16<<10)
	for got := 0; got < len(head); {
		n, err := res.Body.Read(head[got:])
		if got += n; err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
	}
	if res.StatusCode != http.StatusOK || !bytes.HasPrefix(head, []byte(magic)) || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
}

// outageLength is longer than all lifetimes of a playlist, and long enough for a health
// probe to notice.
const outageLength = 6 * time.Second

// outage kills the origin and starts it again: the caches give out what they have
// meanwhile, and then go on.
func outage(ctx context.Context, t *testing.T, s *server, stop func(), fronts map[string]*front, file, name string) {
	before := map[string]fetched{}
	for kind, f := range fronts {
		before[kind] = f.get(ctx, t, f.media)
	}
	kill(t, s)
	stop()
	for until := time.Now().Add(outageLength); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		for kind, f := range fronts {
			f.mustBeKnown(t, kind, f.get(ctx, t, f.media))
			f.mustBeKnown(t, kind, f.get(ctx, t, f.index))
		}
	}
	for kind, f := range fronts { // a page of another site shall see that it is a 503
		if got := f.get(ctx, t, "/live/never-asked-for/index.m3u8"); got.status != http.StatusServiceUnavailable ||
			!slices.Equal(got.header.Values("Access-Control-Allow-Origin"), []string{"*"}) || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s, of what it has not: status %d, %v", kind, got.status, got.header)
		}
	}
	again := startSwift(t, s.storage)
	for _, f := range fronts {
		f.truth.origin.Store(&again.http)
		f.counter.origin.Store(&again.http)
	}
	publishLoop(t, file, again.publishURL(name))
	for kind, f := range fronts {
		f.mustGoOn(ctx, t, kind, string(before[kind].body))
	}
}

// kill ends a server as a crash does.
func kill(t *testing.T, s *server) {
	t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.exited
	s.err = nil // as asked
}

func (f *front) get(ctx context.Context, t *testing.T, path string) fetched {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, throughCache+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := f.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var body bytes.Buffer
	if _, err := body.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	return fetched{status: res.StatusCode, header: res.Header, body: body.Bytes()}
}

// mustBeKnown checks that an answer is one that the origin once gave.
func (f *front) mustBeKnown(t *testing.T, kind string, got fetched) {
	t.Helper()
	etag := got.header.Get("Etag")
	f.truth.mu.Lock()
	defer f.truth.mu.Unlock()
	if body, ok := f.truth.bodies[etag]; got.status != http.StatusOK || !ok || !bytes.Equal(body, got.body) {
		t.Errorf("%s: without the origin: status %d, %s, %d bytes", kind, got.status, etag, len(got.body))
	}
}

// mustGoOn checks that segments come that were not there before, with the origin's bytes.
func (f *front) mustGoOn(ctx context.Context, t *testing.T, kind, before string) {
	t.Helper()
	for {
		got := f.get(ctx, t, f.media)
		if got.status != http.StatusOK {
			t.Fatalf("%s: after the outage: status %d", kind, got.status)
		}
		segment := lastLine(got.body)
		if !strings.Contains(before, segment) {
			path := f.media[:strings.LastIndex(f.media, "/")+1] + segment
			if s := f.get(ctx, t, path); s.status != http.StatusOK || !bytes.Equal(s.body, f.truth.segment(t, path)) {
				t.Errorf("%s: %s: status %d, %d bytes, not the origin's", kind, segment, s.status, len(s.body))
			}
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: no new segment after the outage:\n%s", kind, got.body)
		case <-time.After(pollInterval):
		}
	}
}
