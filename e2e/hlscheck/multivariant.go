package hlscheck

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// variant is one EXT-X-STREAM-INF and its URI, RFC 8216 4.3.4.2. Attributes that
// are absent are zero.
type variant struct {
	url        string
	bandwidth  int64
	average    int64
	codecs     []string
	width      int
	height     int
	frameRate  float64
	attributes map[string]string
	broken     bool // the attributes could not be read
}

// multivariantVersion is a version of the multivariant playlist that could be read.
type multivariantVersion struct {
	Version
	independent bool
	variants    []variant
}

var (
	attributeName = regexp.MustCompile(`^[A-Z0-9-]+$`)
	resolution    = regexp.MustCompile(`^([0-9]{1,5})x([0-9]{1,5})$`)
	frameRate     = regexp.MustCompile(`^[0-9]{1,4}(\.[0-9]{1,3})?$`)
)

// multivariantTags are the tags a multivariant playlist may hold.
var multivariantTags = map[string]bool{
	"#EXTM3U": true, "#EXT-X-VERSION": true, "#EXT-X-INDEPENDENT-SEGMENTS": true, "#EXT-X-START": true,
	"#EXT-X-STREAM-INF": true, "#EXT-X-MEDIA": true, "#EXT-X-I-FRAME-STREAM-INF": true, "#EXT-X-DEFINE": true,
	"#EXT-X-SESSION-DATA": true, "#EXT-X-SESSION-KEY": true, "#EXT-X-CONTENT-STEERING": true,
}

func multivariants(versions []Version, f *findings) []multivariantVersion {
	var list []multivariantVersion
	for i, v := range versions {
		if m, ok := parseMultivariant(v, f); ok {
			list = append(list, m)
		}
		checkResponse(v.URL, v.At, v.Header, v.Body, 0, f)
		if i > 0 {
			checkETagChange(versions[i-1], v, f)
		}
	}
	return list
}

// parseMultivariant reads a multivariant playlist strictly.
func parseMultivariant(v Version, f *findings) (multivariantVersion, bool) {
	m := multivariantVersion{Version: v}
	lines, ok := splitLines(v, f)
	if !ok {
		return m, false
	}
	bad := func(n int, why string) {
		f.add("multivariant-malformed", v.URL, v.At, "line %d %q: %s", n+1, lines[n], why)
	}
	var open *variant
	for i, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		switch {
		case open != nil && (line == "" || strings.HasPrefix(line, "#")):
			bad(i, "EXT-X-STREAM-INF must be followed by its URI")
			open = nil
		case line == "":
		case name == "#EXT-X-INDEPENDENT-SEGMENTS":
			m.independent = true
		case name == "#EXT-X-STREAM-INF":
			open = &variant{}
			if err := open.read(value); err != nil {
				bad(i, err.Error())
				open.broken = true
			}
		case strings.HasPrefix(line, "#EXT") && !multivariantTags[name]:
			bad(i, "the tag does not belong in a multivariant playlist")
		case strings.HasPrefix(line, "#"):
		case open == nil:
			bad(i, "a URI without EXT-X-STREAM-INF")
		default:
			u, err := resolve(v.URL, line)
			if err != nil {
				bad(i, fmt.Sprintf("not a URI: %v", err))
			}
			open.url = u
			m.variants = append(m.variants, *open)
			open = nil
		}
	}
	if len(m.variants) == 0 {
		f.add("multivariant-malformed", v.URL, v.At, "no variant stream")
		return m, false
	}
	secondOpinionMultivariant(v, m, f)
	return m, true
}

// read reads the attributes of EXT-X-STREAM-INF.
func (s *variant) read(list string) error {
	attributes, err := parseAttributes(list)
	if err != nil {
		return err
	}
	s.attributes = attributes
	if s.bandwidth, err = strconv.ParseInt(attributes["BANDWIDTH"], 10, 64); err != nil || s.bandwidth <= 0 {
		return fmt.Errorf("BANDWIDTH is missing or no positive integer")
	}
	if a, ok := attributes["AVERAGE-BANDWIDTH"]; ok {
		if s.average, err = strconv.ParseInt(a, 10, 64); err != nil || s.average <= 0 {
			return fmt.Errorf("AVERAGE-BANDWIDTH is no positive integer")
		}
	}
	if c, ok := attributes["CODECS"]; ok {
		if len(c) < 2 || c[0] != '"' {
			return fmt.Errorf("CODECS is not a quoted string")
		}
		s.codecs = strings.Split(strings.Trim(c, `"`), ",")
	}
	if r, ok := attributes["RESOLUTION"]; ok {
		parts := resolution.FindStringSubmatch(r)
		if parts == nil {
			return fmt.Errorf("RESOLUTION is not WIDTHxHEIGHT")
		}
		s.width, _ = strconv.Atoi(parts[1])
		s.height, _ = strconv.Atoi(parts[2])
	}
	if r, ok := attributes["FRAME-RATE"]; ok {
		if !frameRate.MatchString(r) {
			return fmt.Errorf("FRAME-RATE is not a decimal of at most three places")
		}
		s.frameRate, _ = strconv.ParseFloat(r, 64)
	}
	return nil
}

// parseAttributes reads an attribute list, RFC 8216 4.2: NAME=value pairs between
// commas, no white space, each name once. Quotes stay on quoted strings.
func parseAttributes(list string) (map[string]string, error) {
	attributes := map[string]string{}
	for rest := list; ; {
		name, after, ok := strings.Cut(rest, "=")
		if !ok || !attributeName.MatchString(name) {
			return nil, fmt.Errorf("no attribute name at %q", rest)
		}
		if _, ok := attributes[name]; ok {
			return nil, fmt.Errorf("the attribute %s stands twice", name)
		}
		end := strings.IndexByte(after, ',')
		if strings.HasPrefix(after, `"`) {
			closing := strings.IndexByte(after[1:], '"')
			if closing < 0 {
				return nil, fmt.Errorf("the quoted value of %s has no end", name)
			}
			end = closing + 2
			if end < len(after) && after[end] != ',' {
				return nil, fmt.Errorf("no comma after the quoted value of %s", name)
			}
			if end == len(after) {
				end = -1
			}
		}
		value := after
		if end >= 0 {
			value = after[:end]
		}
		if value == "" || (value[0] != '"' && strings.ContainsAny(value, "\" \t")) {
			return nil, fmt.Errorf("the value of %s is empty or not quoted where it must be", name)
		}
		attributes[name] = value
		if end < 0 {
			return attributes, nil
		}
		rest = after[end+1:]
	}
}
