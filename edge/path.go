package edge

import (
	"strings"

	"github.com/headwater-live/headwater/remux"
)

// kind is what a path asks for.
type kind uint8

const (
	index kind = iota + 1
	indexByName
	file
	flv
	ts
)

// path is a request path that means something.
type path struct {
	kind        kind
	name        remux.StreamName
	incarnation string
	file        string
	token       string // what stood before it
}

// maxIncarnation and maxFile bound what is looked up; real ones have 16 and at most 23
// bytes.
const (
	maxIncarnation = 32
	maxFile        = 32
)

// parsePath reads a path as it stands: nothing is cleaned, redirected or decoded
// twice, so every address has exactly one spelling.
func parsePath(p string) (path, bool) {
	var parts [4]string
	rest, ok := strings.CutPrefix(p, "/")
	if !ok {
		return path{}, false
	}
	n := 0
	for more := true; more; n++ {
		if n == len(parts) {
			return path{}, false
		}
		parts[n], rest, more = strings.Cut(rest, "/")
	}
	switch n {
	case 2:
		return parseName(parts[0], parts[1])
	case 3:
		name, err := remux.ParseStreamName(parts[0], parts[1])
		return path{kind: index, name: name}, err == nil && parts[2] == "index.m3u8"
	case 4:
		name, err := remux.ParseStreamName(parts[0], parts[1])
		ok := err == nil && hexadecimal(parts[2]) && fileName(parts[3])
		return path{kind: file, name: name, incarnation: parts[2], file: parts[3]}, ok
	}
	return path{}, false
}

// suffixes are what the last part of /APP/NAME may end in.
var suffixes = map[string]kind{".m3u8": indexByName, ".flv": flv, ".ts": ts}

func parseName(app, last string) (path, bool) {
	for suffix, k := range suffixes {
		if base, ok := strings.CutSuffix(last, suffix); ok {
			name, err := remux.ParseStreamName(app, base)
			return path{kind: k, name: name}, err == nil
		}
	}
	return path{}, false
}

// fileName says whether s may be the name of a segment or playlist: nothing that any storage or file
// system could take for more than a name.
func fileName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' && (c != '.' || i == 0) {
			return false
		}
	}
	return len(s) > 0 && len(s) <= maxFile
}

func hexadecimal(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) > 0 && len(s) <= maxIncarnation
}
