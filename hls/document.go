package hls

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/headwater-live/headwater/hls/m3u8"
)

// document is a rendered body with what HTTP says of it. It is immutable.
type document struct {
	body, gzip         []byte
	etag, gzipETag     string
	length, gzipLength string
	modified           time.Time
	// lastModified is "" where the document changed twice within its second, which
	// Last-Modified cannot tell apart: then only the entity tag can.
	lastModified string
	cacheControl string
}

var gzipPool = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
	return w
}}

// newDocument returns the document of a body: the one before, if it says the same.
func newDocument(before *document, body []byte, cacheControl string, now time.Time) *document {
	if before != nil && bytes.Equal(before.body, body) {
		return before
	}
	var packed bytes.Buffer
	w := gzipPool.Get().(*gzip.Writer)
	w.Reset(&packed)
	_, _ = w.Write(body) // a bytes.Buffer takes everything
	_ = w.Close()
	gzipPool.Put(w)

	hash := fnv.New128a()
	_, _ = hash.Write(body)
	sum := fmt.Sprintf("%x", hash.Sum(nil))
	d := &document{
		body:         body,
		gzip:         packed.Bytes(),
		etag:         `"` + sum + `"`,
		gzipETag:     `"` + sum + `-gzip"`,
		length:       strconv.Itoa(len(body)),
		gzipLength:   strconv.Itoa(packed.Len()),
		modified:     now.Truncate(time.Second),
		cacheControl: cacheControl,
	}
	if before == nil || !before.modified.Equal(d.modified) {
		d.lastModified = now.UTC().Format(http.TimeFormat)
	}
	return d
}

// serve answers GET and HEAD from the rendered bytes.
func (d *document) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Vary"] = append(h["Vary"], "Accept-Encoding")
	h["Content-Type"] = []string{m3u8.ContentType}
	h["Cache-Control"] = []string{d.cacheControl}
	if d.lastModified != "" {
		h["Last-Modified"] = []string{d.lastModified}
	}
	if partial(r.Header) {
		// Ranges and preconditions concern the plain text.
		h["Etag"] = []string{d.etag}
		var modified time.Time
		if d.lastModified != "" {
			modified = d.modified
		}
		http.ServeContent(w, r, "", modified, bytes.NewReader(d.body))
		return
	}
	body, etag, length := d.body, d.etag, d.length
	packed := acceptsGzip(r.Header["Accept-Encoding"])
	if packed {
		body, etag, length = d.gzip, d.gzipETag, d.gzipLength
	}
	h["Etag"] = []string{etag}
	if d.unmodified(r.Header, etag) {
		delete(h, "Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if packed {
		h["Content-Encoding"] = []string{"gzip"}
	}
	h["Content-Length"] = []string{length}
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client has gone: nothing is left to do
	}
}

// partial reports whether a request asks for less than the whole body, or for
// nothing unless a condition holds.
func partial(h http.Header) bool {
	for _, name := range [...]string{"Range", "If-Match", "If-Unmodified-Since"} {
		if _, ok := h[name]; ok {
			return true
		}
	}
	return false
}

// unmodified reports whether the client has the document already (RFC 9110, 13.2.2).
// A date must be the very one that was sent: when the clock was set back, a later one
// says nothing.
func (d *document) unmodified(h http.Header, etag string) bool {
	if tags, ok := h["If-None-Match"]; ok {
		return matches(tags, etag)
	}
	since := h.Get("If-Modified-Since")
	return since != "" && since == d.lastModified
}

// matches reports whether a list of entity tags has one of them, by weak comparison
// (RFC 9110, 13.1.2).
func matches(values []string, etag string) bool {
	for _, value := range values {
		for tag := range strings.SplitSeq(value, ",") {
			tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
			if tag == etag || tag == "*" {
				return true
			}
		}
	}
	return false
}

// acceptsGzip reads Accept-Encoding (RFC 9110, 12.5.3): gzip, or *, without q=0.
func acceptsGzip(values []string) bool {
	star := false
	for _, value := range values {
		for item := range strings.SplitSeq(value, ",") {
			coding, params, _ := strings.Cut(item, ";")
			refused := zeroQuality(params)
			switch strings.ToLower(strings.TrimSpace(coding)) {
			case "gzip", "x-gzip":
				return !refused
			case "*":
				star = !refused
			}
		}
	}
	return star
}

func zeroQuality(params string) bool {
	q, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(params)), "q=")
	if !ok {
		return false
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
	return err == nil && v == 0
}
