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

// document is a rendered body with what HTTP says of it. It is immutable, and its header
// fields are ready to be put into any answer: requests share all of it.
type document struct {
	encoding          // as it is
	gzip     encoding // empty if there is none
	modified time.Time
	// lastModified is nil where the document changed twice within its second, which
	// Last-Modified cannot tell apart: then only the entity tag can.
	lastModified []string
	cacheControl []string
}

// encoding is a document in one content encoding.
type encoding struct {
	body         []byte
	etag, length []string
}

func newEncoding(body []byte, etag string) encoding {
	return encoding{body: body, etag: []string{etag}, length: []string{strconv.Itoa(len(body))}}
}

// Header fields that are the same for all documents.
var (
	playlistContentType = []string{m3u8.ContentType}
	varyEncoding        = []string{"Accept-Encoding"}
	gzipEncoding        = []string{"gzip"}
)

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
		encoding:     newEncoding(body, `"`+sum+`"`),
		gzip:         newEncoding(packed.Bytes(), `"`+sum+`-gzip"`),
		modified:     now.Truncate(time.Second),
		cacheControl: []string{cacheControl},
	}
	if before == nil || !before.modified.Equal(d.modified) {
		d.lastModified = []string{now.UTC().Format(http.TimeFormat)}
	}
	return d
}

// serve answers GET and HEAD from the rendered bytes. It allocates nothing but where
// there is a condition to read.
func (d *document) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Vary"] = varyEncoding
	h["Content-Type"] = playlistContentType
	h["Cache-Control"] = d.cacheControl
	if d.lastModified != nil {
		h["Last-Modified"] = d.lastModified
	}
	if partial(r.Header) {
		// Ranges and preconditions concern the plain text.
		h["Etag"] = d.etag
		var modified time.Time
		if d.lastModified != nil {
			modified = d.modified
		}
		http.ServeContent(w, r, "", modified, bytes.NewReader(d.body))
		return
	}
	e := &d.encoding
	packed := d.gzip.body != nil && acceptsGzip(r.Header["Accept-Encoding"])
	if packed {
		e = &d.gzip
	}
	h["Etag"] = e.etag
	if d.unmodified(r.Header, e.etag[0]) {
		delete(h, "Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if packed {
		h["Content-Encoding"] = gzipEncoding
	}
	h["Content-Length"] = e.length
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(e.body) // the client has gone: nothing is left to do
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
	return since != "" && d.lastModified != nil && since == d.lastModified[0]
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
