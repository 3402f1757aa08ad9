package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// MinSecret is the shortest secret that signs, in bytes.
const MinSecret = 16

// Grant is what a signed token permits.
type Grant struct {
	Action Action
	// Stream is "APP/NAME".
	Stream string
	// Expires is when it ends, in whole seconds.
	Expires time.Time
	// Address is the only address from which the token is good; the zero value is any.
	Address netip.Addr
}

// The token of a signed URL is text of three or four parts:
//
//	hw1.EXPIRES.SIGNATURE        from any address
//	hw1.EXPIRES.ip.SIGNATURE     from the address that was signed
//
// EXPIRES is in seconds since 1970 (UTC), decimal. SIGNATURE is the HMAC-SHA256 of the canonical text with the
// secret as its key, as base64url without padding (RFC 4648, section 5), 43 characters. The canonical text has five
// lines, each ended by a line feed, the last of them empty if any address will do:
//
//	headwater-1
//	publish | play
//	APP/NAME
//	EXPIRES
//	ADDRESS
//
// An IPv4 address is four decimal numbers, an IPv6 address as in RFC 5952; an IPv4 address inside an IPv6 one is
// written as the IPv4 address.
const (
	signedPrefix   = "hw1."
	canonicalFirst = "headwater-1"
	boundMark      = "ip"
	signatureSize  = 43
	// maxExpiry is the year 9999: decimal digits that time.Time can hold.
	maxExpiry = 253402300799
)

// Sign returns the token for a grant.
func Sign(secret []byte, g Grant) string {
	signature := base64.RawURLEncoding.EncodeToString(g.mac(secret))
	expires := strconv.FormatInt(g.Expires.Unix(), 10)
	if g.Address.IsValid() {
		return signedPrefix + expires + "." + boundMark + "." + signature
	}
	return signedPrefix + expires + "." + signature
}

func (g Grant) mac(secret []byte) []byte {
	address := ""
	if g.Address.IsValid() {
		address = g.Address.Unmap().WithZone("").String()
	}
	text := make([]byte, 0, 256)
	text = append(text, canonicalFirst...)
	text = append(append(text, '\n'), g.Action...)
	text = append(append(text, '\n'), g.Stream...)
	text = strconv.AppendInt(append(text, '\n'), g.Expires.Unix(), 10)
	text = append(append(text, '\n'), address...)
	text = append(text, '\n')
	mac := hmac.New(sha256.New, secret)
	mac.Write(text)
	return mac.Sum(nil)
}

// signedToken is a token that was read, not yet verified.
type signedToken struct {
	expires   int64
	bound     bool
	signature [sha256.Size]byte
}

var errSignedToken = errors.New("not a signed token")

// parseSigned reads a token. Each token has exactly one spelling.
func parseSigned(token string) (signedToken, error) {
	var t signedToken
	rest, ok := strings.CutPrefix(token, signedPrefix)
	if !ok {
		return t, errSignedToken
	}
	digits, rest, _ := strings.Cut(rest, ".")
	if signature, bound := strings.CutPrefix(rest, boundMark+"."); bound {
		t.bound, rest = true, signature
	}
	expires, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || expires < 0 || expires > maxExpiry || digits != strconv.FormatInt(expires, 10) {
		return t, errSignedToken
	}
	t.expires = expires
	if len(rest) != signatureSize {
		return t, errSignedToken
	}
	if n, err := base64.RawURLEncoding.Strict().Decode(t.signature[:], []byte(rest)); err != nil || n != len(t.signature) {
		return t, errSignedToken
	}
	return t, nil
}

// Signed allows what a URL is signed for.
type Signed struct {
	// Secrets verify, each of at least MinSecret bytes. To replace one, add the new one, sign with it, and remove
	// the old one when its tokens have expired.
	Secrets [][]byte
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// NewSigned returns the policy for a list of secrets.
func NewSigned(secrets []string) (*Signed, error) {
	s := &Signed{}
	for i, secret := range secrets {
		if len(secret) < MinSecret {
			return nil, fmt.Errorf("secret %d has less than %d characters", i+1, MinSecret)
		}
		s.Secrets = append(s.Secrets, []byte(secret))
	}
	if len(s.Secrets) == 0 {
		return nil, errors.New("there is no secret")
	}
	return s, nil
}

// Decide implements Policy.
func (s *Signed) Decide(_ context.Context, r Request) Decision {
	token := Token(r.Query)
	if token == "" {
		return refuse(NoToken, needToken(r.Action))
	}
	t, err := parseSigned(token)
	if err != nil {
		return refuse(BadToken, "the token is damaged: copy it whole, to its last character")
	}
	g := Grant{Action: r.Action, Stream: r.Stream, Expires: time.Unix(t.expires, 0)}
	if t.bound {
		g.Address = r.Remote.Addr()
	}
	if !s.verify(g, &t) {
		return s.explain(g, &t)
	}
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	if !now().Before(g.Expires) {
		return refuse(Expired, "the token expired at "+g.Expires.UTC().Format(time.RFC3339)+": ask for a new one")
	}
	return Decision{
		Allowed: true, shown: true, Expires: g.Expires, TokenID: hashID(token),
		// Every token for publishing a stream comes from whoever has the secret: the newer one takes over.
		Credential: "signed " + r.Stream,
	}
}

func (s *Signed) verify(g Grant, t *signedToken) bool {
	for _, secret := range s.Secrets {
		if hmac.Equal(g.mac(secret), t.signature[:]) {
			return true
		}
	}
	return false
}

// explain says why a token is not good for a grant, as far as that can be told.
func (s *Signed) explain(g Grant, t *signedToken) Decision {
	other := g
	other.Action = Publish
	text := "the token is for publishing, not for watching"
	if g.Action == Publish {
		other.Action, text = Play, "the token is for watching, not for publishing"
	}
	if s.verify(other, t) {
		return refuse(BadToken, text)
	}
	if t.bound {
		return refuse(BadToken, "the token is not for this stream, or not for the address "+g.Address.Unmap().String()+", or was changed")
	}
	return refuse(BadToken, "the token is not for this stream, or was changed: check the name and copy the token whole")
}

// SignedTokenID returns what a signed token is revoked by.
func SignedTokenID(token string) string { return hashID(token) }

// hashID identifies a token of much entropy without showing it.
func hashID(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:8])
}
