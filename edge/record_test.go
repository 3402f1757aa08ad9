package edge

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headwater-live/headwater/edge/accesslog"
	"github.com/headwater-live/headwater/remux"
)

// logged is a line of the access log.
type logged struct {
	Client, Method, Path, Query, Referer, Stream, Protocol string

	Status    int
	Bytes     uint64
	TTFB      float64
	Duration  float64
	RequestID string `json:"request_id"`
	Forwarded string `json:"forwarded_for"`
}

// logging returns an access log, and a function that ends it and returns its lines.
func logging(t *testing.T) (*accesslog.Switch, func() []logged) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "access.log")
	l, err := accesslog.Open(name, accesslog.JSON, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	log := &accesslog.Switch{}
	log.Use(l)
	return log, func() (lines []logged) {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := log.Close(ctx); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var one logged
			if err := json.Unmarshal([]byte(line), &one); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			lines = append(lines, one)
		}
		return lines
	}
}

func TestEveryAnswerIsLoggedOnceAndNamed(t *testing.T) {
	log, lines := logging(t)
	d := &doorman{}
	h := &Handler{HLS: outputs{t}, Access: d, Log: log}
	get := func(method, path string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Add(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	if id := get("GET", "/t/SECRET/live/test/index.m3u8?token=SECRET", "X-Request-Id", "from-the-cdn", "X-Forwarded-For", "198.51.100.3").Header().Get("X-Request-Id"); id != "from-the-cdn" {
		t.Errorf("the answer's name is %q", id)
	}
	made := get("HEAD", "/live/test/00ff/1-0a.ts", "X-Request-Id", "two words").Header().Get("X-Request-Id")
	get("OPTIONS", "/live/test.m3u8")
	get("PUT", "/live/test.m3u8")
	get("GET", "/favicon.ico")
	d.verdict = Verdict{Status: http.StatusForbidden, Reason: "no ticket"}
	get("GET", "/live/test.m3u8")
	got := lines()
	want := []string{
		"GET /t/-/live/test/index.m3u8 token=- 200 5 live/test hls", "HEAD /live/test/00ff/1-0a.ts  200 7 live/test hls",
		"OPTIONS /live/test.m3u8  204 0  ", "PUT /live/test.m3u8  405 39  ", "GET /favicon.ico  404 67  ",
		"GET /live/test.m3u8  403 10 live/test hls",
	}
	if len(got) != len(want) {
		t.Fatalf("%d lines: %+v", len(got), got)
	}
	for i, l := range got {
		if s := fmt.Sprint(l.Method, " ", l.Path, " ", l.Query, " ", l.Status, " ", l.Bytes, " ", l.Stream, " ", l.Protocol); s != want[i] {
			t.Errorf("line %d: %q, want %q", i, s, want[i])
		}
	}
	if got[0].RequestID != "from-the-cdn" || got[0].Forwarded != "198.51.100.3" || got[0].Client != "192.0.2.1" {
		t.Errorf("%+v", got[0])
	}
	if got[1].RequestID != made || made == "" || made == "two words" {
		t.Errorf("the second answer is called %q, its line %q", made, got[1].RequestID)
	}
}

// takenOver is a live output that takes its connection over, as those of HTTP/1.1 do.
type takenOver struct{ left chan func(uint64) }

func (o takenOver) Serve(w http.ResponseWriter, _ *http.Request, _ remux.StreamName, _ context.Context, leave func(uint64)) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-Request-Id: "+w.Header().Get("X-Request-Id")+"\r\nConnection: close\r\n\r\n")
	_ = conn.Close()
	o.left <- leave
}

func TestALiveViewerIsLoggedWhenItHasGone(t *testing.T) {
	log, lines := logging(t)
	out := takenOver{make(chan func(uint64), 1)}
	returned := make(chan struct{})
	handler := &Handler{FLV: out, Log: log}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(returned)
		handler.ServeHTTP(w, r)
	}))
	defer srv.Close()
	resp, err := http.Get(srv.URL + "/live/test.flv")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	leave := <-out.left
	<-returned
	leave(123456)
	got := lines()
	if len(got) != 1 || got[0].Bytes != 123456 || got[0].Status != 200 || got[0].Protocol != "flv" {
		t.Errorf("%+v", got)
	}
	if id := resp.Header.Get("X-Request-Id"); id == "" || got[0].RequestID != id {
		t.Errorf("the answer is called %q, its line %q", id, got[0].RequestID)
	}
}

// fileOutput answers with a file, as HLS does with segments.
type fileOutput struct {
	outputs
	name string
}

func (o fileOutput) ServeFile(w http.ResponseWriter, _ *http.Request, _ remux.StreamName, _, _ string) {
	f, err := os.Open(o.name)
	if err != nil {
		panic(err)
	}
	defer f.Close() //nolint:errcheck // it was read
	if _, ok := w.(io.ReaderFrom); !ok {
		panic("the way to sendfile is closed")
	}
	_, _ = io.Copy(w, f)
}

func TestFilesAreCountedWhicheverWayTheyGo(t *testing.T) {
	log, lines := logging(t)
	name := filepath.Join(t.TempDir(), "segment")
	if err := os.WriteFile(name, make([]byte, 300_000), 0o600); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(&Handler{HLS: fileOutput{outputs{t}, name}, Log: log})
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // a test
	_, _ = io.WriteString(conn, "GET /live/test/00ff/1-0a.ts HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := io.Copy(io.Discard, resp.Body)
	srv.Close() // when the handler has returned
	if got := lines(); n != 300_000 || len(got) != 1 || got[0].Bytes != 300_000 || got[0].Duration < got[0].TTFB {
		t.Errorf("%d bytes came, logged: %+v", n, got)
	}
}

// quiet is a response that costs nothing.
type quiet struct{ header http.Header }

func (q quiet) Header() http.Header         { return q.header }
func (q quiet) Write(b []byte) (int, error) { return len(b), nil }
func (q quiet) WriteHeader(int)             {}

func TestWithoutALogNothingIsPaidForIt(t *testing.T) {
	h := &Handler{HLS: outputs{t}}
	r := httptest.NewRequest("GET", "/live/test/index.m3u8", nil)
	w := quiet{http.Header{}}
	direct := testing.AllocsPerRun(100, func() { h.answer(w, r, nil) })
	if whole := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }); whole > direct {
		t.Errorf("%v allocations, %v without the question", whole, direct)
	}
	if w.header.Get("X-Request-Id") != "" {
		t.Error("an answer is named though nothing refers to it")
	}
}

// BenchmarkAccessLog compares a request with the log off, which is the default, with one that is logged.
func BenchmarkAccessLog(b *testing.B) {
	l, err := accesslog.Open(os.DevNull, accesslog.JSON, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	log := &accesslog.Switch{}
	log.Use(l)
	defer log.Close(context.Background()) //nolint:errcheck // it waits
	for name, log := range map[string]*accesslog.Switch{"off": nil, "on": log} {
		b.Run(name, func(b *testing.B) {
			h := &Handler{HLS: outputs{}, Log: log}
			r := httptest.NewRequest("GET", "/live/test/index.m3u8", nil)
			w := quiet{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}

func TestWhatMayBeAStreamKeyIsRedactedInTheLog(t *testing.T) {
	log, lines := logging(t)
	var begun atomic.Bool
	h := &Handler{HLS: outputs{t}, FLV: outputThat(func() {}), Access: &doorman{}, Log: log, Exists: func(name remux.StreamName) bool {
		return name == "live/real-stream" || name == "live/begins-now" && begun.Load()
	}}
	get := func(method, path, referer string) {
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("Referer", referer)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	get("GET", "/live/real-stream.m3u8", "http://example.com/live/real-stream")
	get("GET", "/live/sk_8d2f9c11.flv", "http://example.com/live/sk_8d2f9c11")
	get("GET", "/live/sk_8d2f9c11/index.m3u8", "http://example.com/t/TICKET/live/sk_8d2f9c11")
	get("GET", "/t/TICKET/live/sk_8d2f9c11/00ff/media.m3u8", "")
	get("GET", "/live/sk_8d2f9c11", "")
	get("GET", "/live/sk_8d2f9c11/x/y/sk_8d2f9c11", "")
	get("GET", "/sk_8d2f9c11", "")
	get("OPTIONS", "/live/sk_8d2f9c11.m3u8", "")
	get("PUT", "/live/real-stream.m3u8", "https://elsewhere.example/a/long-enough/page")
	h.FLV = outputThat(func() { begun.Store(true) })
	get("GET", "/live/begins-now.flv", "")
	h.FLV = outputThat(func() { begun.Store(false) })
	get("GET", "/live/begins-now.flv", "")
	want := []string{
		"/live/real-stream.m3u8 live/real-stream http://example.com/live/real-stream",
		"/live/sk….flv live/sk… http://example.com/live/sk…",
		"/live/sk…/index.m3u8 live/sk… http://example.com/t/-/live/sk…",
		"/t/-/live/sk…/00ff/media.m3u8 live/sk… ",
		"/live/sk…  ", "/live/sk…/x/y/sk…  ", "/sk…  ", "/live/sk….m3u8  ",
		"/live/real-stream.m3u8  https://elsewhere.example/a/long-enough/page",
		"/live/begins-now.flv live/begins-now ", "/live/begins-now.flv live/begins-now ",
	}
	got := lines()
	if len(got) != len(want) {
		t.Fatalf("%d lines: %+v", len(got), got)
	}
	for i, l := range got {
		if s := fmt.Sprint(l.Path, " ", l.Stream, " ", l.Referer); s != want[i] {
			t.Errorf("line %d: %q, want %q", i, s, want[i])
		}
	}
}

// outputThat is a live output that does something while it serves.
type outputThat func()

func (o outputThat) Serve(w http.ResponseWriter, _ *http.Request, _ remux.StreamName, _ context.Context, leave func(uint64)) {
	o()
	leave(0)
	w.WriteHeader(http.StatusOK)
}
