package hlscheck

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// checkConditional checks RFC 9110 13: If-None-Match, and If-Modified-Since where
// a Last-Modified invites it.
func (q *questioner) checkConditional(r resource) {
	q.stable(r.url, func(now answer) {
		etag := now.header.Get("ETag")
		if etag == "" {
			return // etag-not-strong says so
		}
		for _, c := range []struct {
			value string
			want  int
		}{
			{etag, http.StatusNotModified},
			{"W/" + etag, http.StatusNotModified},
			{`"another", ` + etag, http.StatusNotModified},
			{"*", http.StatusNotModified},
			{`"another"`, http.StatusOK},
		} {
			a := q.ask(http.MethodGet, r.url, "If-None-Match", c.value)
			if a.status != c.want {
				q.add("if-none-match", r.url, "If-None-Match: %s answers %d, not %d (the ETag is %s)", c.value, a.status, c.want, etag)
				continue
			}
			if a.status == http.StatusNotModified {
				q.check304(r, a, now)
			}
		}
		if a := q.ask(http.MethodHead, r.url, "If-None-Match", etag); a.status != http.StatusNotModified {
			q.add("if-none-match", r.url, "HEAD with If-None-Match: %s answers %d, not 304", etag, a.status)
		}
		q.checkModifiedSince(r, now)
	})
}

// check304 checks that a 304 renews what a cache holds (RFC 9110 15.4.5).
func (q *questioner) check304(r resource, a, now answer) {
	for _, name := range []string{"ETag", "Cache-Control", "Vary"} {
		if a.header.Get(name) != now.header.Get(name) {
			q.add("not-modified-headers", r.url, "304 has %s %q, 200 has %q", name, a.header.Get(name), now.header.Get(name))
		}
	}
	if len(a.body) > 0 {
		q.add("not-modified-headers", r.url, "304 with %d bytes of body", len(a.body))
	}
}

func (q *questioner) checkModifiedSince(r resource, now answer) {
	date := now.header.Get("Last-Modified")
	if date == "" {
		return
	}
	modified, err := http.ParseTime(date)
	if err != nil {
		q.add("if-modified-since", r.url, "Last-Modified %q is no HTTP date", date)
		return
	}
	if modified.After(time.Now().Add(time.Minute)) {
		q.add("if-modified-since", r.url, "Last-Modified %q lies in the future", date)
	}
	expect := func(want int, headers ...string) {
		if a := q.ask(http.MethodGet, r.url, headers...); a.status != want {
			q.add("if-modified-since", r.url, "%v answers %d, not %d (Last-Modified is %s)", headers, a.status, want, date)
		}
	}
	// A playlist that changes twice in a second keeps its date, so only a segment
	// may be judged by it.
	if r.segment {
		expect(http.StatusNotModified, "If-Modified-Since", date)
	}
	expect(http.StatusOK, "If-Modified-Since", modified.Add(-time.Hour).UTC().Format(http.TimeFormat))
	expect(http.StatusOK, "If-None-Match", `"another"`, "If-Modified-Since", date)
}

// checkRanges checks RFC 9110 14 on a segment.
func (q *questioner) checkRanges(r resource) {
	now := q.ask(http.MethodGet, r.url)
	size := len(now.body)
	if size <= packetSize {
		return
	}
	if a := now.header.Get("Accept-Ranges"); a != "bytes" {
		q.add("range", r.url, "Accept-Ranges is %q, not bytes", a)
	}
	for _, c := range []struct {
		value    string
		from, to int // to is exclusive
	}{
		{"bytes=0-187", 0, packetSize},
		{"bytes=188-", packetSize, size},
		{"bytes=-188", size - packetSize, size},
		{fmt.Sprintf("bytes=0-%d", size+1000), 0, size},
	} {
		a := q.ask(http.MethodGet, r.url, "Range", c.value)
		want := fmt.Sprintf("bytes %d-%d/%d", c.from, c.to-1, size)
		if a.status != http.StatusPartialContent || a.header.Get("Content-Range") != want || !bytes.Equal(a.body, now.body[c.from:c.to]) {
			q.add("range", r.url, "Range: %s answers %d, Content-Range %q, %d bytes; expected 206, %q, %d bytes", c.value, a.status,
				a.header.Get("Content-Range"), len(a.body), want, c.to-c.from)
		}
	}
	beyond := q.ask(http.MethodGet, r.url, "Range", fmt.Sprintf("bytes=%d-", size))
	if want := fmt.Sprintf("bytes */%d", size); beyond.status != http.StatusRequestedRangeNotSatisfiable || beyond.header.Get("Content-Range") != want {
		q.add("range", r.url, "a range past the end answers %d, Content-Range %q; expected 416, %q", beyond.status, beyond.header.Get("Content-Range"), want)
	}
	etag := now.header.Get("ETag")
	if a := q.ask(http.MethodGet, r.url, "Range", "bytes=0-187", "If-Range", etag); a.status != http.StatusPartialContent {
		q.add("range", r.url, "If-Range with the ETag answers %d, not 206", a.status)
	}
	if a := q.ask(http.MethodGet, r.url, "Range", "bytes=0-187", "If-Range", `"another"`); a.status != http.StatusOK || len(a.body) != size {
		q.add("range", r.url, "If-Range with another ETag answers %d with %d bytes, not 200 with %d", a.status, len(a.body), size)
	}
}

func unpack(body []byte) ([]byte, error) {
	zr, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(zr, maxBody))
}

// encodingsAgree reports whether both encodings say the same at last. A cache keeps each for its
// own time, so that one may be newer than the other for as long as a playlist may be kept.
func (q *questioner) encodingsAgree(url string) bool {
	for deadline := time.Now().Add(15 * time.Second); ; {
		plain, packed := q.ask(http.MethodGet, url), q.ask(http.MethodGet, url, "Accept-Encoding", "gzip")
		if body, err := unpack(packed.body); err == nil && bytes.Equal(body, plain.body) {
			return true
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-q.ctx.Done():
			return false
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}

// checkGzip checks that a playlist comes compressed to those who ask, as another
// representation with its own ETag (RFC 9110 8.8.3.3).
func (q *questioner) checkGzip(r resource) {
	q.stable(r.url, func(plain answer) {
		a := q.ask(http.MethodGet, r.url, "Accept-Encoding", "gzip, deflate, br")
		if a.header.Get("Content-Encoding") != "gzip" {
			q.add("gzip", r.url, "Accept-Encoding: gzip gets Content-Encoding %q", a.header.Get("Content-Encoding"))
			return
		}
		body, err := unpack(a.body)
		if err != nil || !bytes.Equal(body, plain.body) && !q.encodingsAgree(r.url) {
			q.add("gzip", r.url, "decompressed (%v) it has %d bytes other than the %d of the identity encoding", err, len(body), len(plain.body))
		}
		if a.header.Get("Content-Length") != fmt.Sprint(len(a.body)) {
			q.add("content-length", r.url, "Content-Length of the gzip variant is %q, the body has %d bytes", a.header.Get("Content-Length"), len(a.body))
		}
		for what, h := range map[string]http.Header{"gzip": a.header, "identity": plain.header} {
			if !slices.Contains(list(strings.ToLower(h.Get("Vary"))), "accept-encoding") {
				q.add("gzip", r.url, "Vary is %q on the %s variant", h.Get("Vary"), what)
			}
		}
		etag := a.header.Get("ETag")
		if etag == plain.header.Get("ETag") && !strings.HasPrefix(etag, "W/") {
			q.add("gzip", r.url, "the strong ETag %s stands for gzip and identity alike", etag)
		}
		again := q.ask(http.MethodGet, r.url, "Accept-Encoding", "gzip", "If-None-Match", etag)
		if again.status == http.StatusOK && again.header.Get("ETag") != etag { // a cache renews each encoding by itself
			etag = again.header.Get("ETag")
			again = q.ask(http.MethodGet, r.url, "Accept-Encoding", "gzip", "If-None-Match", etag)
		}
		if again.status != http.StatusNotModified {
			q.add("gzip", r.url, "If-None-Match with the gzip variant's ETag answers %d, not 304", again.status)
		}
		if refused := q.ask(http.MethodGet, r.url, "Accept-Encoding", "gzip;q=0"); refused.header.Get("Content-Encoding") != "" {
			q.add("gzip", r.url, "Accept-Encoding: gzip;q=0 gets Content-Encoding %q", refused.header.Get("Content-Encoding"))
		}
	})
}
