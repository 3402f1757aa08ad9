package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// jwkOf writes a public key as others publish it.
func jwkOf(t testing.TB, s signer, kid string) map[string]string {
	t.Helper()
	switch k := s.public.(type) {
	case *rsa.PublicKey:
		return map[string]string{"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": encode(k.N.Bytes()), "e": encode(big.NewInt(int64(k.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return map[string]string{"kty": "EC", "crv": "P-256", "kid": kid, "x": encode(point[1:33]), "y": encode(point[33:])}
	case ed25519.PublicKey:
		return map[string]string{"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": encode(k)}
	}
	t.Fatalf("no JWK for %T", s.public)
	return nil
}

func jwksOf(t testing.TB, keys ...map[string]string) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// runJWKS runs a key set until the test ends, and waits for its first fetch.
func runJWKS(t *testing.T, url string, refresh time.Duration) *JWKS {
	t.Helper()
	j := NewJWKS(url, refresh, slog.New(slog.DiscardHandler))
	first := j.done
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); j.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	<-first
	return j
}

func TestKeysComeFromAJWKS(t *testing.T) {
	set := jwksOf(t, jwkOf(t, signers()[algRS256], "r"), jwkOf(t, signers()[algES256], "e"), jwkOf(t, signers()[algEdDSA], "d"),
		map[string]string{"kty": "oct", "k": encode([]byte(testSecret))})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(set) }))
	defer srv.Close()
	p := NewJWT(JWTConfig{Remote: runJWKS(t, srv.URL, time.Hour), Now: at(jwtNow).now})
	for name, kid := range map[string]string{algRS256: "r", algES256: "e", algEdDSA: "d"} {
		token := signers()[name].sign(t, ticket(nil), map[string]any{"kid": kid})
		expect(t, p, asking(Play, "live/test", "token="+token), "")
	}
	// A symmetric key that is published is none.
	expect(t, p, asking(Play, "live/test", "token="+signers()[algHS256].sign(t, ticket(nil), nil)), BadToken)
}

func TestAChangedJWKSIsFetchedForATokenWithAnUnknownKey(t *testing.T) {
	var set atomic.Pointer[[]byte]
	var fetches atomic.Int32
	old := jwksOf(t, jwkOf(t, signers()[algES256], "old"))
	set.Store(&old)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		_, _ = w.Write(*set.Load())
	}))
	defer srv.Close()
	j := runJWKS(t, srv.URL, time.Hour)
	p := NewJWT(JWTConfig{Remote: j, Now: at(jwtNow).now})
	next := jwksOf(t, jwkOf(t, signers()[algRS256], "new"))
	set.Store(&next)
	token := "token=" + signers()[algRS256].sign(t, ticket(nil), map[string]any{"kid": "new"})

	// Right after a fetch there is no other, however many ask.
	for range 10 {
		expect(t, p, asking(Play, "live/test", token), BadToken)
	}
	if n := fetches.Load(); n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
	j.mu.Lock()
	j.fetched = j.fetched.Add(-jwksRetry)
	j.mu.Unlock()
	expect(t, p, asking(Play, "live/test", token), "")
	expect(t, p, asking(Play, "live/test", "token="+signers()[algES256].sign(t, ticket(nil), map[string]any{"kid": "old"})), BadToken)
}

func TestKeysStayWhenTheirURLFails(t *testing.T) {
	var fail atomic.Bool
	good := jwksOf(t, jwkOf(t, signers()[algEdDSA], ""))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if fail.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = w.Write(good)
	}))
	defer srv.Close()
	j := runJWKS(t, srv.URL, time.Hour)
	fail.Store(true)
	j.mu.Lock()
	j.fetched = time.Time{}
	j.mu.Unlock()
	if !j.Await(t.Context()) {
		t.Fatal("there was no second fetch")
	}
	token := signers()[algEdDSA].sign(t, ticket(nil), nil)
	expect(t, NewJWT(JWTConfig{Remote: j, Now: at(jwtNow).now}), asking(Play, "live/test", "token="+token), "")
}

func TestWithoutKeysATokenIsRefusedAsTheServersFault(t *testing.T) {
	srv := httptest.NewServer(http.RedirectHandler("/elsewhere", http.StatusFound))
	defer srv.Close()
	p := NewJWT(JWTConfig{Remote: runJWKS(t, srv.URL, time.Hour), Now: at(jwtNow).now})
	expect(t, p, asking(Play, "live/test", "token="+signers()[algEdDSA].sign(t, ticket(nil), nil)), KeysMissing)
}

func TestOddKeySetsAreBounded(t *testing.T) {
	many := make([]map[string]string, maxJWKSKeys+1)
	for i := range many {
		many[i] = jwkOf(t, signers()[algEdDSA], fmt.Sprint(i))
	}
	rsaKey := jwkOf(t, signers()[algRS256], "")
	for name, body := range map[string][]byte{
		"empty": nil, "null": []byte("null"), "text": []byte("<html>"), "no keys": jwksOf(t), "too many": jwksOf(t, many...),
		"too large":        []byte(`{"keys":[],"x":"` + strings.Repeat("x", maxJWKS) + `"}`),
		"point off curve":  jwksOf(t, map[string]string{"kty": "EC", "crv": "P-256", "x": encode(make([]byte, 32)), "y": encode(make([]byte, 32))}),
		"a short Ed25519":  jwksOf(t, map[string]string{"kty": "OKP", "crv": "Ed25519", "x": encode(make([]byte, 31))}),
		"another use":      jwksOf(t, map[string]string{"kty": "RSA", "use": "enc", "n": rsaKey["n"], "e": rsaKey["e"]}),
		"another alg":      jwksOf(t, map[string]string{"kty": "RSA", "alg": "HS256", "n": rsaKey["n"], "e": rsaKey["e"]}),
		"a huge exponent":  jwksOf(t, map[string]string{"kty": "RSA", "n": rsaKey["n"], "e": encode(make([]byte, 4096))}),
		"an enormous key":  jwksOf(t, map[string]string{"kty": "RSA", "n": encode(append([]byte{1}, make([]byte, 2048)...)), "e": rsaKey["e"]}),
		"exponent of zero": jwksOf(t, map[string]string{"kty": "RSA", "n": rsaKey["n"], "e": ""}),
	} {
		if keys, err := parseJWKS(body); err == nil {
			t.Errorf("%s: %d keys", name, len(keys))
		}
	}
}

func FuzzJWKS(f *testing.F) {
	for _, name := range []string{algRS256, algES256, algEdDSA} {
		f.Add(jwksOf(f, jwkOf(f, signers()[name], "k")))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		keys, err := parseJWKS(body)
		if err == nil && (len(keys) == 0 || len(keys) > maxJWKSKeys) {
			t.Errorf("%d keys", len(keys))
		}
		for _, k := range keys {
			if k.algorithm == algHS256 {
				t.Error("a secret was published and taken")
			}
		}
	})
}

// TestAnUnknownKeyIsFetchedThoughAKeyOfAFileHasItsAlgorithm: the key of the file has no ID, and so fits every token.
func TestAnUnknownKeyIsFetchedThoughAKeyOfAFileHasItsAlgorithm(t *testing.T) {
	var set atomic.Pointer[[]byte]
	var fetches atomic.Int32
	old := jwksOf(t, jwkOf(t, signers()[algES256], "old"))
	set.Store(&old)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		_, _ = w.Write(*set.Load())
	}))
	defer srv.Close()
	j := runJWKS(t, srv.URL, time.Hour)
	_, fromFile, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	fixed, err := keyFor(fromFile.Public())
	if err != nil {
		t.Fatal(err)
	}
	p := NewJWT(JWTConfig{Keys: []VerificationKey{fixed}, Remote: j, Now: at(jwtNow).now})
	next := jwksOf(t, jwkOf(t, signers()[algEdDSA], "new"))
	set.Store(&next)
	long := func() {
		j.mu.Lock()
		j.fetched = j.fetched.Add(-jwksRetry)
		j.mu.Unlock()
	}
	long()
	sign := func(kid any) string {
		return "token=" + signers()[algEdDSA].sign(t, ticket(nil), map[string]any{"kid": kid})
	}
	expect(t, p, asking(Play, "live/test", sign("new")), "")
	// Whatever else is shown, there is no other fetch: right after that one for nobody, later for an unknown ID alone.
	expect(t, p, asking(Play, "live/test", sign("unknown")), BadToken)
	long()
	wrong := sign("new")
	expect(t, p, asking(Play, "live/test", wrong[:len(wrong)-8]+"AAAAAAAA"), BadToken)
	if n := fetches.Load(); n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
}
