package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headwater-live/headwater/remux"
)

func newTestHandler(t *testing.T, token string, ready bool) (http.Handler, *remux.Hub) {
	t.Helper()
	hub := remux.NewHub(remux.Config{Grace: time.Hour})
	t.Cleanup(hub.Close)
	return NewHandler(Config{
		Streams: hub,
		Ready:   func() (bool, string) { return ready, "draining" },
		Token:   token,
		Logger:  slog.New(slog.DiscardHandler),
	}), hub
}

func request(h http.Handler, method, path, token string) *httptest.ResponseRecorder {
	r := arrived(httptest.NewRequest(method, "http://127.0.0.1"+path, nil))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestHealthAndReadiness(t *testing.T) {
	h, _ := newTestHandler(t, "", true)
	for _, path := range []string{"/healthz", "/readyz"} {
		if w := request(h, "GET", path, ""); w.Code != 200 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	h, _ = newTestHandler(t, "secret", false)
	if w := request(h, "GET", "/healthz", ""); w.Code != 200 {
		t.Errorf("/healthz while draining: %d", w.Code)
	}
	if w := request(h, "GET", "/readyz", ""); w.Code != 503 {
		t.Errorf("/readyz while draining: %d", w.Code)
	}
}

func TestReadinessGivesItsReason(t *testing.T) {
	for _, ready := range []bool{true, false} {
		h := NewHandler(Config{Ready: func() (bool, string) { return ready, "the disk is full" }, Logger: slog.New(slog.DiscardHandler)})
		w := request(h, "GET", "/readyz", "")
		want := `{"reason":"the disk is full","status":"ready"}`
		if !ready {
			want = `{"reason":"the disk is full","status":"not ready"}`
		}
		if got := strings.TrimSpace(w.Body.String()); got != want || (w.Code == 200) != ready {
			t.Errorf("ready %t: %d, %s", ready, w.Code, got)
		}
	}
}

func TestTheAPIListsAndEndsPublications(t *testing.T) {
	h, hub := newTestHandler(t, "", true)
	pub, err := hub.Publish("live/test", remux.Publisher{Protocol: "rtmp", Encoder: "test encoder"})
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Streams []remux.Info }
	w := request(h, "GET", "/api/v1/streams", "")
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || len(list.Streams) != 1 {
		t.Fatalf("%v: %s", err, w.Body)
	}
	if s := list.Streams[0]; s.Name != "live/test" || s.State != "live" || s.Publication.Encoder != "test encoder" {
		t.Errorf("%+v", s)
	}
	if w := request(h, "DELETE", "/api/v1/streams/live/test", ""); w.Code != 204 {
		t.Errorf("DELETE: %d %s", w.Code, w.Body)
	}
	<-pub.Done()
	if pub.Reason() != remux.EndKicked {
		t.Errorf("ended as %s", pub.Reason())
	}
	if w := request(h, "DELETE", "/api/v1/streams/live/test", ""); w.Code != 409 {
		t.Errorf("second DELETE: %d", w.Code)
	}
	for _, path := range []string{"/api/v1/streams/live/other", "/api/v1/streams/live/..", "/api/v1/streams/li%2Fve/x"} {
		if w := request(h, "GET", path, ""); w.Code == 200 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestWhatViewersWaitForIsRedacted(t *testing.T) {
	hub := remux.NewHub(remux.Config{})
	t.Cleanup(hub.Close)
	for _, name := range []remux.StreamName{"live/soon", "live/sk_8d2f9c11", "live/sk_77aa01ff"} {
		_, cancel := hub.Expect(name, func(*remux.Stream) {})
		t.Cleanup(cancel)
	}
	h := NewHandler(Config{Streams: hub, Logger: slog.New(slog.DiscardHandler)})
	w := send(h, "GET", "/api/v1/streams", "")
	if want := `"waiting":{"live/sk…":2,"live/soon":1}`; !strings.Contains(w.Body.String(), want) {
		t.Errorf("%s has no %s", w.Body, want)
	}
}

func TestTheTokenIsRequired(t *testing.T) {
	h, _ := newTestHandler(t, "secret", true)
	for token, want := range map[string]int{"": 401, "wrong": 401, "secret": 200} {
		w := request(h, "GET", "/api/v1/streams", token)
		if w.Code != want {
			t.Errorf("token %q: %d, want %d", token, w.Code, want)
		}
		if w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Error("the admin API sends CORS headers")
		}
	}
}

// arrived has a request come over a connection from this machine.
func arrived(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}))
}

// elsewhere is a listener whose connections were made to an address that is not loopback.
type elsewhere struct{ net.Listener }

func (l elsewhere) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return connElsewhere{conn}, err
}

type connElsewhere struct{ net.Conn }

func (connElsewhere) LocalAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 8081}
}

// TestAConnectionFromElsewhereNeedsATokenThoughNoneIsSet: it was kept when the listener moved to loopback, and the token
// was taken away.
func TestAConnectionFromElsewhereNeedsATokenThoughNoneIsSet(t *testing.T) {
	guarded, _ := newTestHandler(t, "a-long-enough-token", true)
	open, _ := newTestHandler(t, "", true)
	var current atomic.Pointer[http.Handler]
	current.Store(&guarded)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*current.Load()).ServeHTTP(w, r) }))
	server.Listener = elsewhere{server.Listener}
	server.Start()
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // a test's own
	answers := bufio.NewReader(conn)
	ask := func(path string) int {
		t.Helper()
		if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	if got := ask("/healthz"); got != 200 {
		t.Fatalf("health: %d", got)
	}
	current.Store(&open)
	for _, path := range []string{"/api/v1/streams", "/metrics", "/api/v1/config"} {
		if got := ask(path); got != http.StatusMisdirectedRequest {
			t.Errorf("%s is answered with %d", path, got)
		}
	}
	if got := ask("/healthz"); got != 200 {
		t.Errorf("health: %d", got)
	}
}
