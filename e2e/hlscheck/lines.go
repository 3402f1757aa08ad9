package hlscheck

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// mediaPlaylist is a media playlist as RFC 8216 4.3.2 and 4.3.3 write it.
type mediaPlaylist struct {
	version       int // 0 if absent
	target        time.Duration
	sequence      int64
	discontinuity int64
	independent   bool
	endlist       bool
	playlistType  string
	entries       []entry
}

// entry is one segment of a media playlist.
type entry struct {
	sequence      int64
	uri           string // as written
	url           string // resolved
	duration      time.Duration
	discontinuity bool
	number        int64 // discontinuity sequence number
	hasDate       bool
	date          time.Time
}

// length returns the sum of the EXTINF durations.
func (p mediaPlaylist) length() time.Duration {
	var sum time.Duration
	for _, e := range p.entries {
		sum += e.duration
	}
	return sum
}

// once are the tags that a media playlist may hold at most once, and whether they
// must stand before the first segment.
var once = map[string]bool{
	"#EXT-X-VERSION": false, "#EXT-X-TARGETDURATION": false, "#EXT-X-MEDIA-SEQUENCE": true,
	"#EXT-X-DISCONTINUITY-SEQUENCE": true, "#EXT-X-PLAYLIST-TYPE": false, "#EXT-X-ENDLIST": false,
	"#EXT-X-INDEPENDENT-SEGMENTS": false, "#EXT-X-START": false, "#EXT-X-SERVER-CONTROL": false,
	"#EXT-X-PART-INF": false, "#EXT-X-SKIP": false, "#EXT-X-I-FRAMES-ONLY": false,
}

// segmentTags are the other tags that may stand in a media playlist.
var segmentTags = map[string]bool{
	"#EXTINF": true, "#EXT-X-DISCONTINUITY": true, "#EXT-X-PROGRAM-DATE-TIME": true, "#EXT-X-BYTERANGE": true,
	"#EXT-X-KEY": true, "#EXT-X-MAP": true, "#EXT-X-DATERANGE": true, "#EXT-X-GAP": true, "#EXT-X-BITRATE": true,
	"#EXT-X-PART": true, "#EXT-X-PRELOAD-HINT": true, "#EXT-X-RENDITION-REPORT": true, "#EXT-X-DEFINE": true,
}

var (
	extinf   = regexp.MustCompile(`^([0-9]{1,9})(\.[0-9]{1,12})?,.*$`)
	integers = regexp.MustCompile(`^[0-9]{1,20}$`)
)

// mediaParser reads a media playlist line by line.
type mediaParser struct {
	v    Version
	f    *findings
	p    mediaPlaylist
	seen map[string]bool
	next entry // the segment whose tags are being read
	inf  bool  // its EXTINF was read
}

// parseMedia reads a media playlist strictly: everything that a lenient player
// would forgive is a finding. ok is false if it is no media playlist at all.
func parseMedia(v Version, f *findings) (p mediaPlaylist, ok bool) {
	lines, ok := splitLines(v, f)
	if !ok {
		return p, false
	}
	m := &mediaParser{v: v, f: f, seen: map[string]bool{}}
	for i, line := range lines[1:] {
		switch {
		case line == "":
		case strings.HasPrefix(line, "#EXT"):
			m.tag(i+2, line)
		case strings.HasPrefix(line, "#"):
		default:
			m.uri(i+2, line)
		}
	}
	m.finish()
	return m.p, true
}

// bad notes a line that no strict reader accepts.
func (m *mediaParser) bad(n int, line, why string) {
	m.f.add("playlist-malformed", m.v.URL, m.v.At, "line %d %q: %s", n, line, why)
}

// tag reads one line that begins with #EXT.
func (m *mediaParser) tag(n int, line string) {
	name, value, _ := strings.Cut(line, ":")
	early, single := once[name]
	switch {
	case single && m.seen[name]:
		m.bad(n, line, "the tag stands twice")
	case early && len(m.p.entries) > 0:
		m.bad(n, line, "the tag must stand before the first segment")
	case !single && !segmentTags[name]:
		if strings.HasPrefix(name, "#EXT-X-STREAM-INF") || name == "#EXT-X-MEDIA" || name == "#EXT-X-I-FRAME-STREAM-INF" {
			m.bad(n, line, "a multivariant tag in a media playlist")
		} else {
			m.f.add("playlist-unknown-tag", m.v.URL, m.v.At, "line %d: no specification knows %q", n, name)
		}
	}
	m.seen[name] = true
	switch name {
	case "#EXT-X-VERSION":
		m.p.version = int(m.number(n, line, value))
	case "#EXT-X-TARGETDURATION":
		m.p.target = time.Duration(m.number(n, line, value)) * time.Second
	case "#EXT-X-MEDIA-SEQUENCE":
		m.p.sequence = m.number(n, line, value)
	case "#EXT-X-DISCONTINUITY-SEQUENCE":
		if m.next.discontinuity {
			m.bad(n, line, "the tag must stand before any EXT-X-DISCONTINUITY")
		}
		m.p.discontinuity = m.number(n, line, value)
	case "#EXT-X-PLAYLIST-TYPE":
		m.p.playlistType = value
	case "#EXT-X-ENDLIST":
		m.p.endlist = true
	case "#EXT-X-INDEPENDENT-SEGMENTS":
		m.p.independent = true
	case "#EXT-X-DISCONTINUITY":
		m.next.discontinuity = true
	case "#EXT-X-PROGRAM-DATE-TIME":
		m.date(n, line, value)
	case "#EXTINF":
		m.extinf(n, line, value)
	}
}

func (m *mediaParser) number(n int, line, value string) int64 {
	i, err := strconv.ParseInt(value, 10, 64)
	if err != nil || !integers.MatchString(value) {
		m.bad(n, line, "not a decimal integer")
		return 0
	}
	return i
}

func (m *mediaParser) extinf(n int, line, value string) {
	if m.inf {
		m.bad(n, line, "a second EXTINF before a URI")
	}
	m.inf = true
	parts := extinf.FindStringSubmatch(value)
	if parts == nil {
		m.bad(n, line, "not a decimal duration followed by a comma")
		return
	}
	if parts[2] != "" && m.p.version < 3 {
		m.bad(n, line, "a fractional EXTINF needs EXT-X-VERSION 3 or more")
	}
	d, err := time.ParseDuration(parts[1] + parts[2] + "s")
	if err != nil || d <= 0 {
		m.bad(n, line, "not a positive duration")
	}
	m.next.duration = d
}

// date reads an ISO 8601 date, which Go's layouts cover with and without a colon
// in the zone. Without a zone it names no instant.
func (m *mediaParser) date(n int, line, value string) {
	t, err := time.Parse("2006-01-02T15:04:05.999999999Z07:00", value)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05.999999999Z0700", value)
	}
	if err != nil {
		m.f.add("date-malformed", m.v.URL, m.v.At, "line %d %q: not an ISO 8601 date with a time zone", n, line)
		return
	}
	m.next.date, m.next.hasDate = t, true
}

func (m *mediaParser) uri(n int, line string) {
	if !m.inf {
		m.bad(n, line, "a URI without EXTINF")
	}
	u, err := resolve(m.v.URL, line)
	if err != nil {
		m.bad(n, line, fmt.Sprintf("not a URI: %v", err))
	}
	e := m.next
	e.uri, e.url = line, u
	e.sequence = m.p.sequence + int64(len(m.p.entries))
	e.number = m.p.discontinuity
	if len(m.p.entries) > 0 {
		e.number = m.p.entries[len(m.p.entries)-1].number
	}
	if e.discontinuity {
		e.number++
	}
	m.p.entries = append(m.p.entries, e)
	m.next, m.inf = entry{}, false
}

func (m *mediaParser) finish() {
	if m.inf {
		m.f.add("playlist-malformed", m.v.URL, m.v.At, "the last EXTINF has no URI")
	}
	if m.p.target <= 0 {
		m.f.add("playlist-malformed", m.v.URL, m.v.At, "EXT-X-TARGETDURATION is missing or zero")
	}
	if len(m.p.entries) == 0 {
		m.f.add("playlist-no-segments", m.v.URL, m.v.At, "the playlist lists no segment")
	}
}
