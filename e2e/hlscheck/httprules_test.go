package hlscheck

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// spoiledAnswer is a way to break one HTTP rule.
type spoiledAnswer struct {
	rule  string
	name  string
	also  string
	spoil func(r *http.Request, a *answer)
}

func onSegment(r *http.Request) bool  { return strings.HasSuffix(r.URL.Path, ".ts") }
func onPlaylist(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "media.m3u8") }

var httpCases = []spoiledAnswer{
	{rule: "head-differs", spoil: func(r *http.Request, a *answer) {
		if r.Method == http.MethodHead {
			a.header.Set("Content-Length", "0")
		}
	}},
	{rule: "head-differs", name: "a body", spoil: func(r *http.Request, a *answer) {
		if r.Method == http.MethodHead && onPlaylist(r) {
			a.body = []byte("x")
		}
	}},
	{rule: "range", name: "ignored", spoil: func(r *http.Request, a *answer) {
		if r.Header.Get("Range") != "" && a.status == http.StatusPartialContent {
			a.status = http.StatusOK
		}
	}},
	{rule: "range", name: "wrong bytes", spoil: func(r *http.Request, a *answer) {
		if a.status == http.StatusPartialContent {
			a.body = append([]byte{0}, a.body[1:]...)
		}
	}},
	{rule: "range", name: "no 416", spoil: func(r *http.Request, a *answer) {
		if a.status == http.StatusRequestedRangeNotSatisfiable {
			a.status = http.StatusOK
		}
	}},
	{rule: "if-none-match", spoil: func(r *http.Request, a *answer) {
		if a.status == http.StatusNotModified && strings.HasPrefix(r.Header.Get("If-None-Match"), "W/") {
			a.status = http.StatusOK
		}
	}},
	{rule: "if-none-match", name: "always", spoil: func(r *http.Request, a *answer) {
		if r.Header.Get("If-None-Match") != "" {
			a.status = http.StatusNotModified
		}
	}, also: "if-modified-since"},
	{rule: "not-modified-headers", spoil: func(r *http.Request, a *answer) {
		if a.status == http.StatusNotModified {
			a.header.Del("Cache-Control")
		}
	}},
	{rule: "if-modified-since", spoil: func(r *http.Request, a *answer) {
		if a.status == http.StatusNotModified && r.Header.Get("If-Modified-Since") != "" {
			a.status = http.StatusOK
		}
	}},
	{rule: "gzip", name: "absent", spoil: func(r *http.Request, a *answer) { a.header.Del("Content-Encoding") }},
	{rule: "gzip", name: "of other bytes", spoil: func(r *http.Request, a *answer) {
		if a.header.Get("Content-Encoding") != "" {
			a.body[len(a.body)-1] ^= 1
		}
	}},
	{rule: "gzip", name: "without Vary", spoil: func(r *http.Request, a *answer) { a.header.Del("Vary") }},
	{rule: "vary", spoil: func(r *http.Request, a *answer) { a.header.Set("Vary", "Accept-Encoding, Origin") }},
	{rule: "cors-missing", name: "on 404", spoil: func(r *http.Request, a *answer) {
		if a.status == http.StatusNotFound {
			a.header.Del("Access-Control-Allow-Origin")
		}
	}},
	{rule: "cors-missing", name: "on 405", spoil: func(r *http.Request, a *answer) {
		if a.status == http.StatusMethodNotAllowed {
			a.header.Del("Access-Control-Allow-Origin")
		}
	}},
	{rule: "cors-missing", name: "on 416", spoil: func(r *http.Request, a *answer) {
		if a.status == http.StatusRequestedRangeNotSatisfiable {
			a.header.Del("Access-Control-Allow-Origin")
		}
	}},
	{rule: "cors-missing", name: "without Origin", spoil: func(r *http.Request, a *answer) {
		if r.Header.Get("Origin") == "" && onPlaylist(r) {
			a.header.Del("Access-Control-Allow-Origin")
		}
	}},
	{rule: "method-allowed", spoil: func(r *http.Request, a *answer) {
		if r.Method == http.MethodPost {
			a.status = http.StatusOK
		}
	}},
	{rule: "allow-missing", spoil: func(r *http.Request, a *answer) { a.header.Del("Allow") }},
	{rule: "preflight", spoil: func(r *http.Request, a *answer) { a.header.Del("Access-Control-Allow-Headers") }},
	{rule: "unknown-found", spoil: func(r *http.Request, a *answer) {
		if a.status == http.StatusNotFound {
			a.status = http.StatusOK
		}
	}},
	{rule: "not-found-lifetime", spoil: func(r *http.Request, a *answer) {
		if a.status == http.StatusNotFound {
			a.header.Set("Cache-Control", "public, max-age=60")
		}
	}},
	{rule: "not-found-lifetime", name: "of what is about to exist", spoil: func(r *http.Request, a *answer) {
		if a.status == http.StatusNotFound && strings.Contains(r.URL.Path, "a1-000") {
			a.header.Set("Cache-Control", "public, max-age=5")
		}
	}},
	{rule: "cookie", spoil: func(r *http.Request, a *answer) { a.header.Set("Set-Cookie", "a=b") }},
	{rule: "redirect", spoil: func(r *http.Request, a *answer) {
		if a.status == http.StatusNotFound && r.URL.Path == "/live/no-such-stream/index.m3u8" {
			a.status = http.StatusFound
		}
	}, also: "unknown-found"},
	{rule: "server-error", spoil: func(r *http.Request, a *answer) {
		if r.Method == http.MethodDelete {
			a.status = http.StatusInternalServerError
		}
	}, also: "method-allowed"},
	{rule: "request-failed", spoil: func(r *http.Request, a *answer) {
		if r.Method == http.MethodPut {
			a.status = 0
		}
	}, also: "method-allowed"},
	{rule: "query-matters", spoil: func(r *http.Request, a *answer) {
		if r.URL.RawQuery != "" && onSegment(r) {
			a.header.Set("Etag", `"other"`)
		}
	}},
	{rule: "alias-differs", spoil: func(r *http.Request, a *answer) {
		if r.URL.String() == worldAlias {
			a.body = []byte(strings.Replace(string(a.body), "\nmedia", "\nother", 1))
		}
	}},
}

// checkHTTPOf asks an origin whose answers are spoiled.
func checkHTTPOf(t *testing.T, spoil func(r *http.Request, a *answer)) Report {
	t.Helper()
	o := &testOrigin{history: newWorld(true, true).history(), now: func() int { return 6 }, spoil: spoil}
	c := New(Options{URL: worldURL, AliasURL: worldAlias, HTTPClient: o.client()})
	if err := c.CheckHTTP(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c.Report()
}

func TestAnOriginWithoutFaultPassesCheckHTTP(t *testing.T) {
	if report := checkHTTPOf(t, nil); len(report.Findings) > 0 {
		t.Errorf("findings:\n%s", report)
	}
}

func TestHTTPRulesAreReported(t *testing.T) {
	for _, c := range httpCases {
		t.Run(strings.TrimSpace(c.rule+" "+c.name), func(t *testing.T) {
			report := checkHTTPOf(t, c.spoil)
			want := append(strings.Fields(c.also), c.rule)
			slices.Sort(want)
			if got := report.Rules(); !slices.Equal(got, want) {
				t.Errorf("reported %v, want %v\n%s", got, want, report)
			}
		})
	}
}

// A playlist that changes between two requests of one question must not be taken
// for one that contradicts itself.
func TestCheckHTTPBearsAPlaylistThatChanges(t *testing.T) {
	n := 0
	o := &testOrigin{history: newWorld(true, true).history()}
	o.now = func() int { n++; return min(n/60, 8) }
	c := New(Options{URL: worldURL, HTTPClient: o.client()})
	if err := c.CheckHTTP(t.Context()); err != nil {
		t.Fatal(err)
	}
	if report := c.Report(); len(report.Findings) > 0 {
		t.Errorf("findings:\n%s", report)
	}
}
