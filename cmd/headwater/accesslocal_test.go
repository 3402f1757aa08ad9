package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/headwater-live/headwater/cmd/headwater/config"
)

// TestWatchingOnThisMachineIsForThisMachine: what comes from a loopback address may come from elsewhere all the same.
func TestWatchingOnThisMachineIsForThisMachine(t *testing.T) {
	s := runServer(t, func(c *config.Config) {
		c.Auth.Watch = config.Rules{{Pattern: "live/*", Policies: []config.Policy{config.PolicyLoopback}}, {Pattern: "*", Policies: []config.Policy{config.PolicyOpen}}}
	})
	const none = "-"
	for _, test := range []struct {
		name    string
		header  [2]string
		host    string
		remote  string
		path    string
		allowed bool
		cors    string
	}{
		{name: "a program", allowed: true, cors: none},
		{name: "at localhost", host: "localhost:8080", allowed: true, cors: none},
		{name: "at IPv6", host: "[::1]:8080", remote: "[::1]:4000", allowed: true, cors: none},
		{name: "a page of this machine", header: [2]string{"Origin", "http://127.0.0.1:8081"}, allowed: true, cors: "http://127.0.0.1:8081"},
		{name: "a page at localhost", header: [2]string{"Origin", "https://localhost"}, allowed: true, cors: "https://localhost"},
		{name: "from the page itself", header: [2]string{"Sec-Fetch-Site", "same-origin"}, allowed: true, cors: none},
		{name: "typed in", header: [2]string{"Sec-Fetch-Site", "none"}, allowed: true, cors: none},
		{name: "another machine", remote: "192.0.2.7:4000"},
		{name: "a page of another site", header: [2]string{"Origin", "https://evil.example"}},
		{name: "a page that looks like this machine", header: [2]string{"Origin", "https://localhost.evil.example"}},
		{name: "a page without an origin", header: [2]string{"Origin", "null"}},
		{name: "an image of another site", header: [2]string{"Sec-Fetch-Site", "cross-site"}},
		{name: "a name that points here", host: "evil.example:8080"},
		{name: "an address that is not this machine", host: "192.0.2.7:8080"},
		{name: "a proxy", header: [2]string{"X-Forwarded-For", "192.0.2.7"}},
		{name: "a proxy with an empty header", header: [2]string{"X-Forwarded-For", ""}},
		{name: "a proxy of RFC 7239", header: [2]string{"Forwarded", "for=192.0.2.7"}},
		{name: "a cache", header: [2]string{"Via", "1.1 varnish"}},
		{name: "nginx", header: [2]string{"X-Real-Ip", "127.0.0.1"}},
		{name: "what is open stays so", path: "/open/test.m3u8", header: [2]string{"Origin", "https://elsewhere.example"}, host: "evil.example", allowed: true, cors: "*"},
		{name: "what is open stays so behind a proxy", path: "/open/test.m3u8", header: [2]string{"Via", "1.1 varnish"}, allowed: true, cors: "*"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := "/live/test.m3u8"
			if test.path != "" {
				path = test.path
			}
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Host, r.RemoteAddr = "127.0.0.1:8080", "127.0.0.1:4000"
			if test.host != "" {
				r.Host = test.host
			}
			if test.remote != "" {
				r.RemoteAddr = test.remote
			}
			if test.header[0] != "" {
				r.Header.Set(test.header[0], test.header[1])
			}
			w := httptest.NewRecorder()
			s.edge.ServeHTTP(w, r)
			// Nobody publishes: whoever may watch is told so.
			if allowed := w.Code == http.StatusNotFound; allowed != test.allowed || !allowed && w.Code != http.StatusForbidden {
				t.Errorf("answered with %d", w.Code)
			}
			if got := w.Header().Get("Access-Control-Allow-Origin"); test.allowed && got != test.cors && (test.cors != none || got != "") {
				t.Errorf("pages of %q may read it, want %q", got, test.cors)
			}
			if got := w.Header().Get("Timing-Allow-Origin"); test.allowed && (got == "*") != (test.cors == "*") {
				t.Errorf("pages of %q may time it", got)
			}
		})
	}
}
