package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// ticketOffice signs tickets, as somebody does who sells them, by every algorithm; "JWKS" is a key that is published
// at a URL alone.
type ticketOffice struct {
	signers map[string]crypto.Signer
	keys    string // file with the public keys but for that one
	jwks    string // URL
}

var ticketMethods = map[string]jwt.SigningMethod{
	"HS256": jwt.SigningMethodHS256, "RS256": jwt.SigningMethodRS256, "ES256": jwt.SigningMethodES256,
	"EdDSA": jwt.SigningMethodEdDSA, "JWKS": jwt.SigningMethodES256,
}

func newTicketOffice(t testing.TB) *ticketOffice {
	t.Helper()
	o := &ticketOffice{signers: map[string]crypto.Signer{}}
	keep := func(name string, s crypto.Signer, err error) {
		if err != nil {
			t.Fatal(err)
		}
		o.signers[name] = s
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	keep("RS256", rsaKey, err)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	keep("EdDSA", edwards, err)
	onCurve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	keep("ES256", onCurve, err)
	published, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	keep("JWKS", published, err)
	var file []byte
	for _, name := range []string{"RS256", "EdDSA", "ES256"} {
		der, err := x509.MarshalPKIXPublicKey(o.signers[name].Public())
		if err != nil {
			t.Fatal(err)
		}
		file = append(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})...)
	}
	o.keys = secretFile(t, "tickets.pem", string(file))
	point, err := published.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	set, err := json.Marshal(map[string]any{"keys": []map[string]string{
		{"kty": "EC", "crv": "P-256", "kid": "published", "x": encode(point[1:33]), "y": encode(point[33:])},
	}})
	if err != nil {
		t.Fatal(err)
	}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(set) }))
	t.Cleanup(site.Close)
	o.jwks = site.URL
	return o
}

// ticket signs by EdDSA.
func (o *ticketOffice) ticket(t testing.TB, action, stream string, ttl time.Duration) string {
	t.Helper()
	return o.ticketBy(t, "EdDSA", action, stream, ttl)
}

func (o *ticketOffice) ticketBy(t testing.TB, name, action, stream string, ttl time.Duration) string {
	t.Helper()
	token := jwt.NewWithClaims(ticketMethods[name], jwt.MapClaims{
		"action": action, "stream": stream, "exp": time.Now().Add(ttl).Unix(), "sub": "holder",
	})
	var key any = []byte(plantedShared)
	if s := o.signers[name]; s != nil {
		key = s
	}
	if name == "JWKS" {
		token.Header["kid"] = "published"
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// backend is an authorisation backend. It allows those whose token is "good", for some seconds those with "brief", and
// calls streams that are published under a secret name by their public one.
type backend struct {
	*httptest.Server
	asked    atomic.Int64
	instead  atomic.Pointer[http.HandlerFunc] // answers in its stead, if set
	lastBody atomic.Pointer[string]
}

// briefly is how long the backend lets those watch whose token is "brief".
const briefly = 12 * time.Second

func newBackend(t *testing.T) *backend {
	b := &backend{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		text := string(body)
		b.lastBody.Store(&text)
		if instead := b.instead.Load(); instead != nil {
			(*instead)(w, r)
			return
		}
		var q struct{ Action, Stream, Query string }
		_ = json.Unmarshal(body, &q)
		values, _ := url.ParseQuery(q.Query)
		answer := map[string]any{"allow": false, "reason": "the box office does not know you", "cache": 30}
		switch token := values.Get("token"); {
		case token == "good":
			answer["allow"] = true
		case token == "brief":
			answer["allow"], answer["max_duration"] = true, briefly.Seconds()
		case q.Stream == "callback/"+plantedName:
			answer = map[string]any{"allow": true, "stream": "callback/show"}
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *backend) answerWith(h http.HandlerFunc) { b.instead.Store(&h) }
