package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
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
	held    chan struct{}                // closed when it answers
	others  atomic.Pointer[[]*keySource] // whose keys it publishes besides
	without atomic.Bool                  // its own
}

// jwk is the key as it is published.
func (s *keySource) jwk() map[string]string {
	point, err := s.key.PublicKey.Bytes()
	if err != nil {
		panic(err) // the key was made here
	}
	encode := base64.RawURLEncoding.EncodeToString
	return map[string]string{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])}
}

func newKeySource(t *testing.T) *keySource {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &keySource{key: key, held: make(chan struct{})}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-s.held:
		case <-r.Context().Done():
			return
		}
		s.fetched.Add(1)
		var keys []any
		if !s.without.Load() {
			keys = append(keys, s.jwk())
		}
		if others := s.others.Load(); others != nil {
			for _, other := range *others {
				keys = append(keys, other.jwk())
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": keys})
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

// TestAKeyThatIsNoLongerPublishedEndsWhomItLetIn, and nobody else.
func TestAKeyThatIsNoLongerPublishedEndsWhomItLetIn(t *testing.T) {
	for _, ends := range []bool{true, false} {
		t.Run(fmt.Sprintf("auth.end_on_removal %t", ends), func(t *testing.T) {
			source, other := newKeySource(t), newKeySource(t)
			source.others.Store(&[]*keySource{other})
			close(source.held)
			a := newTestAccess(t, func(c *config.Config) {
				c.Auth.Publish = config.Rules{{Pattern: "*", Policies: []config.Policy{config.PolicyJWT}}}
				c.Auth.JWKSURL, c.Auth.JWKSRefresh, c.Auth.EndOnRemoval = source.URL, 50*time.Millisecond, ends
			})
			a.start()
			t.Cleanup(func() { a.cancel(); a.wait() })
			token := "token=" + source.token(t, "live/a")
			eventually(t, "the keys", func() bool { return a.mayPublish(publishing("live/a", token)).Allowed })
			gone, stays := enter(t, a, "live/a", token), enter(t, a, "live/b", "token="+other.token(t, "live/b"))
			early := a.mayPublish(publishing("live/a", token)) // decided, and not in yet

			source.without.Store(true)
			eventually(t, "the key is gone", func() bool { return len(a.current.Load().jwks.Keys()) == 1 })
			eventually(t, "the token is good no longer", func() bool { return !a.mayPublish(publishing("live/a", token)).Allowed })
			if ends {
				select {
				case cause := <-gone:
					if cause != ingest.EndCause(auth.EndRevoked) {
						t.Errorf("ended with %q", cause)
					}
				case <-time.After(patience):
					t.Fatal("whose key is gone publishes still")
				}
			}
			late := make(chan ingest.EndCause, 1)
			if _, refusal := early.Enter(func(cause ingest.EndCause) { late <- cause }); refusal != nil {
				t.Fatal(refusal.Reason)
			}
			if len(late) != map[bool]int{true: 1}[ends] {
				t.Errorf("who comes in with what was decided before is ended %d times", len(late))
			}
			fetched := source.fetched.Load()
			eventually(t, "they are fetched again", func() bool { return source.fetched.Load() > fetched+2 })
			if len(stays) != 0 || !ends && len(gone) != 0 {
				t.Error("somebody was ended who may stay")
			}
		})
	}
}

// TestKeysThatCannotBeFetchedAreSaid: what was fetched before holds still, like files that cannot be read again.
func TestKeysThatCannotBeFetchedAreSaid(t *testing.T) {
	source := newKeySource(t)
	close(source.held)
	s := runServer(t, func(c *config.Config) {
		c.Auth.Publish = config.Rules{{Pattern: "*", Policies: []config.Policy{config.PolicyJWT}}}
		c.Auth.JWKSURL, c.Auth.JWKSRefresh = source.URL, 50*time.Millisecond
	})
	metric := func(value string) func() bool {
		return func() bool {
			_, body := status(t, s.adminURL("/metrics"))
			return strings.Contains(body, "\nheadwater_files_stale{files=\"auth jwks\"} "+value+"\n")
		}
	}
	token := "token=" + source.token(t, "live/a")
	eventually(t, "the keys", func() bool { return s.access.mayPublish(publishing("live/a", token)).Allowed })
	eventually(t, "all is well", metric("0"))
	source.without.Store(true) // a set without any key takes none away
	eventually(t, "it is said", metric("1"))
	if _, body := status(t, s.adminURL("/readyz")); !strings.Contains(body, "auth jwks") {
		t.Errorf("readiness: %s", body)
	}
	if !s.access.mayPublish(publishing("live/a", token)).Allowed {
		t.Error("the keys are gone")
	}
	source.without.Store(false)
	eventually(t, "all is well again", metric("0"))
}
