package hooks

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/headwater-live/headwater/events"
)

const testSecret = "a secret of some length"

// receiver is an endpoint that keeps what it took.
type receiver struct {
	t *testing.T
	*httptest.Server

	mu       sync.Mutex
	status   func(events.Event) int // nil is 200
	taken    []events.Event
	attempts int
	changed  chan struct{}
}

func newReceiver(t *testing.T, status func(events.Event) int) *receiver {
	r := &receiver{t: t, status: status, changed: make(chan struct{})}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	var e events.Event
	if err := json.Unmarshal(body, &e); err != nil {
		r.t.Errorf("%v: %s", err, body)
	}
	if err := Verify(testSecret, req.Header.Get(SignatureHeader), body, time.Now(), time.Minute); err != nil {
		r.t.Errorf("%v: %s", err, req.Header)
	}
	if req.Header.Get(IDHeader) != e.ID.String() || req.Header.Get(TypeHeader) != string(e.Type) {
		r.t.Errorf("headers %v of %+v", req.Header, e)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	status := 200
	if r.status != nil {
		status = r.status(e)
	}
	r.attempts++
	if status < 300 {
		r.taken = append(r.taken, e)
	}
	close(r.changed)
	r.changed = make(chan struct{})
	w.Header().Set("Location", r.URL+"/elsewhere")
	w.WriteHeader(status)
}

// until waits until something holds, with the receiver locked.
func (r *receiver) until(what string, holds func() bool) {
	r.t.Helper()
	limit := time.After(time.Minute)
	for {
		r.mu.Lock()
		ok, changed := holds(), r.changed
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-limit:
			r.t.Fatalf("not within a minute: %s", what)
		}
	}
}

// numbers are those of a stream's events, in the order in which they were taken first.
func (r *receiver) numbers(stream string) (list []uint64) {
	for _, e := range r.taken {
		if e.Stream == stream && !slices.Contains(list, e.ID.Number) {
			list = append(list, e.ID.Number)
		}
	}
	return list
}

func start(t *testing.T, folder string, bus *events.Bus, urls ...string) *Dispatcher {
	t.Helper()
	d, err := Start(Config{
		URLs: urls, Secret: testSecret, Types: []events.Type{events.StreamIdle}, Folder: folder, MaxQueue: 1 << 20,
		Timeout: 10 * time.Second, MaxAge: time.Hour, UserAgent: "Headwater/test", Logger: slog.New(slog.DiscardHandler),
	}, bus)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func idle(bus *events.Bus, streams, each int) {
	for range each {
		for s := range streams {
			bus.Emit(events.Event{Type: events.StreamIdle, Stream: fmt.Sprintf("live/%d", s)})
		}
	}
}

func closed(d *Dispatcher, bus *events.Bus) {
	bus.Close()
	d.Close(context.Background())
}

func TestEveryEndpointGetsTheEventsOfAStreamInOrder(t *testing.T) {
	failing := 0
	flaky := newReceiver(t, func(events.Event) int {
		if failing++; failing%7 == 3 {
			return 503
		}
		return 200
	})
	sound := newReceiver(t, nil)
	bus := events.NewBus(0)
	d := start(t, t.TempDir(), bus, flaky.URL+"/hook?key=secret", sound.URL)
	const streams, each = 5, 4
	idle(bus, streams, each)
	bus.Emit(events.Event{Type: events.StreamLive, Stream: "live/0"}) // nobody has asked for it
	for _, r := range []*receiver{flaky, sound} {
		r.until("all events", func() bool { return len(r.taken) >= streams*each })
		r.mu.Lock()
		for s := range streams {
			var want []uint64
			for i := range each {
				want = append(want, uint64(i*streams+s+1))
			}
			if got := r.numbers(fmt.Sprintf("live/%d", s)); !slices.Equal(got, want) {
				t.Errorf("stream %d: %v, want %v", s, got, want)
			}
		}
		r.mu.Unlock()
	}
	closed(d, bus)
	if s := d.Status()[0]; s.Delivered != streams*each || s.Failed == 0 || strings.Contains(s.Endpoint, "secret") {
		t.Errorf("%+v", s)
	}
}

func TestWhatWasNotDeliveredIsDeliveredByTheNextProcess(t *testing.T) {
	up := false
	r := newReceiver(t, func(events.Event) int {
		if up {
			return 200
		}
		return 500
	})
	folder := t.TempDir()
	bus := events.NewBus(0)
	first := start(t, folder, bus, r.URL)
	idle(bus, 1, 3)
	r.until("an attempt", func() bool { return r.attempts > 0 })
	closed(first, bus)
	if q := first.Status()[0].Queued; q != 3 {
		t.Errorf("%d events wait", q)
	}
	r.mu.Lock()
	up = true
	r.mu.Unlock()
	bus = events.NewBus(0)
	second := start(t, folder, bus, r.URL)
	idle(bus, 1, 1)
	r.until("all events", func() bool { return len(r.taken) == 4 })
	closed(second, bus)
	if r.taken[0].ID.Number != 1 || r.taken[2].ID.Number != 3 || r.taken[3].ID.Run == r.taken[0].ID.Run {
		t.Errorf("%+v", r.taken)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	r := newReceiver(t, func(events.Event) int { return 302 })
	bus := events.NewBus(0)
	d := start(t, t.TempDir(), bus, r.URL+"/a")
	idle(bus, 1, 1)
	r.until("two attempts", func() bool { return r.attempts >= 2 })
	closed(d, bus)
	if s := d.Status()[0]; s.Queued != 1 || !strings.Contains(s.LastError, "302") {
		t.Errorf("%+v", s)
	}
}

func TestAnEventThatTheEndpointCannotTakeDoesNotHoldTheOthersUp(t *testing.T) {
	r := newReceiver(t, func(e events.Event) int {
		if e.ID.Number == 1 {
			return 422
		}
		return 204
	})
	bus := events.NewBus(0)
	d := start(t, t.TempDir(), bus, r.URL)
	idle(bus, 1, 2)
	r.until("the second event", func() bool { return len(r.taken) == 1 })
	closed(d, bus)
	if s := d.Status()[0]; s.Dropped != 1 || r.attempts != maxRefusals+1 {
		t.Errorf("%+v after %d attempts", s, r.attempts)
	}
}

func TestAFullQueueSaysWhatItDropped(t *testing.T) {
	up := false
	r := newReceiver(t, func(events.Event) int {
		if up {
			return 200
		}
		return 500
	})
	bus := events.NewBus(1 << 15)
	d := start(t, t.TempDir(), bus, r.URL)
	idle(bus, 1, 5000)
	eventually(t, func() bool {
		return d.Status()[0].Dropped > 0 && (*d.endpoints.Load())[0].lanes[laneOf("live/0")].idlePump(bus)
	})
	dropped := d.Status()[0].Dropped
	r.mu.Lock()
	up = true
	r.mu.Unlock()
	r.until("room", func() bool { return len(r.taken) > 500 })
	idle(bus, 1, 1)
	r.until("the gap", func() bool {
		return slices.ContainsFunc(r.taken, func(e events.Event) bool { return e.Type == events.Missed })
	})
	closed(d, bus)
	for _, e := range r.taken {
		if e.Type == events.Missed {
			if n := e.Data.(map[string]any)["events"]; n != float64(dropped) {
				t.Errorf("%v events were missed, %d dropped", n, dropped)
			}
		}
	}
}

// idlePump reports whether the pump has dealt with all events.
func (l *lane) idlePump(bus *events.Bus) bool {
	count, _ := l.queue.waiting()
	return uint64(count)+l.endpoint.dropped.Load() == bus.Last().Number
}

func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within a minute")
		}
	}
}

func TestErrorsDoNotSayTheURL(t *testing.T) {
	bus := events.NewBus(0)
	d := start(t, t.TempDir(), bus, "http://127.0.0.1:1/hook?key=hush")
	idle(bus, 1, 1)
	eventually(t, func() bool { return d.Status()[0].Failed > 0 })
	closed(d, bus)
	if s := d.Status()[0]; strings.Contains(s.LastError+s.Endpoint, "hush") || s.LastError == "" {
		t.Errorf("%+v", s)
	}
}

func TestSignaturesFitOneBodyOneSecretAndOneTime(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	body := []byte(`{"id":"ab-1"}`)
	header := Sign("secret", body, now)
	// Computed with: printf '%s' '1800000000.{"id":"ab-1"}' | openssl dgst -sha256 -hmac secret
	const want = "t=1800000000,v1=14c788e0aa810413445d99d4faabaca64d1b45c54adc170bc786866c1c68b6e0"
	if header != want {
		t.Errorf("got %s", header)
	}
	check := func(secret, header string, body []byte, at time.Time) bool {
		return Verify(secret, header, body, at, 5*time.Minute) == nil
	}
	for name, ok := range map[string]bool{
		"right":        check("secret", header, body, now.Add(4*time.Minute)),
		"wrong secret": !check("Secret", header, body, now),
		"wrong body":   !check("secret", header, []byte(`{"id":"ab-2"}`), now),
		"too old":      !check("secret", header, body, now.Add(6*time.Minute)),
		"too new":      !check("secret", header, body, now.Add(-6*time.Minute)),
		"another time": !check("secret", strings.Replace(header, "1800000000", "1800000001", 1), body, now),
		"nothing":      !check("secret", "", body, now),
		"no time":      !check("secret", "v1=00", body, now),
	} {
		if !ok {
			t.Error(name)
		}
	}
}
