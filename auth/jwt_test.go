package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"maps"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// signer makes tokens: the other side.
type signer struct {
	method  jwt.SigningMethod
	private any
	public  any
}

// signers has one for each algorithm. RSA keys take long to make.
var signers = sync.OnceValue(func() map[string]signer {
	must := func(k any, err error) any {
		if err != nil {
			panic(err)
		}
		return k
	}
	all := map[string]signer{
		algRS256: {jwt.SigningMethodRS256, must(rsa.GenerateKey(rand.Reader, 2048)), nil},
		algES256: {jwt.SigningMethodES256, must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), nil},
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	all[algEdDSA] = signer{jwt.SigningMethodEdDSA, must(edwards, err), nil}
	for name, s := range all {
		s.public = s.private.(crypto.Signer).Public()
		all[name] = s
	}
	all[algHS256] = signer{jwt.SigningMethodHS256, []byte(testSecret), nil}
	return all
})

func (s signer) sign(t testing.TB, claims jwt.MapClaims, header map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(s.method, claims)
	maps.Copy(token.Header, header)
	text, err := token.SignedString(s.private)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (s signer) key(t testing.TB) VerificationKey {
	t.Helper()
	k, err := SecretKey(testSecret)
	if s.public != nil {
		k, err = keyFor(s.public)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// publicPEM is the public key as people have it in a file.
func (s signer) publicPEM(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(s.public)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

const jwtNow = 1_800_000_000

func ticket(changes jwt.MapClaims) jwt.MapClaims {
	claims := jwt.MapClaims{"action": "play", "stream": "live/*", "exp": jwtNow + 60, "nbf": jwtNow - 60, "sub": "alice", "jti": "ticket-1"}
	for name, v := range changes {
		if v == nil {
			delete(claims, name)
		} else {
			claims[name] = v
		}
	}
	return claims
}

func jwtPolicy(keys ...VerificationKey) *JWT {
	return NewJWT(JWTConfig{Keys: keys, Now: at(jwtNow).now})
}

func TestTokensOfEachAlgorithmAreTaken(t *testing.T) {
	var all []VerificationKey
	for _, s := range signers() {
		all = append(all, s.key(t))
	}
	for name, s := range signers() {
		token := "token=" + s.sign(t, ticket(nil), nil)
		d := expect(t, jwtPolicy(s.key(t)), asking(Play, "live/test", token), "")
		if d.TokenID != "ticket-1" || d.Expires.Unix() != jwtNow+90 || d.CacheFor <= 0 || !strings.Contains(d.Credential, "alice") {
			t.Errorf("%s: %+v", name, d)
		}
		expect(t, jwtPolicy(all...), asking(Play, "live/test", token), "")
	}
}

func TestClaimsSayWhatATokenIsGoodFor(t *testing.T) {
	s := signers()[algEdDSA]
	p := NewJWT(JWTConfig{Keys: []VerificationKey{s.key(t)}, Issuer: "shop", Audience: "headwater", Now: at(jwtNow).now})
	for _, test := range []struct {
		name    string
		changes jwt.MapClaims
		action  Action
		stream  string
		want    Code
	}{
		{"good", nil, Play, "live/test", ""},
		{"lists", jwt.MapClaims{"action": []string{"publish", "play"}, "stream": []string{"a/b", "live/test"}}, Play, "live/test", ""},
		{"audience in a list", jwt.MapClaims{"aud": []string{"x", "headwater"}}, Play, "live/test", ""},
		{"another action", nil, Publish, "live/test", BadToken},
		{"for publishing only", jwt.MapClaims{"action": "publish"}, Play, "live/test", BadToken},
		{"another stream", nil, Play, "vod/test", BadToken},
		{"no action", jwt.MapClaims{"action": nil}, Play, "live/test", BadToken},
		{"no stream", jwt.MapClaims{"stream": nil}, Play, "live/test", BadToken},
		{"a number for a stream", jwt.MapClaims{"stream": 7}, Play, "live/test", BadToken},
		{"no expiry", jwt.MapClaims{"exp": nil}, Play, "live/test", BadToken},
		{"expired", jwt.MapClaims{"exp": jwtNow - 30}, Play, "live/test", Expired},
		{"not yet", jwt.MapClaims{"nbf": jwtNow + 31}, Play, "live/test", NotYetValid},
		{"expired by a clock that is slow", jwt.MapClaims{"exp": jwtNow - 29}, Play, "live/test", ""},
		{"not yet by a clock that is fast", jwt.MapClaims{"nbf": jwtNow + 30}, Play, "live/test", ""},
		{"expiry as text", jwt.MapClaims{"exp": "never"}, Play, "live/test", BadToken},
		{"another issuer", jwt.MapClaims{"iss": "x"}, Play, "live/test", BadToken},
		{"another audience", jwt.MapClaims{"aud": "x"}, Play, "live/test", BadToken},
	} {
		t.Run(test.name, func(t *testing.T) {
			claims := ticket(jwt.MapClaims{"iss": "shop", "aud": "headwater"})
			for name, v := range test.changes {
				claims[name] = v
				if v == nil {
					delete(claims, name)
				}
			}
			expect(t, p, asking(test.action, test.stream, "token="+s.sign(t, claims, nil)), test.want)
		})
	}
}

func TestNoTokenChoosesItsAlgorithm(t *testing.T) {
	rs, es, hs := signers()[algRS256], signers()[algES256], signers()[algHS256]
	p := jwtPolicy(rs.key(t), es.key(t))
	// The classic: the public key, which all may know, as the secret of HS256.
	for _, secret := range [][]byte{rs.publicPEM(t), es.publicPEM(t), x509.MarshalPKCS1PublicKey(rs.public.(*rsa.PublicKey))} {
		forger := signer{jwt.SigningMethodHS256, secret, nil}
		expect(t, p, asking(Play, "live/test", "token="+forger.sign(t, ticket(nil), nil)), BadToken)
	}
	none := signer{jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil}
	for _, alg := range []string{"none", "None", "NONE", "HS256", "RS256", "RS512", "PS256", ""} {
		expect(t, p, asking(Play, "live/test", "token="+none.sign(t, ticket(nil), map[string]any{"alg": alg})), BadToken)
	}
	expect(t, p, asking(Play, "live/test", "token="+hs.sign(t, ticket(nil), nil)), BadToken)
	// The same key in another algorithm of its kind.
	pss := signer{jwt.SigningMethodPS256, rs.private, nil}
	expect(t, p, asking(Play, "live/test", "token="+pss.sign(t, ticket(nil), nil)), BadToken)
	expect(t, p, asking(Play, "live/test", "token="+rs.sign(t, ticket(nil), map[string]any{"crit": []string{"exp"}})), BadToken)
	expect(t, p, asking(Play, "live/test", "token="+rs.sign(t, ticket(nil), map[string]any{"jwk": map[string]string{"kty": "oct"}})), "")
}

func TestAChangedTokenIsRefused(t *testing.T) {
	s := signers()[algES256]
	p := jwtPolicy(s.key(t))
	token := s.sign(t, ticket(nil), nil)
	parts := strings.Split(token, ".")
	other := base64.RawURLEncoding.EncodeToString([]byte(`{"action":"publish","stream":"*","exp":9999999999}`))
	for _, changed := range []string{
		parts[0] + "." + other + "." + parts[2], parts[0] + "." + parts[1] + ".", parts[0] + "." + parts[1], token + ".x",
		token[:len(token)-1], "." + parts[1] + "." + parts[2], "x", parts[0] + "." + parts[1] + "." + parts[2] + "=",
	} {
		expect(t, p, asking(Play, "live/test", "token="+changed), BadToken)
	}
	expect(t, p, asking(Play, "live/test", ""), NoToken)
}

func TestAKeyIDChoosesAmongKeys(t *testing.T) {
	a, b := signers()[algES256], signers()[algRS256]
	keyA, keyB := a.key(t), b.key(t)
	keyA.id, keyB.id = "a", "b"
	p := jwtPolicy(keyA, keyB)
	expect(t, p, asking(Play, "live/test", "token="+a.sign(t, ticket(nil), map[string]any{"kid": "a"})), "")
	expect(t, p, asking(Play, "live/test", "token="+a.sign(t, ticket(nil), nil)), "")
	expect(t, p, asking(Play, "live/test", "token="+a.sign(t, ticket(nil), map[string]any{"kid": "b"})), BadToken)
}

func TestATokenWithoutAnIDIsKnownByItsHash(t *testing.T) {
	s := signers()[algHS256]
	for _, id := range []any{nil, "", "with space", strings.Repeat("x", 129), "line\nbreak"} {
		d := expect(t, jwtPolicy(s.key(t)), asking(Play, "live/test", "token="+s.sign(t, ticket(jwt.MapClaims{"jti": id}), nil)), "")
		if len(d.TokenID) != 16 {
			t.Errorf("jti %q: ID %q", id, d.TokenID)
		}
	}
}

func TestOnlyPublicKeysOfKnownKindsAreRead(t *testing.T) {
	var file []byte
	for _, name := range []string{algRS256, algES256, algEdDSA} {
		file = append(file, signers()[name].publicPEM(t)...)
	}
	keys, err := PublicKeys(append(file, "some text"...))
	if err != nil || len(keys) != 3 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(signers()[algES256].private)
	if err != nil {
		t.Fatal(err)
	}
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{
		"empty":         nil,
		"a secret":      []byte(testSecret),
		"a private key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		"a short key":   signer{public: short.Public()}.publicPEM(t),
		"P-384":         signer{public: p384.Public()}.publicPEM(t),
		"damaged":       pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}),
	} {
		if keys, err := PublicKeys(file); err == nil {
			t.Errorf("%s: %d keys", name, len(keys))
		}
	}
	for _, secret := range []string{"", "fifteen-letters", string(signers()[algRS256].publicPEM(t))} {
		if _, err := SecretKey(secret); err == nil {
			t.Errorf("the secret %q was taken", secret)
		}
	}
}

func FuzzJWT(f *testing.F) {
	for _, s := range signers() {
		f.Add(s.sign(f, ticket(nil), nil))
	}
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	var keys []VerificationKey
	for name, s := range signers() {
		if name != algHS256 {
			keys = append(keys, s.key(f))
		}
	}
	p := jwtPolicy(keys...)
	f.Fuzz(func(t *testing.T, token string) {
		d := p.Decide(t.Context(), asking(Publish, "live/test", WithToken("", token)))
		if d.Allowed { // all genuine ones are for watching
			t.Errorf("%q may publish", token)
		}
	})
}

// TestAnotherSignatureIsNotAnotherToken makes a second valid signature of the same token, as anybody can
// with ECDSA: (r, -s) verifies as (r, s) does. What was revoked stays revoked.
func TestAnotherSignatureIsNotAnotherToken(t *testing.T) {
	s := signers()[algES256]
	token := s.sign(t, jwt.MapClaims{"stream": "live/test", "action": "play", "exp": float64(4_000_000_000)}, nil)
	dot := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil || len(signature) != 64 {
		t.Fatalf("a signature of %d bytes, %v", len(signature), err)
	}
	flipped := new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(signature[32:]))
	flipped.FillBytes(signature[32:])
	other := token[:dot+1] + base64.RawURLEncoding.EncodeToString(signature)
	if _, err := jwt.Parse(other, func(*jwt.Token) (any, error) { return s.public, nil }); err != nil {
		t.Fatalf("the other signature is not valid: %v", err)
	}
	if a, b := tokenID("", token), tokenID("", other); a != b {
		t.Errorf("IDs %s and %s", a, b)
	}
}

// TestTokensWithoutASubjectAreDifferentPublishers: one does not take over what another publishes.
func TestTokensWithoutASubjectAreDifferentPublishers(t *testing.T) {
	s := signers()[algEdDSA]
	credential := func(changes jwt.MapClaims) string {
		claims := ticket(jwt.MapClaims{"action": "publish", "sub": nil, "jti": nil})
		maps.Copy(claims, changes)
		return expect(t, jwtPolicy(s.key(t)), asking(Publish, "live/test", "token="+s.sign(t, claims, nil)), "").Credential
	}
	all := map[string]string{}
	for name, changes := range map[string]jwt.MapClaims{
		"nothing": nil, "another time": {"exp": jwtNow + 61}, "an ID": {"jti": "a"}, "another ID": {"jti": "b"}, "an ID of another issuer": {"jti": "a", "iss": "x"},
		"a subject": {"sub": "a"}, "a subject of another issuer": {"sub": "a", "iss": "x"},
	} {
		c := credential(changes)
		if c != credential(changes) {
			t.Errorf("%s: the same token is somebody else", name)
		}
		if other, taken := all[c]; taken {
			t.Errorf("%s is %s", name, other)
		}
		all[c] = name
	}
	if credential(jwt.MapClaims{"sub": "a"}) != credential(jwt.MapClaims{"sub": "a", "exp": jwtNow + 61}) {
		t.Error("another token of the same subject is somebody else")
	}
}
