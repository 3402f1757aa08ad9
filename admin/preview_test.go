package admin

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestThePreviewWantsTheAdminToken(t *testing.T) {
	var asked []string
	h := NewHandler(Config{
		Token: "sesame", Logger: slog.New(slog.DiscardHandler),
		Preview: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = append(asked, r.Method+" "+r.URL.Path) }),
	})
	for _, test := range []struct {
		method, token, site string
		status              int
	}{
		{"GET", "", "same-origin", 401}, {"GET", "wrong", "", 401}, {"GET", "sesame", "", 200}, {"HEAD", "sesame", "same-origin", 200},
		{"GET", "sesame", "cross-site", 403}, {"GET", "sesame", "same-site", 403}, {"GET", "sesame", "none", 200},
		{"OPTIONS", "sesame", "", 405}, {"DELETE", "sesame", "", 405},
	} {
		r := arrived(httptest.NewRequest(test.method, "http://127.0.0.1:8081/preview/live/test.flv", nil))
		r.Header.Set("Authorization", "Bearer "+test.token)
		r.Header.Set("Sec-Fetch-Site", test.site)
		w := httptest.NewRecorder()
		asked = nil
		h.ServeHTTP(w, r)
		if w.Code != test.status || (len(asked) > 0) != (test.status == 200) {
			t.Errorf("%+v: %d, and asked %q", test, w.Code, asked)
		}
		if len(asked) > 0 && asked[0] != test.method+" /live/test.flv" {
			t.Errorf("asked for %q", asked[0])
		}
	}
}

func TestPreviewsBeyondTheBoundAreRefused(t *testing.T) {
	opening, open := make(chan struct{}), make(chan struct{})
	h := NewHandler(Config{Logger: slog.New(slog.DiscardHandler), Preview: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		opening <- struct{}{}
		<-open
	})})
	get := func() int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, arrived(httptest.NewRequest("GET", "http://127.0.0.1/preview/live/test.flv", nil)))
		return w.Code
	}
	answers := make(chan int, maxPreviews)
	for range maxPreviews {
		go func() { answers <- get() }()
		<-opening
	}
	if status := get(); status != http.StatusServiceUnavailable {
		t.Errorf("one more is answered with %d", status)
	}
	close(open)
	for range maxPreviews {
		if status := <-answers; status != http.StatusOK {
			t.Errorf("one of those before: %d", status)
		}
	}
}
