package websocket

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// request is the one of RFC 6455, 1.2, changed.
func request(change func(*http.Request)) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/live/x.flv", nil)
	for key, value := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Origin": "http://example.com",
		"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits", "Sec-WebSocket-Protocol": "chat",
	} {
		r.Header.Set(key, value)
	}
	if change != nil {
		change(r)
	}
	return r
}

func TestTheHandshakeOfTheRFCIsAccepted(t *testing.T) {
	h := http.Header{}
	status, err := Accept(h, request(nil))
	if status != http.StatusSwitchingProtocols || err != nil {
		t.Fatalf("status %d, %v", status, err)
	}
	if got := h.Get("Sec-WebSocket-Accept"); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("accepted with %q", got)
	}
	if h.Get("Upgrade") != "websocket" || h.Get("Connection") != "Upgrade" {
		t.Errorf("headers %v", h)
	}
	for _, key := range []string{"Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"} {
		if _, ok := h[http.CanonicalHeaderKey(key)]; ok {
			t.Errorf("%s was agreed on", key)
		}
	}
}

func TestBadHandshakesAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"HEAD":              {func(r *http.Request) { r.Method = http.MethodHead }, http.StatusBadRequest},
		"HTTP/1.0":          {func(r *http.Request) { r.ProtoMinor = 0 }, http.StatusBadRequest},
		"HTTP/2":            {func(r *http.Request) { r.ProtoMajor, r.ProtoMinor = 2, 0 }, http.StatusBadRequest},
		"version 8":         {func(r *http.Request) { r.Header.Set("Sec-WebSocket-Version", "8") }, http.StatusUpgradeRequired},
		"no version":        {func(r *http.Request) { r.Header.Del("Sec-WebSocket-Version") }, http.StatusUpgradeRequired},
		"no key":            {func(r *http.Request) { r.Header.Del("Sec-WebSocket-Key") }, http.StatusBadRequest},
		"short key":         {func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "AAAA") }, http.StatusBadRequest},
		"key not in base64": {func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "not base64, not base64!!") }, http.StatusBadRequest},
	} {
		h := http.Header{}
		if status, err := Accept(h, request(test.change)); status != test.status || err == nil {
			t.Errorf("%s: status %d, %v", name, status, err)
		}
		if test.status == http.StatusUpgradeRequired && h.Get("Sec-WebSocket-Version") != version {
			t.Errorf("%s: the version is not named", name)
		}
	}
}

func TestAWebSocketIsAskedForWithTwoTokens(t *testing.T) {
	for _, test := range []struct {
		upgrade, connection string
		want                bool
	}{
		{"websocket", "Upgrade", true},
		{"WebSocket", "keep-alive, upgrade", true},
		{"h2c, websocket", "Upgrade, HTTP2-Settings", true},
		{"websocket", "keep-alive", false},
		{"h2c", "Upgrade", false},
		{"", "", false},
	} {
		r := request(func(r *http.Request) {
			r.Header.Set("Upgrade", test.upgrade)
			r.Header.Set("Connection", test.connection)
		})
		if got := Requested(r); got != test.want {
			t.Errorf("%q, %q: %t", test.upgrade, test.connection, got)
		}
	}
}
