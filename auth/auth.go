// Package auth says who may publish and who may watch, and why not.
//
// A [Request] names an action, a stream and what somebody shows for it. A [Policy] answers it with a
// [Decision]. Policies are small and know one thing each:
//
//	Open, Loopback, Deny   everybody, programs on this machine, nobody
//	Keys                   publish keys from the configuration or a file; a key may also stand for another name
//	Signed                 URLs that a shared secret has signed (HMAC-SHA256)
//	JWT                    JSON Web Tokens, by keys from files or a JWKS URL
//	Callback               a backend that is asked over HTTP
//
// [Rules] pick by the stream's name which policies are asked, one after the other: the first that allows wins. A
// [Gate] has the rules of both actions and everything that holds for all policies: decisions that are kept for a
// while, tokens that were revoked, the list of those who were let in (so that they can be sent away when their
// permission ends), and how many they may be.
//
// What is asked and what is shown for it is secret: no error, reason or log of this package has a query, a token, a
// key, or the name under which a publisher asked.
package auth

import (
	"context"
	"net/netip"
	"time"
)

// Action is what somebody wants to do with a stream.
type Action string

// The actions. Their names are part of signed URLs, of JWT claims and of callbacks.
const (
	Publish Action = "publish"
	Play    Action = "play"
)

// Request is what somebody asks for.
type Request struct {
	Action Action
	// Stream is "APP/NAME", checked by the caller. What a Gate is asked to publish may have a secret name (see Names);
	// a policy sees the public one.
	Stream string
	// Query is the raw query of the stream's URL, where tokens and keys travel. It is secret.
	Query string
	// Remote is where the request comes from.
	Remote netip.AddrPort
	// Protocol is "rtmp", "hls", "flv" and so on, for people and callbacks.
	Protocol string
	// Relayed says that Remote is not where the wish comes from, as far as can be seen: a proxy passed it on, or a web
	// page of somewhere else made a browser ask.
	Relayed bool

	// Secret is the name that was asked for, "APP/NAME", if it is a secret one that stands for Stream; Reserved says that
	// such a name stands for Stream. The Gate sets both, see Names.
	Secret   string
	Reserved bool
}

// Code says in one stable word why a request was refused. Codes are counted and appear in metrics.
type Code string

// The codes.
const (
	NotAllowed          Code = "not-allowed"
	NoToken             Code = "no-token"
	BadToken            Code = "bad-token"
	Expired             Code = "token-expired"
	NotYetValid         Code = "token-not-yet-valid"
	Revoked             Code = "revoked"
	CallbackRefused     Code = "callback-refused"
	CallbackFailed      Code = "callback-failed"
	CallbackBusy        Code = "callback-busy"
	KeysMissing         Code = "token-keys-missing"
	TooManyPublishers   Code = "too-many-publishers"
	TooManyViewers      Code = "too-many-viewers"
	TooManyViewersOfOne Code = "too-many-viewers-of-stream"
)

// Decision is the answer to a request.
type Decision struct {
	Allowed bool
	// Code and Reason say why not: for machines, and for the person at the encoder or player.
	Code   Code
	Reason string
	// Credential identifies a publisher when it comes back: only the same one may take its stream over. It is
	// compared, never shown.
	Credential string
	// Stream is the public name "APP/NAME" if it is not the one that was asked for.
	Stream string
	// Expires is when the permission ends; zero is never. MaxDuration is how long it may be used, from when somebody
	// comes in; 0 is for as long as it holds.
	Expires     time.Time
	MaxDuration time.Duration
	// MaxBitrate is the most a publisher may send, in bits per second; 0 is no limit.
	MaxBitrate int64
	// TokenID identifies what was shown, for revoking it: a JWT's "jti", else a hash. It is not secret.
	TokenID string
	// Local says that it is for programs on this machine alone, so that web pages of elsewhere may not read it.
	Local bool
	// CacheFor is how long the same request gets this answer again.
	CacheFor time.Duration

	// shown says that it was decided by the token that was shown, so that whoever shows another is somebody else.
	// unproven: perhaps, by a backend that says neither a token's ID nor an identity and may not have looked at it.
	shown, unproven bool
	// by is the Swap that decided, if one did, in the era of it that is era.
	by  *Swap
	era uint64
}

// Policy decides on requests. It must return when ctx ends, and may be called by any number of goroutines.
type Policy interface {
	Decide(ctx context.Context, r Request) Decision
}

// refuse returns a refusal.
func refuse(code Code, reason string) Decision { return Decision{Code: code, Reason: reason} }

// PolicyFunc makes a Policy of a function.
type PolicyFunc func(context.Context, Request) Decision

// Decide implements Policy.
func (f PolicyFunc) Decide(ctx context.Context, r Request) Decision { return f(ctx, r) }
