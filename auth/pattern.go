package auth

import "strings"

// Pattern says which streams something is for: "APP/NAME", in which either part may be or end with "*", and "*" alone
// for all streams. The empty Pattern matches nothing.
//
//	live/test    one stream
//	live/*       all streams of an application
//	live/cam-*   those whose name begins with "cam-"
type Pattern string

// MaxPattern is the longest pattern, in bytes: two names of 128 bytes, and a slash.
const MaxPattern = 257

// Valid reports whether the pattern can match a stream.
func (p Pattern) Valid() bool {
	if p == "*" {
		return true
	}
	app, name, ok := strings.Cut(string(p), "/")
	return ok && len(p) <= MaxPattern && validPart(app) && validPart(name)
}

func validPart(s string) bool {
	if s == "*" {
		return true
	}
	s = strings.TrimSuffix(s, "*")
	return s != "" && s[0] != '.' && strings.IndexFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_' && r != '.'
	}) < 0
}

// Match reports whether a stream "APP/NAME" is meant. A pattern that is not valid matches nothing.
func (p Pattern) Match(stream string) bool {
	if p == "*" {
		return stream != ""
	}
	app, name, ok := strings.Cut(string(p), "/")
	streamApp, streamName, _ := strings.Cut(stream, "/")
	return ok && matchPart(app, streamApp) && matchPart(name, streamName)
}

func matchPart(pattern, s string) bool {
	if begin, ok := strings.CutSuffix(pattern, "*"); ok {
		return s != "" && strings.HasPrefix(s, begin)
	}
	return pattern != "" && pattern == s
}
