package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The algorithms of tokens that are taken (RFC 7518, section 3.1, and RFC 8037).
const (
	algHS256 = "HS256"
	algRS256 = "RS256"
	algES256 = "ES256"
	algEdDSA = "EdDSA"
)

const (
	// jwtCache is how long a verified token need not be verified again: an RSA signature takes some 30 µs.
	jwtCache = 30 * time.Second
	// jwtLeeway is by how much the clock of who makes tokens may differ from ours.
	jwtLeeway = 30 * time.Second
	// maxCandidates bounds how many keys one token is tried with: as many as a rotation ever needs.
	maxCandidates = 8
)

// JWT allows what a JSON Web Token says (RFC 7519):
//
//	action   "publish" or "play", or a list of both
//	stream   a Pattern, or a list of them; a reserved stream (see Names) needs its very name
//	exp      when it ends; required, like the two above
//	nbf      when it begins
//	sub      who it is: the same one may take a stream over; without it only who has the same token
//	jti      what it is revoked by
//
// Clocks differ: exp counts half a minute later, and nbf half a minute earlier.
//
// Each key verifies by the one algorithm that it was given for, whatever the token says. Tokens with "crit" (RFC 7515,
// section 4.1.11) are refused, for no extension is understood.
type JWT struct{ config JWTConfig }

// JWTConfig configures a JWT policy.
type JWTConfig struct {
	// Keys are fixed.
	Keys []VerificationKey
	// Remote has more keys; may be nil.
	Remote *JWKS
	// Issuer and Audience must be in the token ("iss", "aud") if they are set.
	Issuer, Audience string
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// NewJWT returns the policy.
func NewJWT(config JWTConfig) *JWT {
	if config.Now == nil {
		config.Now = time.Now
	}
	return &JWT{config: config}
}

// jwtClaims is what is read of a token.
type jwtClaims struct {
	jwt.RegisteredClaims
	Action jwt.ClaimStrings `json:"action"`
	Stream jwt.ClaimStrings `json:"stream"`
}

var (
	errNoKey    = errors.New("there is no key for the token")
	errCritical = errors.New("the token has critical extensions")
)

// Decide implements Policy.
func (p *JWT) Decide(ctx context.Context, r Request) Decision {
	token := Token(r.Query)
	if token == "" {
		return refuse(NoToken, needToken(r.Action))
	}
	claims, err := p.parse(token)
	if p.config.Remote != nil && (errors.Is(err, errNoKey) || errors.Is(err, jwt.ErrTokenSignatureInvalid) && p.unknownKey(token)) &&
		p.config.Remote.Await(ctx) {
		claims, err = p.parse(token)
	}
	if err != nil {
		return p.explain(err, claims)
	}
	return p.judge(r, token, claims)
}

// unknownKey reports whether a token has a key ID that no fetched key has. A key from a file has none, and so is tried
// with every token of its algorithm.
func (p *JWT) unknownKey(token string) bool {
	t, _, err := jwt.NewParser().ParseUnverified(token, &jwt.RegisteredClaims{})
	if err != nil {
		return false
	}
	kid, _ := t.Header["kid"].(string)
	return kid != "" && !slices.ContainsFunc(p.config.Remote.Keys(), func(k VerificationKey) bool { return k.id == kid })
}

func (p *JWT) parse(token string) (*jwtClaims, error) {
	options := []jwt.ParserOption{
		jwt.WithValidMethods([]string{algHS256, algRS256, algES256, algEdDSA}),
		jwt.WithExpirationRequired(), jwt.WithStrictDecoding(), jwt.WithTimeFunc(p.config.Now), jwt.WithLeeway(jwtLeeway),
	}
	if p.config.Issuer != "" {
		options = append(options, jwt.WithIssuer(p.config.Issuer))
	}
	if p.config.Audience != "" {
		options = append(options, jwt.WithAudience(p.config.Audience))
	}
	claims := &jwtClaims{}
	_, err := jwt.NewParser(options...).ParseWithClaims(token, claims, p.keysFor)
	return claims, err
}

// keysFor returns the keys that may have signed a token: of its algorithm, and of its key ID where both have one.
func (p *JWT) keysFor(t *jwt.Token) (any, error) {
	if _, critical := t.Header["crit"]; critical {
		return nil, errCritical
	}
	keys := p.config.Keys
	if p.config.Remote != nil {
		keys = slices.Concat(keys, p.config.Remote.Keys())
	}
	kid, _ := t.Header["kid"].(string)
	var set jwt.VerificationKeySet
	for _, k := range keys {
		if k.algorithm == t.Method.Alg() && (kid == "" || k.id == "" || k.id == kid) && len(set.Keys) < maxCandidates {
			set.Keys = append(set.Keys, k.key)
		}
	}
	if len(set.Keys) == 0 {
		return nil, errNoKey
	}
	return set, nil
}

// explain says why a token was not taken. The errors of the library may quote the token.
func (p *JWT) explain(err error, claims *jwtClaims) Decision {
	var d Decision
	switch {
	case p.config.Remote != nil && len(p.config.Remote.Keys()) == 0 && (errors.Is(err, errNoKey) || errors.Is(err, jwt.ErrTokenSignatureInvalid)):
		return refuse(KeysMissing, "the token cannot be checked: the server could not fetch its keys yet; try again, and tell its operator")
	case errors.Is(err, jwt.ErrTokenMalformed):
		d = refuse(BadToken, "the token is damaged: copy it whole, to its last character")
	case errors.Is(err, jwt.ErrTokenUnverifiable), errors.Is(err, jwt.ErrTokenSignatureInvalid):
		d = refuse(BadToken, "the token is not from a source that this server trusts, or was changed")
	case errors.Is(err, jwt.ErrTokenExpired):
		d = refuse(Expired, "the token expired at "+claims.ExpiresAt.UTC().Format(time.RFC3339)+": ask for a new one")
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		d = refuse(NotYetValid, "the token is not valid yet: check the clock of this server and of who made the token")
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		d = refuse(BadToken, `the token lacks a claim that is required, such as "exp"`)
	default:
		d = refuse(BadToken, "the token is not meant for this server")
	}
	return d
}

// judge reads a verified token.
func (p *JWT) judge(r Request, token string, c *jwtClaims) Decision {
	switch {
	case len(c.Action) == 0 || len(c.Stream) == 0:
		return refuse(BadToken, `the token says nothing of "action" and "stream"`)
	case !slices.Contains(c.Action, string(r.Action)) && r.Action == Publish:
		return refuse(BadToken, "the token is for watching, not for publishing")
	case !slices.Contains(c.Action, string(r.Action)):
		return refuse(BadToken, "the token is for publishing, not for watching")
	case !slices.ContainsFunc(c.Stream, func(s string) bool { return Pattern(s).Match(r.Stream) }):
		return refuse(BadToken, "the token is for another stream: check the name")
	case r.Reserved && !slices.Contains(c.Stream, r.Stream):
		return reserved()
	}
	d := Decision{Allowed: true, shown: true, Expires: c.ExpiresAt.Add(jwtLeeway), TokenID: tokenID(c.ID, token), CacheFor: jwtCache}
	if d.CacheFor = min(jwtCache, d.Expires.Sub(p.config.Now())); d.CacheFor < 0 {
		d.CacheFor = 0
	}
	d.Credential = fmt.Sprintf("jwt token %q %q", c.Issuer, d.TokenID)
	if c.Subject != "" {
		d.Credential = fmt.Sprintf("jwt subject %q %q", c.Issuer, c.Subject)
	}
	return d
}

// maxTokenID bounds the token IDs that are shown and revoked.
const maxTokenID = 128

// tokenID returns a token's own ID where it is usable, else a hash of what is signed: whoever has an ECDSA
// signature can make another one for the same, which must not be another ID.
func tokenID(id, token string) string {
	if !ValidTokenID(id) {
		return hashID(token[:max(0, strings.LastIndexByte(token, '.'))])
	}
	return id
}

// ValidTokenID reports whether a text can be the ID of a token: 1 to 128 visible ASCII characters.
func ValidTokenID(id string) bool {
	if id == "" || len(id) > maxTokenID {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}
