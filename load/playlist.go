package load

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

const (
	// maxPlaylist bounds a playlist: a DVR window of a day in segments of two seconds has 4 MB.
	maxPlaylist = 8 << 20
	// maxTarget bounds a target duration and the duration of a segment, in seconds.
	maxTarget = 3600
)

// playlist is what a player needs of an HLS playlist (RFC 8216, section 4).
type playlist struct {
	variant  string // the first one, of a multivariant playlist
	target   float64
	sequence int64
	segments []playlistSegment
	ended    bool
}

type playlistSegment struct {
	uri      string
	duration float64 // seconds
	header   string  // URI of the EXT-X-MAP in force, if any
}

// parsePlaylist reads a playlist. What it does not know it passes over, as section 6.3.1 wants it.
func parsePlaylist(b []byte) (*playlist, error) {
	p := &playlist{}
	variant, duration, mapURI := false, -1.0, ""
	for n, line := range bytes.Split(b, []byte("\n")) {
		text := strings.TrimSpace(string(line))
		if n == 0 {
			if text = strings.TrimPrefix(text, "\ufeff"); text != "#EXTM3U" {
				return nil, malformedError("a playlist does not begin with #EXTM3U")
			}
			continue
		}
		name, value, _ := strings.Cut(text, ":")
		switch {
		case text == "":
		case name == "#EXT-X-STREAM-INF":
			variant = true
		case name == "#EXT-X-TARGETDURATION":
			p.target = seconds(value)
		case name == "#EXT-X-MEDIA-SEQUENCE":
			if n, err := strconv.ParseUint(value, 10, 62); err == nil { // 0 where it is unreadable
				p.sequence = int64(n)
			}
		case name == "#EXTINF":
			number, _, _ := strings.Cut(value, ",")
			duration = seconds(number)
		case name == "#EXT-X-MAP":
			mapURI = attribute(value, "URI")
		case name == "#EXT-X-BYTERANGE":
			return nil, malformedError("a playlist has byte ranges, which this player cannot do")
		case name == "#EXT-X-ENDLIST":
			p.ended = true
		case text[0] == '#':
		case variant:
			if p.variant == "" {
				p.variant = text
			}
			variant = false
		case duration >= 0:
			p.segments = append(p.segments, playlistSegment{uri: text, duration: duration, header: mapURI})
			duration = -1
		}
	}
	if p.variant == "" && p.target <= 0 {
		return nil, malformedError("a playlist has neither variants nor a target duration")
	}
	return p, nil
}

// seconds reads a number of seconds; what is none, or not believable, is 0.
func seconds(s string) float64 {
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || math.IsNaN(v) || v < 0 || v > maxTarget {
		return 0
	}
	return v
}

// attribute returns a quoted value of an attribute list (section 4.2), or "".
func attribute(list, name string) string {
	for list != "" {
		key, rest, found := strings.Cut(list, "=")
		if !found {
			return ""
		}
		var value string
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			value, rest, _ = strings.Cut(quoted, `"`)
			rest = strings.TrimPrefix(rest, ",")
		} else {
			value, rest, _ = strings.Cut(rest, ",")
		}
		if strings.TrimSpace(key) == name {
			return value
		}
		list = rest
	}
	return ""
}
