package auth

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"
)

// answer is what a backend says. All fields but allow may be missing; others are passed over.
type answer struct {
	Allow *bool `json:"allow"`
	// Reason is shown to who is refused.
	Reason string `json:"reason"`
	// Stream is the public name, "APP/NAME", if it is another than was asked for.
	Stream string `json:"stream"`
	// Identity is who may take the publication over.
	Identity string `json:"identity"`
	// TokenID is what the permission is revoked by.
	TokenID string `json:"token_id"`
	// MaxBitrate is in bits per second, MaxDuration, Cache in seconds, Expires in seconds since 1970.
	MaxBitrate  float64 `json:"max_bitrate"`
	MaxDuration float64 `json:"max_duration"`
	Expires     float64 `json:"expires"`
	Cache       float64 `json:"cache"`
}

// refuses reports whether a status is a no.
func refuses(status int) bool {
	return status >= 400 && status < 500 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests
}

// readAnswer reads an answer: 2xx with JSON, or without a body, which is a yes. Any other 4xx than 408 and 429 is a no.
func readAnswer(status int, body []byte) (answer, error) {
	var a answer
	yes, no := true, false
	switch {
	case refuses(status):
		var why struct {
			Reason string `json:"reason"`
		}
		_ = json.Unmarshal(body, &why) // a reason is welcome, nothing else counts
		return answer{Allow: &no, Reason: why.Reason}, nil
	case status >= 400:
		return a, fmt.Errorf("status %d", status)
	case status >= 300 || status < 200:
		return a, finalError{fmt.Sprintf("status %d: redirects are not followed", status)}
	case len(strings.TrimSpace(string(body))) == 0:
		a.Allow = &yes
		return a, nil
	}
	if err := json.Unmarshal(body, &a); err != nil {
		// A no stays one, however wrong the rest is: a failure may be allowed, a no never.
		var verdict struct {
			Allow *bool `json:"allow"`
		}
		if json.Unmarshal(body, &verdict) == nil && verdict.Allow != nil && !*verdict.Allow {
			return answer{Allow: &no}, nil
		}
		return a, finalError{"the answer is not the JSON that is documented"}
	}
	if a.Allow == nil {
		return a, finalError{`the answer does not say "allow"`}
	}
	return a, nil
}

const (
	// maxIdentity bounds an identity, in bytes.
	maxIdentity = 256
	// maxReason bounds a reason, in bytes: OBS shows it in a small window.
	maxReason = 200
	// longest bounds durations that a backend says, so that adding one to a time cannot overflow.
	longest = 100 * 365 * 24 * time.Hour
)

// decision judges an answer. What makes no sense is not guessed at: it is a failure.
func (a *answer) decision(r Request, config CallbackConfig) (Decision, error) {
	if !*a.Allow {
		d := refuse(CallbackRefused, "the operator's authorisation refused it")
		if reason := cleanReason(a.Reason, r); reason != "" {
			d.Reason = reason
		}
		if a.Cache > 0 { // anything else is no time to keep it
			d.CacheFor = min(seconds(a.Cache), maxCallbackCache)
		}
		return d, nil
	}
	for name, v := range map[string]float64{
		"max_bitrate": a.MaxBitrate, "max_duration": a.MaxDuration, "expires": a.Expires, "cache": a.Cache,
	} {
		if v < 0 || math.IsNaN(v) || v > math.MaxInt64/2 {
			return Decision{}, finalError{fmt.Sprintf("the answer's %q is out of range", name)}
		}
	}
	cache := min(seconds(a.Cache), maxCallbackCache)
	switch {
	case a.Stream != "" && a.Stream != r.Stream && r.Action != Publish:
		return Decision{}, finalError{`the answer names another stream for somebody who wants to watch`}
	case a.Stream != "" && !config.ValidStream(a.Stream):
		return Decision{}, finalError{`the answer's "stream" is not a name`}
	case len(a.Identity) > maxIdentity:
		return Decision{}, finalError{`the answer's "identity" is too long`}
	case a.TokenID != "" && !ValidTokenID(a.TokenID):
		return Decision{}, finalError{`the answer's "token_id" is not an ID`}
	}
	d := Decision{
		Allowed: true, shown: true, unproven: a.TokenID == "" && a.Identity == "", CacheFor: cache, Stream: a.Stream, TokenID: a.TokenID,
		MaxBitrate: int64(math.Ceil(a.MaxBitrate)), MaxDuration: seconds(a.MaxDuration), Credential: addressAndQuery(r),
	}
	if a.Identity != "" {
		d.Credential = "identity " + a.Identity
	}
	if a.Expires > 0 {
		d.Expires = time.Unix(int64(min(a.Expires, maxExpiry)), 0)
	}
	return d, nil
}

func seconds(s float64) time.Duration {
	if s >= longest.Seconds() {
		return longest
	}
	return time.Duration(s * float64(time.Second))
}

// cleanReason returns what may be shown of a backend's reason: printable, short, and without what was shown to it.
func cleanReason(reason string, r Request) string {
	reason = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c == '\uFFFD' {
			return ' '
		}
		return c
	}, reason)
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "") + "…"
	}
	for pair := range strings.SplitSeq(r.Query, "&") {
		_, value, _ := strings.Cut(pair, "=")
		if plain := Parameter(pair, strings.TrimSuffix(pair, "="+value)); len(plain) >= minEcho && strings.Contains(reason, plain) ||
			len(value) >= minEcho && strings.Contains(reason, value) {
			return ""
		}
	}
	if _, name, _ := strings.Cut(r.Stream, "/"); r.Action == Publish && len(name) >= minEcho && strings.Contains(reason, name) {
		return ""
	}
	return strings.TrimSpace(reason)
}

// minEcho is the shortest part of a request that a reason may not repeat, in bytes: shorter ones are words.
const minEcho = 6
