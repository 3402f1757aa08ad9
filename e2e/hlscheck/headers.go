package hlscheck

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	playlistType = "application/vnd.apple.mpegurl"
	segmentType  = "video/mp2t"
)

// checkHeaders applies the header rules to every version of a media playlist.
func checkHeaders(r *rendition, f *findings) {
	for i, v := range r.versions {
		target := v.playlist.target
		if v.playlist.endlist {
			target = 0 // what never changes may be cached for as long as one likes
		}
		checkResponse(r.url, v.At, v.Header, v.Body, target, f)
		if i > 0 {
			checkETagChange(r.versions[i-1].Version, v.Version, f)
		}
	}
}

// checkResponse judges the headers of a playlist answered with 200. target bounds
// its lifetime; 0 leaves it unbounded.
func checkResponse(url string, at time.Time, h http.Header, body []byte, target time.Duration, f *findings) {
	if h == nil {
		return
	}
	if t := h.Get("Content-Type"); t != playlistType {
		f.add("content-type", url, at, "Content-Type is %q, not %q", t, playlistType)
	}
	checkCommon(url, at, h, body, f)
	d := directives(h)
	_, private := d["private"]
	_, public := d["public"]
	age, ok := seconds(d, "max-age")
	if !ok || !public || private {
		f.add("cache-control", url, at, "Cache-Control is %q: public and max-age are needed for a cache to share it", h.Get("Cache-Control"))
		return
	}
	if target == 0 {
		return
	}
	stale, _ := seconds(d, "stale-while-revalidate")
	if limit := target / 2; age > limit || stale > limit {
		f.add("cache-control", url, at, "Cache-Control is %q: neither lifetime may exceed half the target duration, %v", h.Get("Cache-Control"), limit)
	}
	if shared, ok := seconds(d, "s-maxage"); ok && shared > target/2 {
		f.add("cache-control", url, at, "Cache-Control is %q: s-maxage exceeds half the target duration", h.Get("Cache-Control"))
	}
}

// checkSegmentHeader judges the headers of a segment answered with 200.
func checkSegmentHeader(url string, a answer, f *findings) {
	if t := a.header.Get("Content-Type"); t != segmentType {
		f.add("content-type", url, a.at, "Content-Type is %q, not %q", t, segmentType)
	}
	if e := a.header.Get("Content-Encoding"); e != "" {
		f.add("segment-encoded", url, a.at, "Content-Encoding %q on a segment, which does not compress", e)
	}
	checkCommon(url, a.at, a.header, a.body, f)
	d := directives(a.header)
	_, public := d["public"]
	age, ok := seconds(d, "max-age")
	if !ok || !public || age <= 0 {
		f.add("cache-control", url, a.at, "Cache-Control is %q: public and a max-age are needed for a cache to share it", a.header.Get("Cache-Control"))
	}
	if _, immutable := d["immutable"]; !immutable {
		f.add("segment-not-immutable", url, a.at, "Cache-Control is %q: without immutable, players ask again for what never changes", a.header.Get("Cache-Control"))
	}
}

// checkCommon judges what every 200 must have.
func checkCommon(url string, at time.Time, h http.Header, body []byte, f *findings) {
	if length := h.Get("Content-Length"); length != strconv.Itoa(len(body)) {
		f.add("content-length", url, at, "Content-Length is %q, the body has %d bytes", length, len(body))
	}
	if len(body) == 0 {
		f.add("empty-body", url, at, "status 200 with an empty body")
	}
	if etag := h.Get("ETag"); len(etag) < 3 || etag[0] != '"' || etag[len(etag)-1] != '"' {
		f.add("etag-not-strong", url, at, "ETag is %q, not a strong one", etag)
	}
	checkEverywhere(url, at, h, "200", f)
}

// checkEverywhere judges what every answer must and must not have.
func checkEverywhere(url string, at time.Time, h http.Header, status string, f *findings) {
	if origin := h.Get("Access-Control-Allow-Origin"); origin != "*" {
		f.add("cors-missing", url, at, "Access-Control-Allow-Origin is %q on %s", origin, status)
	}
	if h.Get("Access-Control-Allow-Credentials") != "" {
		f.add("cors-missing", url, at, "Access-Control-Allow-Credentials, which * forbids, on %s", status)
	}
	if c := h.Get("Set-Cookie"); c != "" {
		f.add("cookie", url, at, "Set-Cookie on %s", status)
	}
	if v := h.Get("Vary"); v != "" && !strings.EqualFold(v, "Accept-Encoding") {
		f.add("vary", url, at, "Vary is %q on %s: a cache would keep one copy per value", v, status)
	}
}

// checkETagChange checks that the ETag changes with the content and not without.
func checkETagChange(a, b Version, f *findings) {
	if a.Header == nil || b.Header == nil {
		return
	}
	was, is := a.Header.Get("ETag"), b.Header.Get("ETag")
	same := string(a.Body) == string(b.Body)
	if same && was != is {
		f.add("etag-unstable", b.URL, b.At, "ETag was %s and is %s for the same bytes", was, is)
	}
	if !same && was == is {
		f.add("etag-reused", b.URL, b.At, "ETag %s for other bytes than before", is)
	}
}

// directives returns the directives of Cache-Control, lower case, without quotes.
func directives(h http.Header) map[string]string {
	d := map[string]string{}
	for _, part := range strings.Split(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		d[strings.ToLower(name)] = strings.Trim(value, `"`)
	}
	return d
}

// seconds returns a directive that is a number of seconds.
func seconds(d map[string]string, name string) (time.Duration, bool) {
	n, err := strconv.Atoi(d[name])
	return time.Duration(n) * time.Second, err == nil && n >= 0
}
