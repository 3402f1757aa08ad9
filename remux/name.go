package remux

import (
	"errors"
	"fmt"
	"strings"
)

// MaxNamePart is the longest application or stream name, in bytes. It keeps every
// path made from a name far below the limits of file systems and URLs.
const MaxNamePart = 128

// ErrName reports an application or stream name that is not allowed.
var ErrName = errors.New("names are 1 to 128 letters, digits, '-', '_' or '.', and do not begin with a dot")

// ErrReservedApp reports an application that is called as the addresses begin that have a token, /t/TOKEN/APP/NAME: one
// could not be told from the other.
var ErrReservedApp = errors.New(`the application name "t" is taken: addresses with a token begin with /t/`)

const reservedApp = "t"

// StreamName is the name of a stream, "APP/NAME", checked by ParseStreamName.
type StreamName string

// ParseStreamName joins an application and a stream name. Either must consist of
// 1 to MaxNamePart letters, digits, '-', '_' and '.', not beginning with a dot;
// otherwise the error wraps ErrName. No application is called "t": then the error is ErrReservedApp.
func ParseStreamName(app, name string) (StreamName, error) {
	if !validPart(app) {
		return "", fmt.Errorf("application name: %w", ErrName)
	}
	if app == reservedApp {
		return "", ErrReservedApp
	}
	if !validPart(name) {
		return "", fmt.Errorf("stream name: %w", ErrName)
	}
	return StreamName(app + "/" + name), nil
}

// Split returns the application and the name.
func (n StreamName) Split() (app, name string) {
	app, name, _ = strings.Cut(string(n), "/")
	return app, name
}

// shortestSecret is the least length of a name that may be a secret, in bytes: no key is shorter.
const shortestSecret = 8

// Redacted returns the name as it may be shown where nobody has published it: a viewer asks for whatever was pasted into
// a player, which may be somebody's secret stream key. Of a long part the first two bytes are left.
func (n StreamName) Redacted() string {
	app, name := n.Split()
	return RedactPart(app) + "/" + RedactPart(name)
}

// RedactPart is Redacted for one part of a name, or what may be one.
func RedactPart(part string) string {
	if len(part) < shortestSecret {
		return part
	}
	return part[:2] + "…"
}

func validPart(s string) bool {
	if len(s) == 0 || len(s) > MaxNamePart || s[0] == '.' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}
