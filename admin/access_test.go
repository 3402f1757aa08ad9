package admin

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/remux"
)

// gate is an Access that remembers what it was told.
type gate struct{ denied []string }

func (g *gate) EndSession(id string) bool { return id == "7" }
func (g *gate) Durable() bool             { return false }

func (g *gate) Allow(id string) (bool, error) {
	if id == "late" {
		return false, ErrEnding
	}
	return id == "1", nil
}

func (g *gate) Sessions(stream string, after uint64, limit int) (any, uint64) {
	return []string{fmt.Sprintf("%d sessions of %s after %d", limit, stream, after)}, after + 9
}

func (g *gate) Denylist(uint64, int) (any, uint64) { return g.denied, 0 }

func (g *gate) Deny(d Denial, ttl time.Duration) (Denied, error) {
	if d.Token == "late" {
		return Denied{}, ErrEnding
	}
	if d.Token == "" && d.Stream == "" {
		return Denied{}, fmt.Errorf("%w: empty", ErrInvalid)
	}
	g.denied = append(g.denied, fmt.Sprintf("%s%s %s %v", d.Token, d.Stream, d.Action, ttl))
	return Denied{Entry: map[string]string{"id": "1"}, Ended: 3, Durable: d.Stream != ""}, nil
}

func send(h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:8081"+path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, arrived(r))
	return w
}

func newAccessHandler(t *testing.T, token string, g *gate) http.Handler {
	t.Helper()
	hub := remux.NewHub(remux.Config{})
	t.Cleanup(hub.Close)
	return NewHandler(Config{
		Streams: hub, Ready: func() (bool, string) { return true, "" }, Token: token, Access: g, Logger: slog.New(slog.DiscardHandler),
	})
}

func TestTheAPIRevokes(t *testing.T) {
	g := &gate{}
	h := newAccessHandler(t, "", g)
	for _, test := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/api/v1/sessions?stream=live/test", "", 200, "1000 sessions of live/test after 0"},
		{"GET", "/api/v1/sessions?limit=5&cursor=" + cursor("7"), "", 200, "5 sessions of  after 7"},
		{"GET", "/api/v1/sessions?cursor=" + cursor("7"), "", 200, `"next":"` + cursor("16") + `"`},
		{"GET", "/api/v1/sessions?cursor=" + cursor("x"), "", 400, "cursor"},
		{"DELETE", "/api/v1/sessions/7", "", 204, ""},
		{"DELETE", "/api/v1/sessions/8", "", 404, "has left"},
		{"POST", "/api/v1/denylist", `{"token":"t-1","ttl":"2h"}`, 201, `"ended":3`},
		{"POST", "/api/v1/denylist", `{"stream":"live/*","action":"play","ttl":"30s"}`, 201, `"id":"1"`},
		{"POST", "/api/v1/denylist", `{"token":"t-1","ttl":"1h"}`, 201, `"durable":false`},
		{"POST", "/api/v1/denylist", `{"stream":"live/a","ttl":"1h"}`, 201, `"durable":true`},
		{"POST", "/api/v1/denylist", `{"token":"late","ttl":"1h"}`, 503, "nothing was changed"},
		{"DELETE", "/api/v1/denylist/late", "", 503, "nothing was changed"},
		{"GET", "/api/v1/denylist", "", 200, `"durable":false`},
		{"POST", "/api/v1/denylist", `{"ttl":"30s"}`, 400, "invalid entry"},
		{"POST", "/api/v1/denylist", `{"token":"t-1"}`, 400, "duration"},
		{"POST", "/api/v1/denylist", `{"tokens":"t-1","ttl":"2h"}`, 400, "body must be"},
		{"POST", "/api/v1/denylist", `{"token":"` + strings.Repeat("x", maxDenial) + `"}`, 413, "4096 bytes"},
		{"POST", "/api/v1/denylist", `{"token":"t-1","ttl":"2h"} {"token":"t-2"}`, 400, "body must be"},
		{"POST", "/api/v1/denylist", `{"token":"t-1","ttl":"2h"} }`, 400, "body must be"},
		{"POST", "/api/v1/denylist", `{"token":"t-1","ttl":"2h"}]`, 400, "body must be"},
		{"POST", "/api/v1/denylist", `{"token":"t-1","ttl":"2h"}` + strings.Repeat(" ", maxDenial), 413, "4096 bytes"},
		{"GET", "/api/v1/denylist", "", 200, "live/* play 30s"},
		{"DELETE", "/api/v1/denylist/1", "", 204, ""},
		{"DELETE", "/api/v1/denylist/2", "", 404, "no entry"},
	} {
		w := send(h, test.method, test.path, test.body)
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.says) {
			t.Errorf("%s %s %s: %d %s", test.method, test.path, test.body, w.Code, w.Body)
		}
	}
}

func TestTheTokenTravelsInTheHeaderOnly(t *testing.T) {
	h := newAccessHandler(t, "the-admin-token", &gate{})
	for _, path := range []string{"/api/v1/sessions", "/api/v1/denylist", "/api/v1/streams", "/metrics", "/api/v1/server"} {
		if w := send(h, "GET", path, "", "Authorization", "Bearer the-admin-token"); w.Code != 200 {
			t.Errorf("%s: %d", path, w.Code)
		}
		for _, query := range []string{"", "?token=the-admin-token", "?access_token=the-admin-token"} {
			if w := send(h, "GET", path+query, "", "Cookie", "token=the-admin-token"); w.Code != 401 {
				t.Errorf("%s%s: %d", path, query, w.Code)
			}
		}
	}
}

func TestWhoGuessesTokensIsNotHeardForAWhile(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	f := failures{now: func() time.Time { return now }, byAddress: map[string]*failing{}}
	for range maxFailures {
		if _, blocked := f.blocked("192.0.2.7:1"); blocked {
			t.Fatal("blocked too early")
		}
		f.failed("192.0.2.7:1")
	}
	if wait, blocked := f.blocked("192.0.2.7:2"); !blocked || wait != failureWindow {
		t.Errorf("blocked %v for %v", blocked, wait)
	}
	if _, blocked := f.blocked("192.0.2.8:1"); blocked {
		t.Error("another address is blocked as well")
	}
	now = now.Add(failureWindow)
	if _, blocked := f.blocked("192.0.2.7:1"); blocked {
		t.Error("it is blocked for good")
	}
	for i := range 2 * maxFailing {
		f.failed(fmt.Sprintf("[2001:db8:%x::1]:1", i))
	}
	if len(f.byAddress) > maxFailing+1 {
		t.Errorf("%d addresses are remembered", len(f.byAddress))
	}
	if _, blocked := f.blocked("[2001:db8:ffff::1]:1"); !blocked {
		t.Error("who comes from ever new addresses is not blocked")
	}

	// Through a proxy all come from one address. Who has the right token is heard still, unless it could be guessed.
	for token, want := range map[string]int{"an-admin-token-of-some-length": 200, "short-token-15c": 429} {
		h := newAccessHandler(t, token, &gate{})
		codes := map[int]int{}
		for range maxFailures + 5 {
			codes[send(h, "GET", "/api/v1/streams", "", "Authorization", "Bearer guess").Code]++
		}
		if codes[401] != maxFailures || codes[429] != 5 {
			t.Errorf("statuses %v", codes)
		}
		if w := send(h, "GET", "/api/v1/streams", "", "Authorization", "Bearer "+token); w.Code != want {
			t.Errorf("%s: %d, want %d", token, w.Code, want)
		}
		if w := send(h, "GET", "/healthz", ""); w.Code != 200 {
			t.Errorf("health: %d", w.Code)
		}
	}
}

func TestTheTokenIsABearerToken(t *testing.T) {
	h := newAccessHandler(t, "an-admin-token-of-some-length", &gate{})
	for header, want := range map[string]int{
		"Bearer an-admin-token-of-some-length": 200, "bearer an-admin-token-of-some-length": 200,
		"an-admin-token-of-some-length": 401, "Basic an-admin-token-of-some-length": 401, "Beareran-admin-token-of-some-length": 401,
		"Bearer  an-admin-token-of-some-length": 401, "Bearer": 401, "Bearer ": 401, "": 401,
	} {
		w := send(h, "GET", "/api/v1/streams", "", "Authorization", header)
		if w.Code != want {
			t.Errorf("%q: %d, want %d", header, w.Code, want)
		}
		if want == 401 && w.Header().Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%q: it is not said what is wanted: %v", header, w.Header())
		}
	}
}

func TestPagesOfOtherSitesGetNowhere(t *testing.T) {
	g := &gate{}
	h := newAccessHandler(t, "", g)
	w := send(h, "POST", "/api/v1/denylist", `{"stream":"live/*","ttl":"2h"}`, "Sec-Fetch-Site", "cross-site", "Content-Type", "text/plain")
	if w.Code != 403 || len(g.denied) != 0 {
		t.Errorf("a page of another site has denied a stream: %d", w.Code)
	}
	for _, host := range []string{"attacker.example:8081", "127.0.0.1.attacker.example", "localhost.attacker.example:8081"} {
		if w := send(h, "GET", "/api/v1/streams", "", "Host", host); w.Code != http.StatusMisdirectedRequest {
			t.Errorf("%s is answered with %d", host, w.Code)
		}
	}
	for _, host := range []string{"localhost:8081", "127.0.0.1:8081", "[::1]:8081", "[::1]", "192.0.2.1"} {
		w := send(h, "GET", "/api/v1/streams", "", "Host", host, "Origin", "http://attacker.example")
		if w.Code != 200 {
			t.Errorf("%s is answered with %d", host, w.Code)
		}
		for name := range w.Result().Header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("the answer has %s", name)
			}
		}
	}
}

func TestEachRefusalIsCountedByItsReason(t *testing.T) {
	guard := NewGuard()
	handler := func(token string) http.Handler {
		return NewHandler(Config{Token: token, Guard: guard, Logger: slog.New(slog.DiscardHandler), Preview: http.NotFoundHandler()})
	}
	ask := func(h http.Handler, method, address string, headers ...string) {
		r := arrived(httptest.NewRequest(method, address, nil))
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	const api = "http://127.0.0.1/api/v1/server"
	guarded, open := handler("an-admin-token-of-some-length"), handler("")
	ask(guarded, "GET", api)
	for range maxFailures + 2 {
		ask(handler("an-admin-token-of-some-length"), "GET", api, "Authorization", "Bearer guess") // a new one at each reload
	}
	ask(guarded, "GET", api, "Authorization", "Bearer an-admin-token-of-some-length")
	ask(open, "GET", "http://elsewhere.test/api/v1/server")
	ask(open, "DELETE", "http://127.0.0.1/api/v1/streams/live/test", "Sec-Fetch-Site", "cross-site")
	ask(open, "GET", "http://127.0.0.1/preview/live/test.flv", "Sec-Fetch-Site", "cross-site")
	want := map[string]uint64{
		"admin-no-token": 1, "admin-wrong-token": maxFailures, "admin-too-many-failures": 2, "admin-misdirected": 1, "admin-cross-site": 2,
		"admin-too-many-event-streams": 0, "admin-too-many-previews": 0,
	}
	if got := guard.Refusals(); !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}
