// Package accesslog writes one line for each request that was answered, and each playback over RTMP, for people who count
// them, bill them, or look for the one that went wrong.
//
// A line is rendered where the request was answered, into memory, and one goroutine writes what has gathered: nobody
// who serves media waits for a disk, a pipe or a lock that is held during I/O. What the disk does not take in time is
// dropped and counted.
//
//	request ──▶ Switch.Add ──▶ Log.Add: render ──▶ pending (bounded) ──▶ the goroutine of Run ──▶ file, or standard output
//
// The file belongs to an administrator who rotates it: renames it, and has the server call [Switch.Reopen]; or wants it
// elsewhere, see [Switch.Use]. Lines never say a token: see [Path], [Query] and [Referer] for what is left of an address.
package accesslog

import (
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Entry is one request and its answer. Texts are as they came: rendering cuts and escapes them.
type Entry struct {
	Time   time.Time // when the request came
	Client netip.AddrPort
	// Forwarded is X-Forwarded-For: what a proxy, or whoever pretends to be one, says of the client.
	Forwarded string

	Method, Path, RawQuery, Proto string // "GET", "/live/test.flv", "audio=0", "HTTP/1.1"

	Referer, UserAgent string

	// RequestID is what the answer had as X-Request-Id.
	RequestID string
	// Stream is the name that the path means, "" for none; Protocol is "hls", "flv", "ts" or "rtmp", "" for everything else.
	Stream, Protocol string

	Status int
	// Bytes are those of the answer's body. A viewer whose connection was taken over has those of its header and its
	// framing counted in.
	Bytes uint64
	// FirstByte is from the request to the header of the answer, Duration to its end.
	FirstByte, Duration time.Duration
}

// How much of a text of the client's gets into a line, in bytes.
const (
	maxPath      = 512
	maxAgent     = 256
	maxForwarded = 128
	// maxSegment is the longest part of a path that can be a name; what is longer may be a secret.
	maxSegment = 128
	// maxParameters is how many parameters of a query are looked at.
	maxParameters = 16
)

// Path returns a path without the token in it: that in /t/TOKEN/APP/NAME, wherever the "t" stands, for a proxy may have
// put something before it, and every part that is too long for a name.
func Path(path string) string {
	if len(path) <= maxSegment && !strings.Contains(path, "t/") && !strings.Contains(path, "T/") {
		return path
	}
	parts := strings.Split(path, "/")
	secret := false
	for i, part := range parts {
		switch {
		case part == "":
		case secret || len(part) > maxSegment:
			parts[i], secret = "-", false
		default:
			secret = strings.EqualFold(part, "t")
		}
	}
	return strings.Join(parts, "/")
}

// shownParameters mean something here and are no secret.
var shownParameters = map[string]bool{
	"audio=0": true, "audio=1": true, "video=0": true, "video=1": true, "protocol=flv": true, "protocol=hls": true,
}

// Query returns what may be said of a query: the parameters that choose tracks, the bare names of others, and for what
// does not look like a name a dash.
func Query(raw string) string {
	if raw == "" {
		return ""
	}
	var b strings.Builder
	for i := 0; raw != ""; i++ {
		var parameter string
		parameter, raw, _ = strings.Cut(raw, "&")
		if i > 0 {
			b.WriteByte('&')
		}
		if i == maxParameters {
			b.WriteString("...")
			break
		}
		name, _, assigned := strings.Cut(parameter, "=")
		switch {
		case shownParameters[parameter]:
			b.WriteString(parameter)
		case assigned && isParameter(name):
			b.WriteString(name + "=-")
		default:
			b.WriteByte('-')
		}
	}
	return b.String()
}

// isParameter reports whether a text is a word as parameters have for names, which no random secret is.
func isParameter(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && c != '_' && c != '-' {
			return false
		}
	}
	return len(name) > 0 && len(name) <= 16
}

// Referer returns the address of a page without user, query and fragment, any of which may have a token, and with its
// path as [Path] shows it. It is "" for what is no web address.
func Referer(referer string) string {
	if referer == "" || len(referer) > 4*maxPath {
		return ""
	}
	u, err := url.Parse(referer)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host + Path(u.Path)
}
