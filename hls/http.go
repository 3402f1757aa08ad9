package hls

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"time"

	"github.com/headwater-live/headwater/remux"
)

// segmentContentType is the media type of a transport stream (RFC 3555).
var segmentContentType = []string{"video/mp2t"}

// soon is the Cache-Control of what may be otherwise in a second: a segment or a
// stream that is not there may be about to exist.
const soon = "public, max-age=1"

// ServeIndex answers GET and HEAD for the multivariant playlist of a stream. Where
// byName is true its URIs are relative to /APP/ and not to /APP/NAME/.
func (s *Server) ServeIndex(w http.ResponseWriter, r *http.Request, name remux.StreamName, byName bool) {
	p := s.current(name)
	w = s.count(w)
	switch {
	case p == nil:
		notFound(w)
	case byName:
		s.serveMultivariant(p.byName, w, r)
	default:
		s.serveMultivariant(p.index, w, r)
	}
}

// ServeFile answers GET and HEAD for a file of one incarnation: its media playlist
// or a segment.
func (s *Server) ServeFile(w http.ResponseWriter, r *http.Request, name remux.StreamName, incarnation, file string) {
	c := s.incarnation(name, incarnation)
	if c == nil {
		notFound(w)
		return
	}
	p := c.published.Load()
	w = s.count(w)
	if file != mediaName {
		c.serveSegment(w, r, p, file)
		return
	}
	if p == nil || p.media == nil {
		notFound(w)
		return
	}
	c.audience.note(r, time.Now(), audienceTargets*p.status.TargetDuration)
	s.serveMedia(p.media, w, r)
}

// serveSegment answers for a segment that was listed. Others are not even looked for.
func (c *Channel) serveSegment(w http.ResponseWriter, r *http.Request, p *published, uri string) {
	f, ok := p.file(uri)
	if !ok {
		notFound(w)
		return
	}
	if f.memory.size > 0 {
		c.segmentHeaders(w.Header(), uri)
		http.ServeContent(w, r, "", f.date, f.memory.reader())
		return
	}
	if f.segment.gone.Load() {
		notFound(w)
		return
	}
	blob, err := c.open(f.segment)
	if err != nil {
		c.unreadable(w, uri, err)
		return
	}
	defer func() { _ = blob.Close() }()
	c.segmentHeaders(w.Header(), uri)
	http.ServeContent(w, r, "", f.date, blob)
}

// unreadable answers for a segment that should be in the storage. It may have expired
// a moment ago.
func (c *Channel) unreadable(w http.ResponseWriter, uri string, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		notFound(w)
		return
	}
	c.log.Error("segment not readable", "segment", uri, "error", err)
	w.Header()["Retry-After"] = []string{"1"}
	refuse(w, http.StatusServiceUnavailable, "the storage does not give the segment out\n")
}

// segmentHeaders sets what all answers for a segment say. Its URI never means other
// bytes, so the URI is its entity tag.
func (c *Channel) segmentHeaders(h http.Header, uri string) {
	h["Content-Type"] = segmentContentType
	h["Cache-Control"] = c.server.limits.Load().segmentCache
	h["Etag"] = []string{`"` + c.incarnation + "-" + uri[:len(uri)-len(segmentSuffix)] + `"`}
}

func segmentCacheControl(maxAge time.Duration) []string {
	if maxAge <= 0 {
		maxAge = 365 * 24 * time.Hour
	}
	return []string{fmt.Sprintf("public, max-age=%d, immutable", int(maxAge/time.Second))}
}

func notFound(w http.ResponseWriter) {
	refuse(w, http.StatusNotFound, "not found: no such stream or segment, or it has not begun yet\n")
}

func refuse(w http.ResponseWriter, status int, body string) {
	h := w.Header()
	h["Content-Type"] = []string{"text/plain; charset=utf-8"}
	h["Cache-Control"] = []string{soon}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // the client has gone: nothing is left to do
}
