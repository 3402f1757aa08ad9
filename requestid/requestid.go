// Package requestid gives each HTTP request a name, by which its answer and the lines about it in several logs are
// found together. A proxy in front, which has named the request already, is followed; what comes from anywhere else
// looks the same, so a name proves nothing and is only taken over if it can do no harm in a log.
package requestid

import (
	"math/rand/v2"
	"net/http"
)

// Header has the name, in requests and in answers.
const Header = "X-Request-Id"

// maxLength bounds a name, in bytes: a UUID has 36, the longest that proxies and CDNs make have 55.
const maxLength = 64

// Of returns the name of a request: the one that it came with, or a new one of 16 hexadecimal digits.
func Of(r *http.Request) string {
	if given := r.Header[Header]; len(given) == 1 && Sane(given[0]) {
		return given[0]
	}
	return New()
}

// New returns a name that nobody else has: 64 random bits, in which a server that answers 10,000 requests a second
// finds the first pair after a week.
func New() string {
	const digits = "0123456789abcdef"
	var name [16]byte
	bits := rand.Uint64()
	for i := range name {
		name[i] = digits[bits&0xf]
		bits >>= 4
	}
	return string(name[:])
}

// Sane reports whether a name may stand in a log as it is: 1 to 64 letters, digits, and "-", "_", ".", "=", "+", "/",
// ":", which covers UUIDs, base64 and the names that load balancers make.
func Sane(name string) bool {
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '-', c == '_', c == '.', c == '=', c == '+', c == '/', c == ':':
		default:
			return false
		}
	}
	return len(name) > 0 && len(name) <= maxLength
}
