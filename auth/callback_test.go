package auth

import (
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
	"sync/atomic"
	"testing"
	"time"
)

// backend is an authorisation backend that answers as it is told.
type backend struct {
	*httptest.Server
	asked atomic.Int32
	conns atomic.Int32
	last  atomic.Pointer[question]
}

func newBackend(t *testing.T, answer http.HandlerFunc) *backend {
	t.Helper()
	b := &backend{}
	b.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.asked.Add(1)
		var q question
		body, err := io.ReadAll(r.Body)
		if err != nil || json.Unmarshal(body, &q) != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s with %q: %s", r.Method, r.Header.Get("Content-Type"), body)
		}
		b.last.Store(&q)
		answer(w, r)
	}))
	b.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			b.conns.Add(1)
		}
	}
	b.Start()
	t.Cleanup(b.Close)
	return b
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func validStream(s string) bool { return Pattern(s).Valid() && !strings.Contains(s, "*") }

func callback(url string, changes ...func(*CallbackConfig)) *Callback {
	config := CallbackConfig{URL: url, Timeout: 10 * time.Second, ValidStream: validStream, Now: at(jwtNow).now}
	for _, change := range changes {
		change(&config)
	}
	return NewCallback(config)
}

func TestTheBackendIsToldWhoWantsWhat(t *testing.T) {
	b := newBackend(t, says(http.StatusOK, `{"allow":true}`))
	expect(t, callback(b.URL), asking(Publish, "live/test", "token=abc&x=%20y"), "")
	want := question{Publish, "live/test", "token=abc&x=%20y", "192.0.2.7", "rtmp"}
	if got := b.last.Load(); *got != want {
		t.Errorf("told %+v, want %+v", *got, want)
	}
}

func TestTheBackendDecides(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		body   string
		want   Code
	}{
		{"yes", 200, `{"allow":true}`, ""},
		{"yes without a body", 204, ``, ""},
		{"yes without JSON", 200, " \n", ""},
		{"yes, and more", 201, `{"allow":true,"future":[1,2,3]}`, ""},
		{"no", 200, `{"allow":false,"reason":"You have not paid."}`, CallbackRefused},
		{"forbidden", 403, `{"reason":"You have not paid."}`, CallbackRefused},
		{"forbidden, though it says yes", 403, `{"allow":true}`, CallbackRefused},
		{"unauthorised with a page", 401, `<html>`, CallbackRefused},
		{"not found", 404, ``, CallbackRefused},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBackend(t, says(test.status, test.body))
			d := expect(t, callback(b.URL), asking(Publish, "live/test", "token=abc"), test.want)
			if strings.Contains(test.body, "paid") && d.Reason != "You have not paid." {
				t.Errorf("the reason is %q", d.Reason)
			}
			if n := b.asked.Load(); n != 1 {
				t.Errorf("it was asked %d times", n)
			}
		})
	}
}

func TestTheBackendSetsNamesAndLimits(t *testing.T) {
	b := newBackend(t, says(http.StatusOK, `{"allow":true,"stream":"live/public","identity":"user-7","token_id":"t-1",
		"max_bitrate":6000000,"max_duration":3600,"expires":1800000600,"cache":900}`))
	d := expect(t, callback(b.URL), asking(Publish, "live/secret-stream-key", ""), "")
	if d.Stream != "live/public" || d.Credential != "identity user-7" || d.TokenID != "t-1" || d.MaxBitrate != 6_000_000 ||
		d.Expires.Unix() != 1_800_000_600 || d.MaxDuration != time.Hour || d.CacheFor != maxCallbackCache {
		t.Errorf("%+v", d)
	}
	b = newBackend(t, says(http.StatusOK, `{"allow":true,"max_duration":60,"expires":1800000600,"cache":300}`))
	g := NewGate(GateConfig{Publish: callback(b.URL), Now: at(jwtNow).now})
	r := asking(Publish, "live/test", "")
	enter(t, g, r, expect(t, g, r, ""))
	if s := g.Sessions(""); len(s) != 1 || s[0].Expires.Unix() != jwtNow+60 {
		t.Errorf("it ends at %+v", s)
	}
}

func TestABackendThatLiesIsNotBelieved(t *testing.T) {
	for name, body := range map[string]string{
		"a page": `<html>ok</html>`, "a word": `true`, "null": `null`, "a list": `[{"allow":true}]`, "nothing": `{}`, "yes as text": `{"allow":"yes"}`,
		"1": `{"allow":1}`, "cut off": `{"allow":true`, "a path": `{"allow":true,"stream":"../../etc/passwd"}`,
		"a pattern": `{"allow":true,"stream":"live/*"}`, "no app": `{"allow":true,"stream":"public"}`,
		"less than no bitrate": `{"allow":true,"max_bitrate":-1}`, "an absurd bitrate": `{"allow":true,"max_bitrate":1e300}`,
		"less than no time": `{"allow":true,"max_duration":-5}`, "a number as text": `{"allow":true,"expires":"soon"}`,
		"a long identity":         `{"allow":true,"identity":"` + strings.Repeat("x", 300) + `"}`,
		"an ID with a line break": `{"allow":true,"token_id":"a\nb"}`, "two answers": `{"allow":true}{"allow":false}`,
		"1e999": `{"allow":true,"cache":1e999}`,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t, says(http.StatusOK, body))
			expect(t, callback(b.URL), asking(Publish, "live/test", "token=abc"), CallbackFailed)
		})
	}
	b := newBackend(t, says(http.StatusOK, `{"allow":true,"stream":"live/other"}`))
	expect(t, callback(b.URL), asking(Play, "live/test", ""), CallbackFailed)
}

func TestHugeAnswersAreNotRead(t *testing.T) {
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		block := []byte(`{"allow":true,"reason":"` + strings.Repeat("x", 1<<16))
		for r.Context().Err() == nil {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	expect(t, callback(b.URL), asking(Publish, "live/test", ""), CallbackFailed)
	b = newBackend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Large", strings.Repeat("x", 64<<10))
	})
	expect(t, callback(b.URL), asking(Publish, "live/test", ""), CallbackFailed)
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := newBackend(t, says(http.StatusOK, `{"allow":true}`))
	for _, status := range []int{301, 302, 303, 307, 308} {
		b := newBackend(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(status)
		})
		expect(t, callback(b.URL), asking(Publish, "live/test", "token=abc"), CallbackFailed)
	}
	if elsewhere.asked.Load() != 0 {
		t.Error("a token went where a redirect pointed")
	}
}

func TestABackendThatFailsIsAskedOnceMore(t *testing.T) {
	for _, status := range []int{500, 502, 503, 429, 408} {
		var n atomic.Int32
		b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1) == 1 {
				w.WriteHeader(status)
				return
			}
			says(http.StatusOK, `{"allow":true}`)(w, r)
		})
		expect(t, callback(b.URL), asking(Publish, "live/test", ""), "")
	}
	b := newBackend(t, says(http.StatusInternalServerError, ""))
	expect(t, callback(b.URL), asking(Publish, "live/test", ""), CallbackFailed)
	if n := b.asked.Load(); n != callbackAttempts {
		t.Errorf("it was asked %d times", n)
	}
}

func TestASlowBackendIsGivenUp(t *testing.T) {
	release := make(chan struct{})
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"allow":`)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	expect(t, callback(b.URL, func(c *CallbackConfig) { c.Timeout = 50 * time.Millisecond }), asking(Publish, "live/test", ""), CallbackFailed)
}

func TestADeadBackendDeniesUnlessItMayAllow(t *testing.T) {
	b := newBackend(t, says(http.StatusOK, ""))
	b.Close()
	expect(t, callback(b.URL), asking(Publish, "live/test", ""), CallbackFailed)
	allow := callback(b.URL, func(c *CallbackConfig) { c.AllowOnFailure = true })
	g := NewGate(GateConfig{Publish: allow})
	if d := g.Decide(t.Context(), asking(Publish, "live/test", "")); !d.Allowed {
		t.Errorf("%+v", d)
	}
	if n := g.Refusals()["callback-failed-allowed"]; n != 1 {
		t.Errorf("%d counted", n)
	}
}

// TestANoIsNeverAFailure: what is allowed when the backend fails is not allowed when it says no.
func TestANoIsNeverAFailure(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
	}{
		"a number out of range":   {200, `{"allow":false,"expires":-1}`},
		"a field of another type": {200, `{"allow":false,"cache":"30"}`},
		"403 with such a number":  {403, `{"cache":-1}`},
		"403 that says yes":       {403, `{"allow":true}`},
		"403 with a long page":    {403, strings.Repeat("<p>no</p>", maxAnswer)},
	} {
		b := newBackend(t, says(test.status, test.body))
		c := callback(b.URL, func(c *CallbackConfig) { c.AllowOnFailure = true })
		t.Run(name, func(t *testing.T) { expect(t, c, asking(Play, "live/test", ""), CallbackRefused) })
	}
}

func TestMoreQuestionsThanMayWaitAreRefused(t *testing.T) {
	b := newBackend(t, says(http.StatusOK, `{"allow":true}`))
	c := callback(b.URL, func(c *CallbackConfig) { c.AllowOnFailure = true })
	for range maxAsking {
		c.asking <- struct{}{}
	}
	expect(t, c, asking(Play, "live/test", ""), CallbackBusy)
}

// TestWaitingInOurQueueIsNoFailureOfTheBackend: who makes the queue long is not let in by that, though a backend that
// fails would let in everybody.
func TestWaitingInOurQueueIsNoFailureOfTheBackend(t *testing.T) {
	release := make(chan struct{})
	b := newBackend(t, func(w http.ResponseWriter, _ *http.Request) {
		<-release
		says(http.StatusOK, `{"allow":false}`)(w, nil)
	})
	c := callback(b.URL, func(c *CallbackConfig) { c.AllowOnFailure = true })
	var asked sync.WaitGroup
	for range callbackQuestions {
		asked.Go(func() { expect(t, c, asking(Play, "live/test", ""), CallbackRefused) })
	}
	for b.asked.Load() < callbackQuestions {
		time.Sleep(time.Millisecond)
	}
	inQueue := callback(b.URL, func(c *CallbackConfig) { c.AllowOnFailure, c.Timeout = true, 50*time.Millisecond })
	inQueue.turns, inQueue.asking = c.turns, c.asking // the same queue, with less patience
	for range 3 {
		expect(t, inQueue, asking(Play, "live/test", "token=wrong"), CallbackBusy)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if d := c.Decide(gone, asking(Play, "live/test", "")); d.Allowed {
		t.Error("who gives up is let in")
	}
	close(release)
	asked.Wait()
	if n := b.asked.Load(); n != callbackQuestions {
		t.Errorf("the backend had %d questions, want %d", n, callbackQuestions)
	}
}

func TestConnectionsToTheBackendAreReused(t *testing.T) {
	b := newBackend(t, says(http.StatusOK, `{"allow":true}`))
	c := callback(b.URL)
	for range 20 {
		expect(t, c, asking(Publish, "live/test", ""), "")
	}
	if n := b.conns.Load(); n != 1 {
		t.Errorf("%d connections for 20 questions", n)
	}
	var wg sync.WaitGroup
	for range 4 * callbackQuestions {
		wg.Go(func() { expect(t, c, asking(Publish, "live/test", ""), "") })
	}
	wg.Wait()
	if n := b.conns.Load(); n > 2*callbackQuestions {
		t.Errorf("%d connections at once", n)
	}
}

func TestAReasonNeverRepeatsWhatWasShown(t *testing.T) {
	for reason, want := range map[string]string{
		"bad token SECRET-TOKEN":    "",
		"bad token a b+c/d":         "",
		"no stream named hush-hush": "",
		"pay\r\nfirst\x00":          "pay  first",
		strings.Repeat("ä", 150):    strings.Repeat("ä", 100) + "…",
		"the ticket is used up":     "the ticket is used up",
	} {
		r := asking(Publish, "live/hush-hush", "token=SECRET-TOKEN&sig=a+b%2Bc%2Fd&x=up")
		if got := cleanReason(reason, r); got != want {
			t.Errorf("%q becomes %q, want %q", reason, got, want)
		}
	}
}

func TestErrorsDoNotShowTheURL(t *testing.T) {
	var log strings.Builder
	b := newBackend(t, says(http.StatusOK, ""))
	b.Close()
	address := strings.Replace(b.URL, "http://", "http://user:PASSWORD@", 1) + "/?key=URL-KEY"
	c := callback(address, func(c *CallbackConfig) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	expect(t, c, asking(Publish, "live/hush-hush", "token=SECRET-TOKEN"), CallbackFailed)
	if !strings.Contains(log.String(), "authorisation callback failed") {
		t.Errorf("nothing was logged: %q", log.String())
	}
	for _, secret := range []string{"PASSWORD", "URL-KEY", "SECRET-TOKEN", "hush-hush"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%s was logged: %s", secret, log.String())
		}
	}
}

func TestNoProxyOfTheEnvironmentIsAsked(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://192.0.2.1:1")
	transport := boundedClient(time.Second, 1, 1).Transport.(*http.Transport)
	if transport.Proxy != nil {
		t.Error("a proxy of the environment sees the tokens")
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(200, []byte(`{"allow":true,"stream":"live/public","max_bitrate":6000000,"max_duration":3600,"cache":30}`), "live/x", "token=abc")
	f.Add(403, []byte(`{"reason":"no"}`), "live/x", "")
	f.Add(200, []byte(`<html>`), "live/x", "a=%")
	config := CallbackConfig{ValidStream: validStream, Now: at(jwtNow).now}
	f.Fuzz(func(t *testing.T, status int, body []byte, stream, query string) {
		a, err := readAnswer(status, body)
		if err != nil {
			return
		}
		d, err := a.decision(asking(Publish, stream, query), config)
		var final finalError
		switch {
		case err != nil && !errors.As(err, &final):
			t.Errorf("error %v", err)
		case err == nil && d.Allowed && (status < 200 || status > 299 || d.Stream != "" && !validStream(d.Stream) || d.MaxBitrate < 0 || d.CacheFor > maxCallbackCache):
			t.Errorf("status %d with %q becomes %+v", status, body, d)
		case err == nil && len(d.Reason) > maxReason+8:
			t.Errorf("a reason of %d bytes", len(d.Reason))
		}
	})
}
