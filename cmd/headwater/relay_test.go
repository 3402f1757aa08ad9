package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwater-live/headwater/auth"
	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/remux"
)

// fakeNext is a next process within this one, to which connections are made by dialed.
type fakeNext struct {
	dialed   func(kind byte) (net.Conn, error)
	silenced chan struct{}
	silence  sync.Once
}

func (n *fakeNext) Dial(kind byte) (net.Conn, error) { return n.dialed(kind) }
func (n *fakeNext) Announced() error                 { return nil }
func (n *fakeNext) Silence()                         { n.silence.Do(func() { close(n.silenced) }) }

func newFakeNext(dialed func(kind byte) (net.Conn, error)) *fakeNext {
	return &fakeNext{dialed: dialed, silenced: make(chan struct{})}
}

// answers is a next process that a handler answers for.
func answers(t *testing.T, r *relays, h http.Handler) *fakeNext {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(func() { r.end(); server.Close() })
	return newFakeNext(func(byte) (net.Conn, error) { return net.Dial("tcp", server.Listener.Addr().String()) })
}

// retiredRelays are those of a server that has handed over, whose log is said. They end with the test.
func retiredRelays(t *testing.T) (r *relays, said *bytes.Buffer) {
	t.Helper()
	cfg := config.Default()
	said = &bytes.Buffer{}
	s := &server{logger: slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	s.running.Store(&cfg)
	s.hub = remux.NewHub(remux.Config{})
	s.hub.Retire()
	var err error
	if s.access, err = newAccess(cfg, s.logger); err != nil {
		t.Fatal(err)
	}
	r = newRelays(s)
	t.Cleanup(func() {
		r.end()
		s.hub.Close()
		s.access.cancel()
	})
	return r, said
}

// closes waits until the other side closes a connection.
func closes(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Errorf("the connection is not closed: %v", err)
	}
}

func TestAStreamIsAskedForOnce(t *testing.T) {
	r, _ := retiredRelays(t)
	far := make(chan net.Conn, 9)
	asks := make(chan struct{}, 9)
	let := make(chan struct{})
	r.next = newFakeNext(func(byte) (net.Conn, error) {
		asks <- struct{}{}
		<-let
		a, b := net.Pipe()
		far <- b
		return a, nil
	})
	_, leave := r.server.hub.Expect("live/a", func(*remux.Stream) {})
	defer leave()
	polled := make(chan struct{})
	for range 2 { // as the beginning and the end of an upgrade may
		go func() {
			r.poll(0)
			polled <- struct{}{}
		}()
	}
	<-asks
	<-asks
	close(let)
	said := make(chan struct{}, 4)
	for range 2 {
		conn := <-far
		go func() {
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				said <- struct{}{}
			}
			if _, err := conn.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
				said <- struct{}{}
			}
		}()
	}
	<-polled
	<-polled
	for range 3 { // both requests, and the end of one of them
		select {
		case <-said:
		case <-time.After(patience):
			t.Fatal("a stream is asked for twice")
		}
	}
}

func TestWhatIsLetGoOfMeanwhileIsNotFollowed(t *testing.T) {
	r, _ := retiredRelays(t)
	asks, let, far := make(chan struct{}), make(chan struct{}), make(chan net.Conn, 1)
	r.next = newFakeNext(func(byte) (net.Conn, error) {
		close(asks)
		<-let
		a, b := net.Pipe()
		far <- b
		return a, nil
	})
	_, leave := r.server.hub.Expect("live/a", func(*remux.Stream) {})
	defer leave()
	polled := make(chan struct{})
	go func() { defer close(polled); r.poll(0) }()
	<-asks
	ended := make(chan struct{})
	go func() { defer close(ended); r.end() }()
	eventually(t, "it ends", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.over })
	close(let)
	closes(t, <-far)
	<-polled
	<-ended
}

func TestRelaysEndAsAskedWhoeverIsWaitedFor(t *testing.T) {
	for what, end := range map[string]func(*relays, context.CancelFunc) (timeout time.Duration){
		"asked to":               func(_ *relays, asked context.CancelFunc) time.Duration { asked(); return time.Hour },
		"time is up":             func(*relays, context.CancelFunc) time.Duration { return time.Millisecond },
		"the next process fails": func(r *relays, _ context.CancelFunc) time.Duration { r.cancel(errFailed); return time.Hour },
	} {
		r, _ := retiredRelays(t)
		var next *fakeNext
		next = newFakeNext(func(byte) (net.Conn, error) { // it is sent more than it takes
			<-next.silenced
			return nil, errors.New("silenced")
		})
		_, leave := r.server.hub.Expect("live/a", func(*remux.Stream) {})
		defer leave()
		r.begin(next)
		r.served(true)
		asked, ask := context.WithCancel(context.Background())
		defer ask()
		done := make(chan struct{})
		timeout := end(r, ask)
		go func() { defer close(done); r.wait(asked, timeout); r.end() }()
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatalf("%s: it does not end", what)
		}
	}
}

// denylistOf is what the next process has on its denylist; a request is answered with that, and with what comes, until cut.
type denylistOf struct {
	entries func() []auth.Entry
	denials denials
}

func (l *denylistOf) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	l.denials.serve(w, req, l.entries)
}

// TestWhomTheNextProcessDeniesIsSentAway has entries made before the list is asked for, for a second, and while nobody
// hears.
func TestWhomTheNextProcessDeniesIsSentAway(t *testing.T) {
	r, _ := retiredRelays(t)
	deny := func(token string, ttl time.Duration) auth.Entry {
		return auth.Entry{Token: token, Until: time.Now().Add(ttl)}
	}
	var mu sync.Mutex
	entries := []auth.Entry{deny("early", time.Hour)}
	l := &denylistOf{entries: func() []auth.Entry { mu.Lock(); defer mu.Unlock(); return entries }}
	gone := make(map[string]<-chan struct{})
	for _, token := range []string{"early", "kicked", "unheard"} {
		gone[token] = letIn(t, r.server, token)
	}
	stays := letIn(t, r.server, "another")
	r.begin(answers(t, r, l))
	r.served(true)
	leaves := func(token string) {
		t.Helper()
		select {
		case <-gone[token]:
		case <-time.After(patience):
			t.Fatalf("%s stays", token)
		}
	}
	leaves("early")
	l.denials.tell(deny("kicked", time.Second))
	leaves("kicked")
	mu.Lock()
	entries = append(entries, deny("unheard", time.Hour))
	mu.Unlock()
	l.denials.mu.Lock()
	for follower := range l.denials.followers { // as if it had not read
		close(follower)
		delete(l.denials.followers, follower)
	}
	l.denials.mu.Unlock()
	leaves("unheard")
	if n := len(r.server.access.Denylist()); n > 3 {
		t.Errorf("there are %d entries", n)
	}
	select {
	case <-stays:
		t.Error("somebody else is sent away")
	default:
	}
}

func TestViewersEndWhereTheDenylistCannotBeHad(t *testing.T) {
	for what, h := range map[string]http.HandlerFunc{
		"no list":  http.NotFound,
		"no entry": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{]\n") },
		"no action": func(w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(auth.Entry{Token: "a", Action: "fly"})
		},
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat(" ", maxDenial+1))
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r, _ := retiredRelays(t)
			r.begin(answers(t, r, h))
			r.served(true)
			select {
			case <-r.ctx.Done():
			case <-time.After(patience):
				t.Fatal("viewers stay")
			}
			if cause := context.Cause(r.ctx); !errors.Is(cause, errDenials) {
				t.Error(cause)
			}
		})
	}
}

// passedOn is the address of a server that passes requests on to a handler.
func passedOn(t *testing.T, h http.Handler) (r *relays, addr string, said *bytes.Buffer) {
	t.Helper()
	r, said = retiredRelays(t)
	r.next = answers(t, r, h)
	r.patience = 100 * time.Millisecond
	front := httptest.NewServer(r.pass())
	t.Cleanup(front.Close)
	return r, front.Listener.Addr().String(), said
}

func TestWhoReadsNothingOfWhatIsPassedOnIsCutOff(t *testing.T) {
	r, addr, _ := passedOn(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for block := make([]byte, 1<<20); ; {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}))
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // a test
	if _, err := io.WriteString(conn, "GET /segment HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing is passed on any more", func() bool { return r.proxied.Load() == 0 })
}

func TestAnAnswerThatBreaksOffIsLogged(t *testing.T) {
	r, addr, said := passedOn(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "2")
		_, _ = io.WriteString(w, "1")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	res, err := http.Get("http://" + addr)
	if err == nil {
		_, err = io.ReadAll(res.Body)
		_ = res.Body.Close()
	}
	if err == nil {
		t.Error("it is whole")
	}
	eventually(t, "nothing is passed on any more", func() bool { return r.proxied.Load() == 0 })
	if !strings.Contains(said.String(), "level=DEBUG") {
		t.Errorf("the log says %q", said)
	}
}

func TestAnAnswerThatPausesIsPassedOn(t *testing.T) {
	_, addr, _ := passedOn(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.WriteString(w, req.URL.RawQuery)
		_ = http.NewResponseController(w).Flush()
		time.Sleep(300 * time.Millisecond) // for longer than a write may take
		_, _ = io.WriteString(w, " and more")
	}))
	res, err := http.Get("http://" + addr + "/a?token=%zz;b")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // it was read
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "token=%zz;b and more" {
		t.Errorf("%q, %v", body, err)
	}
}
