package hlscheck

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"
)

// testOrigin serves a world as an origin without fault does, then lets a test
// spoil each answer.
type testOrigin struct {
	history History
	now     func() int // index of the media playlist version in force
	spoil   func(r *http.Request, a *answer)
	stuck   func(r *http.Request) bool // the answer never comes
}

// client returns a client that reaches the origin without a network.
func (o *testOrigin) client() *http.Client { return &http.Client{Transport: o} }

// RoundTrip implements http.RoundTripper.
func (o *testOrigin) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if o.stuck != nil && o.stuck(r) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	rec := httptest.NewRecorder()
	o.serve(rec, r)
	res := rec.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	a := answer{status: res.StatusCode, header: res.Header, body: body}
	if o.spoil != nil {
		o.spoil(r, &a)
	}
	if a.status == 0 {
		return nil, fmt.Errorf("connection refused")
	}
	res.StatusCode, res.Header, res.Body = a.status, a.header, io.NopCloser(bytes.NewReader(a.body))
	return res, nil
}

func (o *testOrigin) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Range, If-None-Match")
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		h.Set("Allow", "GET, HEAD, OPTIONS")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	plain := *r.URL
	plain.RawQuery = ""
	body := o.history.Segments[plain.String()]
	switch {
	case body != nil && plain.String() <= worldSegmentURL(fmt.Sprintf("a1-%05d.ts", o.now())):
		h.Set("Content-Type", segmentType)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Etag", fmt.Sprintf(`"%x"`, crc32.ChecksumIEEE(body)))
		http.ServeContent(w, r, "", worldStart, bytes.NewReader(body))
	case plain.String() == worldURL || plain.String() == worldAlias:
		servePlaylist(w, r, o.history.Multivariant[0])
	case plain.String() == worldMedia && o.now() >= 0:
		servePlaylist(w, r, o.history.Media[o.now()])
	default:
		h.Set("Cache-Control", "public, max-age=1")
		w.WriteHeader(http.StatusNotFound)
	}
}

func servePlaylist(w http.ResponseWriter, r *http.Request, v Version) {
	body := v.Body
	etag := fmt.Sprintf("%x", crc32.ChecksumIEEE(body))
	for k, values := range v.Header {
		w.Header()[k] = values
	}
	w.Header().Del("Content-Length")
	if accept := r.Header.Get("Accept-Encoding"); strings.Contains(accept, "gzip") && !strings.Contains(accept, "q=0") {
		var b bytes.Buffer
		zw := gzip.NewWriter(&b)
		if _, err := zw.Write(body); err != nil {
			panic(err)
		}
		if err := zw.Close(); err != nil {
			panic(err)
		}
		body, etag = b.Bytes(), etag+"-gzip"
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Length", fmt.Sprint(len(body))) // ServeContent leaves it out for an encoding
	}
	w.Header().Set("Etag", `"`+etag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

const worldAlias = "http://origin.test/live/test/alias.m3u8"
