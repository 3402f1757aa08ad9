package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestABackendThatMisbehavesHoldsNobodyUp asks a backend that is slow, dead, lying, huge or points elsewhere. It lets
// nobody in by that, and who does not depend on it notices nothing.
func TestABackendThatMisbehavesHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	ctx := limit(t, 2*time.Minute)
	g := startGuarded(t, "--auth.callback_timeout=1s")
	src := browserFixture.make(t).path
	pushInBackground(ctx, t, src, g.rtmp+"/open/before")
	if !g.live(ctx, "open/before") {
		t.Fatal("nobody can publish")
	}
	elsewhere := newBackend(t)
	elsewhere.answerWith(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"allow":true}`) })
	slow := make(chan struct{})
	t.Cleanup(func() { close(slow) })
	for name, answer := range map[string]http.HandlerFunc{
		"redirecting": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"lying": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"allow":true,"stream":"../../../etc/passwd"}`)
		},
		"huge": func(w http.ResponseWriter, r *http.Request) {
			for block := strings.Repeat(" ", 1<<16); r.Context().Err() == nil; {
				if _, err := io.WriteString(w, block); err != nil {
					return
				}
			}
		},
		"slow": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-slow:
			case <-r.Context().Done():
			}
		},
	} {
		g.backend.answerWith(answer)
		told := pushRefused(ctx, t, src, g.rtmp+"/callback/show?token=good")
		if !strings.Contains(told, "authorisation backend does not answer") {
			t.Errorf("%s: the encoder was told:\n%s", name, tail(told, 2000))
		}
		if got := status(ctx, t, "GET", g.http+"/callback/show.flv?token=good-"+name); got != 503 {
			t.Errorf("%s: a viewer is answered with %d", name, got)
		}
	}
	if elsewhere.asked.Load() > 0 {
		t.Error("a token went where a redirect pointed")
	}

	// While many wait for the slow backend, others come in and go on.
	g.backend.answerWith(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-slow:
		case <-r.Context().Done():
		}
	})
	waiting := make(chan int, 20)
	for i := range cap(waiting) {
		go func() { waiting <- status(ctx, t, "GET", fmt.Sprintf("%s/callback/show.flv?token=%d", g.http, i)) }()
	}
	pushInBackground(ctx, t, src, g.rtmp+"/open/meanwhile")
	if !g.live(ctx, "open/meanwhile") {
		t.Error("nobody can publish while the backend is slow")
	}
	for range cap(waiting) {
		if got := <-waiting; got != 503 {
			t.Errorf("who waited is answered with %d", got)
		}
	}
	g.backend.Close()
	if told := pushRefused(ctx, t, src, g.rtmp+"/callback/show?token=good"); !strings.Contains(told, "does not answer") {
		t.Errorf("dead: the encoder was told:\n%s", tail(told, 2000))
	}
	if !g.live(ctx, "open/before") || !g.live(ctx, "open/meanwhile") {
		t.Error("publishers that have nothing to do with the backend have gone")
	}
}
