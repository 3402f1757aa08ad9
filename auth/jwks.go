package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxJWKS bounds a key set, in bytes, and maxJWKSKeys its keys: large providers publish a dozen.
	maxJWKS     = 256 << 10
	maxJWKSKeys = 64
	jwksTimeout = 5 * time.Second
	// jwksRetry is the pause after a failure, and the shortest time between two fetches: a token with an unknown
	// key ID cannot make the server fetch more often.
	jwksRetry = 10 * time.Second
	// jwksWait is how long a token with an unknown key waits for the keys to be fetched.
	jwksWait = 2 * time.Second
)

// JWKS has the public keys that a URL publishes (RFC 7517). It keeps those it has when the URL fails.
type JWKS struct {
	url     string
	refresh atomic.Int64 // a time.Duration
	client  *http.Client
	logger  *slog.Logger

	keys    atomic.Pointer[[]VerificationKey]
	failing atomic.Bool
	wake    chan struct{}
	changed chan struct{}

	// mu guards all below.
	mu      sync.Mutex
	fetched time.Time     // when the last fetch began
	done    chan struct{} // closed when the next fetch ends
}

// NewJWKS returns a key set without keys: Run fetches them, at once and then every refresh.
func NewJWKS(url string, refresh time.Duration, logger *slog.Logger) *JWKS {
	j := &JWKS{
		url: url, logger: logger,
		client:  boundedClient(jwksTimeout, 1, 1),
		wake:    make(chan struct{}, 1),
		changed: make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	j.refresh.Store(int64(refresh))
	return j
}

// SetRefresh has the keys fetched that often from now on, and at once if that is new. Those there are stay.
func (j *JWKS) SetRefresh(refresh time.Duration) {
	if time.Duration(j.refresh.Swap(int64(refresh))) != refresh {
		j.fetchNow()
	}
}

// Changed has something when the keys are others than when it had something last, or are there for the first time: those
// who were let in by one that is gone can be asked for again. One may receive from it.
func (j *JWKS) Changed() <-chan struct{} { return j.changed }

// Failing reports whether the last fetch failed, so that the keys may be older than what the URL says.
func (j *JWKS) Failing() bool { return j.failing.Load() }

func (j *JWKS) fetchNow() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Keys returns the keys there are now.
func (j *JWKS) Keys() []VerificationKey {
	if p := j.keys.Load(); p != nil {
		return *p
	}
	return nil
}

// Run fetches the keys until ctx ends.
func (j *JWKS) Run(ctx context.Context) {
	defer j.client.CloseIdleConnections()
	for {
		j.mu.Lock()
		j.fetched = time.Now()
		j.mu.Unlock()
		keys, err := j.fetch(ctx)
		pause := time.Duration(j.refresh.Load())
		j.failing.Store(err != nil && ctx.Err() == nil)
		if err == nil {
			j.take(keys)
		} else if pause = min(jwksRetry, pause); ctx.Err() == nil {
			j.logger.Warn("keys of tokens were not fetched, those there are stay", "keys", len(j.Keys()), "error", err)
		}
		j.mu.Lock()
		close(j.done)
		j.done = make(chan struct{})
		j.mu.Unlock()
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-j.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// take puts fetched keys in force, and says if they are others.
func (j *JWKS) take(keys []VerificationKey) {
	old := j.keys.Swap(&keys)
	if old != nil && slices.EqualFunc(*old, keys, VerificationKey.equal) {
		return
	}
	select {
	case j.changed <- struct{}{}:
	default:
	}
}

// Await waits for a fetch, for a token whose key is not known: the source may have changed its keys. It returns false
// if there was a fetch a moment ago, or none in time.
func (j *JWKS) Await(ctx context.Context) bool {
	j.mu.Lock()
	done, recent := j.done, time.Since(j.fetched) < jwksRetry
	j.mu.Unlock()
	if recent && j.keys.Load() != nil {
		return false
	}
	if !recent {
		j.fetchNow()
	}
	ctx, cancel := context.WithTimeout(ctx, jwksWait)
	defer cancel()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

func (j *JWKS) fetch(ctx context.Context) ([]VerificationKey, error) {
	ctx, cancel := context.WithTimeout(ctx, jwksTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, j.url, nil)
	if err != nil {
		return nil, errors.New("fetch JWKS: the URL is not valid")
	}
	req.Header.Set("Accept", "application/json")
	resp, err := j.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch JWKS: %w", withoutURL(err))
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch JWKS: status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxJWKS+1))
	if err != nil {
		return nil, fmt.Errorf("fetch JWKS: %w", err)
	}
	return parseJWKS(body)
}

// jwk is what is read of a JSON Web Key (RFC 7517, section 4; RFC 7518, section 6; RFC 8037, section 2).
type jwk struct {
	Kty string `json:"kty"`
	Use string `json:"use"`
	Alg string `json:"alg"`
	Kid string `json:"kid"`
	Crv string `json:"crv"`
	N   string `json:"n"`
	E   string `json:"e"`
	X   string `json:"x"`
	Y   string `json:"y"`
}

// parseJWKS reads a key set. Keys for something else are passed over, symmetric ones always: a secret that is
// published is none.
func parseJWKS(body []byte) ([]VerificationKey, error) {
	if len(body) > maxJWKS {
		return nil, fmt.Errorf("read JWKS: more than %d bytes", maxJWKS)
	}
	var set struct {
		Keys []jwk `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, errors.New("read JWKS: not a JSON key set")
	}
	if len(set.Keys) > maxJWKSKeys {
		return nil, fmt.Errorf("read JWKS: more than %d keys", maxJWKSKeys)
	}
	var keys []VerificationKey
	for _, k := range set.Keys {
		if k.Use != "" && k.Use != "sig" {
			continue
		}
		public, err := k.public()
		if err != nil {
			continue
		}
		v, err := keyFor(public)
		if err != nil || k.Alg != "" && k.Alg != v.algorithm {
			continue
		}
		v.id = k.Kid
		keys = append(keys, v)
	}
	if len(keys) == 0 {
		return nil, errors.New("read JWKS: no key for RS256, ES256 or EdDSA")
	}
	return keys, nil
}

func (k *jwk) public() (any, error) {
	switch {
	case k.Kty == "RSA":
		n, errN := decodeKeyPart(k.N)
		e, errE := decodeKeyPart(k.E)
		exponent := new(big.Int).SetBytes(e)
		if errN != nil || errE != nil || !exponent.IsInt64() || exponent.Int64() > 1<<31-1 {
			return nil, errKeyKind
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}, nil
	case k.Kty == "EC" && k.Crv == "P-256":
		x, errX := decodeKeyPart(k.X)
		y, errY := decodeKeyPart(k.Y)
		if errX != nil || errY != nil || len(x) != 32 || len(y) != 32 {
			return nil, errKeyKind
		}
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
	case k.Kty == "OKP" && k.Crv == "Ed25519":
		x, err := decodeKeyPart(k.X)
		return ed25519.PublicKey(x), err
	}
	return nil, errKeyKind
}

func decodeKeyPart(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }
