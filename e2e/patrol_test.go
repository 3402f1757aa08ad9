package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwater-live/headwater/e2e/hlscheck"
)

// patrol has the referee watch every HLS stream of a test, from its first publication to the test's end, through all
// servers that the test has on one data directory. No test need ask for it: whoever starts a server has it. It learns
// from the server's log when publications begin and end, and from the process when the server is down.
//
// A stream is left to the test where that calls the referee itself, or records the stream and has the recording judged:
// it knows more, such as when it did what. A rule that cannot hold in a test is named there, with the reason, see
// [server.excuse]. Benchmarks are not watched: they measure what the server does for somebody else.
type patrol struct {
	ctx    context.Context
	cancel context.CancelFunc
	all    sync.WaitGroup
	client *http.Client
	grace  time.Duration

	mu      sync.Mutex
	server  *server           // the newest
	http    string            // its address, "" until it is ready and when it is gone
	keys    map[string]string // what comes before the path of a stream whose viewers need a token, by stream or app
	streams map[string]*patrolled
	left    []string          // to the test
	excused map[string]string // why, by rule
	off     string            // why nothing is watched; "" if it is
}

// patrolled is a stream that is watched.
type patrolled struct {
	*hlscheck.Checker
	generation uint64 // of the newest publication
}

// patrolPoll is seldom enough to cost little, and often enough for every window, which is three seconds at least.
const patrolPoll = 250 * time.Millisecond

var (
	patrolsMu sync.Mutex
	patrols   = map[string]*patrol{} // by data directory

	// refereed has the multivariant playlists, by address, that a test has the referee watch by itself.
	refereed sync.Map
)

// patrolOf returns who watches the streams of a data directory. The test has to see it off.
func patrolOf(s *server, grace time.Duration) (p *patrol, isNew bool) {
	patrolsMu.Lock()
	defer patrolsMu.Unlock()
	if p := patrols[s.storage]; p != nil {
		return p, false
	}
	p = &patrol{grace: grace, keys: map[string]string{}, streams: map[string]*patrolled{}, excused: map[string]string{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.client = &http.Client{Transport: p}
	patrols[s.storage] = p
	return p, true
}

// graceOf returns the stream.grace of a server with these flags.
func graceOf(flags []string) time.Duration {
	for i, flag := range flags {
		name, value, ok := strings.Cut(flag, "=")
		if !ok && i+1 < len(flags) {
			value = flags[i+1]
		}
		if name == "--config" {
			text, _ := os.ReadFile(value) // the server says what is wrong with it
			if m := graceSetting.FindSubmatch(text); m != nil {
				name, value = "--stream.grace", string(m[1])
			}
		}
		if d, err := time.ParseDuration(value); name == "--stream.grace" && err == nil {
			return d
		}
	}
	return 30 * time.Second
}

var graceSetting = regexp.MustCompile(`(?m)^stream\.grace: *(\S+)$`)

// excuse says why the streams of this test cannot keep to some rules.
func (s *server) excuse(reason string, rules ...string) {
	s.patrol.mu.Lock()
	defer s.patrol.mu.Unlock()
	for _, rule := range rules {
		s.patrol.excused[rule] = reason
	}
}

// unwatched says why nobody may ask the server for more than the test does.
func (s *server) unwatched(reason string) {
	s.patrol.mu.Lock()
	defer s.patrol.mu.Unlock()
	s.patrol.off = reason
}

// admit gives tokens to watch with, by stream or app.
func (p *patrol) admit(tokens map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, token := range tokens {
		p.keys[name] = "/t/" + token
	}
}

// ready is called when a server can be asked.
func (p *patrol) ready(s *server, address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server, p.http = s, address
	for _, w := range p.streams {
		w.generation = 0
		w.Mark(hlscheck.ServerUp)
	}
}

// gone is called when a server's process has ended, before that is told anybody else.
func (p *patrol) gone(s *server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server != s {
		return
	}
	p.http = ""
	for _, w := range p.streams {
		w.Mark(hlscheck.ServerDown)
		w.Mark(hlscheck.PublisherLeft)
	}
}

// follow reads a record of the server's log.
func (p *patrol) follow(line []byte) {
	if !bytes.Contains(line, []byte(`"publication `)) {
		return
	}
	var r struct {
		Msg, Stream, Reason string
		Generation          uint64
	}
	if json.Unmarshal(line, &r) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r.Msg {
	case "publication began", "publication goes on": // the latter after an upgrade
		p.began(r.Stream, r.Generation)
	case "publication ended":
		w := p.streams[r.Stream]
		if w == nil || r.Generation < w.generation {
			return // somebody else has taken its place
		}
		if r.Reason == "ended-by-operator" {
			w.Mark(hlscheck.StreamEnded)
		}
		w.Mark(hlscheck.PublisherLeft)
	}
}

// began begins to watch a stream. The caller holds mu.
func (p *patrol) began(stream string, generation uint64) {
	if w := p.streams[stream]; w != nil {
		w.generation = generation
		w.Mark(hlscheck.PublisherBack)
		return
	}
	if _, ok := refereed.Load(p.http + "/" + stream + "/index.m3u8"); ok || p.off != "" || p.ctx.Err() != nil {
		p.left = append(p.left, stream)
		return
	}
	app, _, _ := strings.Cut(stream, "/")
	key := cmp.Or(p.keys[stream], p.keys[app])
	w := &patrolled{generation: generation, Checker: hlscheck.New(hlscheck.Options{
		URL: "http://origin.example" + key + "/" + stream + "/index.m3u8", HTTPClient: p.client,
		Poll: patrolPoll, Grace: p.grace, Slack: busySlack,
	})}
	p.streams[stream] = w
	p.all.Go(func() { w.Run(p.ctx) })
}

// dyingTime is how long a server that answers no more may take to be gone.
const dyingTime = stopLimit

var errNoServer = errors.New("there is no server")

// RoundTrip asks the newest server, and reads the answer to its end. Where that fails because the server is going, it
// returns when it has gone.
func (p *patrol) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	s, address := p.server, p.http
	p.mu.Unlock()
	if address == "" {
		return nil, errNoServer
	}
	r = r.Clone(r.Context())
	r.URL.Host = strings.TrimPrefix(address, "http://")
	r.Host = r.URL.Host
	res, err := viewerClient.Transport.RoundTrip(r)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
	}
	if err != nil {
		select {
		case <-s.exited:
		case <-time.After(dyingTime):
		case <-p.ctx.Done():
		}
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// verdict ends the watch and fails the test for each rule that was broken.
func (p *patrol) verdict(t testing.TB, storage string) {
	patrolsMu.Lock()
	delete(patrols, storage)
	patrolsMu.Unlock()
	p.mu.Lock()
	p.cancel()
	p.mu.Unlock()
	p.all.Wait()
	for name, w := range p.streams {
		report := w.Report()
		must := slices.DeleteFunc(report.Must(), func(f hlscheck.Finding) bool { return p.excused[f.Rule] != "" })
		for _, finding := range must {
			t.Errorf("%s: %s", name, finding)
		}
		t.Logf("the referee has seen %d segments of %s, and found %d faults", len(report.Segments), name, len(must))
	}
	for rule, why := range p.excused {
		t.Logf("%s is not held against the server: %s", rule, why)
	}
	if p.off != "" {
		t.Logf("the referee does not watch: %s", p.off)
	}
	if len(p.left) > 0 {
		t.Logf("watched by the test itself: %q", p.left)
	}
}
