package auth

import (
	"net/url"
	"strings"
)

// The parameters of a stream's URL in which tokens and keys travel.
const (
	tokenParameter = "token"
	keyParameter   = "key"
)

// maxQuery bounds the queries that are looked at, in bytes. A JWT with an RSA signature has less than 1 KiB, and a
// request line of ours at most 16 KiB.
const maxQuery = 4 << 10

// Parameter returns the first value of a parameter in a raw query, "" if there is none or it is not well formed.
func Parameter(query, name string) string {
	for len(query) > 0 {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		key, value, _ := strings.Cut(pair, "=")
		if key != name {
			continue
		}
		if !strings.ContainsAny(value, "%+") {
			return value
		}
		plain, err := url.QueryUnescape(value)
		if err != nil {
			return ""
		}
		return plain
	}
	return ""
}

// Token returns the token of a raw query.
func Token(query string) string { return Parameter(query, tokenParameter) }

// WithToken returns a raw query in which token stands first, and so counts.
func WithToken(query, token string) string {
	pair := tokenParameter + "=" + url.QueryEscape(token)
	if query == "" {
		return pair
	}
	return pair + "&" + query
}
