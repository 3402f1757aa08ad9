package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/headwater-live/headwater/auth"
	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/ingest"
)

// keySource publishes the key of a signer.
type keySource struct {
	*httptest.Server
	key     *ecdsa.PrivateKey
	fetched atomic.Int32
	held    chan struct{} // closed when it answers
}

func newKeySource(t *testing.T) *keySource {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	s := &keySource{key: key, held: make(chan struct{})}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-s.held:
		case <-r.Context().Done():
			return
		}
		s.fetched.Add(1)
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{
			"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:]),
		}}})
	}))
	t.Cleanup(s.Close)
	return s
}

// token makes a token to publish.
func (s *keySource) token(t *testing.T, stream string) string {
	t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"action": "publish", "stream": stream, "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString(s.key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// enter publishes, and returns what the publisher is ended with.
func enter(t *testing.T, a *access, stream, query string) <-chan ingest.EndCause {
	t.Helper()
	ended := make(chan ingest.EndCause, 1)
	d := a.mayPublish(publishing(stream, query))
	if !d.Allowed {
		t.Fatalf("%s may not be published: %s", stream, d.Reason)
	}
	if _, refusal := d.Enter(func(cause ingest.EndCause) { ended <- cause }); refusal != nil {
		t.Fatal(refusal.Reason)
	}
	return ended
}

// TestFetchedKeysOutliveAChangeOfTheirRefresh, and keys of another URL count when they are there.
func TestFetchedKeysOutliveAChangeOfTheirRefresh(t *testing.T) {
	first, second := newKeySource(t), newKeySource(t)
	close(first.held)
	settings := func(url string, refresh time.Duration) config.Auth {
		return config.Auth{
			JWKSURL: url, JWKSRefresh: refresh, EndOnRemoval: true,
			Publish: config.Rules{{Pattern: "*", Policies: []config.Policy{config.PolicyJWT}}},
		}
	}
	a := newTestAccess(t, func(c *config.Config) { c.Auth = settings(first.URL, time.Hour) })
	a.start()
	t.Cleanup(func() { a.cancel(); a.wait() })
	change := func(settings config.Auth) {
		t.Helper()
		cfg := config.Default()
		cfg.Auth = settings
		next, err := a.newPolicies(settings, a.current.Load())
		if err != nil {
			t.Fatal(err)
		}
		a.change(next, &cfg)
	}
	of := func(s *keySource, stream string) string { return "token=" + s.token(t, stream) }
	eventually(t, "the first keys", func() bool { return a.mayPublish(publishing("live/a", of(first, "live/a"))).Allowed })
	ended := enter(t, a, "live/a", of(first, "live/a"))

	set, before := a.current.Load().jwks, first.fetched.Load()
	change(settings(first.URL, 10*time.Minute))
	if a.current.Load().jwks != set || !a.mayPublish(publishing("live/a", of(first, "live/a"))).Allowed {
		t.Error("the keys are gone with the time between fetches")
	}
	eventually(t, "they are fetched again", func() bool { return first.fetched.Load() > before })

	change(settings(second.URL, time.Hour))
	select {
	case cause := <-ended:
		t.Fatalf("ended before the new keys were there: %s", cause)
	default:
	}
	close(second.held)
	select {
	case cause := <-ended:
		if cause != ingest.EndCause(auth.EndRevoked) {
			t.Errorf("ended with %q", cause)
		}
	case <-time.After(patience):
		t.Fatal("whose key is gone publishes still")
	}
	if a.mayPublish(publishing("live/a", of(first, "live/a"))).Allowed || !a.mayPublish(publishing("live/b", of(second, "live/b"))).Allowed {
		t.Error("the new keys do not decide")
	}
}
