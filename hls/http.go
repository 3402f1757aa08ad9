package hls

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/headwater-live/headwater/remux"
)

// segmentContentType is the media type of a transport stream (RFC 3555).
const segmentContentType = "video/mp2t"

// soon is the Cache-Control of a 404: what is missing may be about to exist.
const soon = "public, max-age=1"

// ServeIndex answers GET and HEAD for the multivariant playlist of a stream. Where
// byName is true its URIs are relative to /APP/ and not to /APP/NAME/.
func (s *Server) ServeIndex(w http.ResponseWriter, r *http.Request, name remux.StreamName, byName bool) {
	p := s.newest(name).playlists()
	if p == nil {
		notFound(w)
		return
	}
	if byName {
		p.byName.serve(w, r)
	} else {
		p.index.serve(w, r)
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
	if file == mediaName {
		if p := c.playlists(); p != nil {
			p.media.serve(w, r)
			return
		}
		notFound(w)
		return
	}
	number, ok := strings.CutSuffix(file, segmentSuffix)
	sequence, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil || strconv.FormatUint(sequence, 10) != number {
		notFound(w)
		return
	}
	c.serveSegment(w, r, sequence)
}

// playlists returns what is published, nil if nothing is. c may be nil.
func (c *Channel) playlists() *playlists {
	if c == nil {
		return nil
	}
	return c.published.Load()
}

func (c *Channel) serveSegment(w http.ResponseWriter, r *http.Request, sequence uint64) {
	s := &segment{sequence: sequence}
	h := w.Header()
	if kept := c.memory(sequence); kept != nil {
		c.segmentHeaders(h, sequence)
		http.ServeContent(w, r, "", kept.date, kept.data.reader())
		return
	}
	blob, err := c.server.config.Storage.Open(c.blobName(s))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.log.Error("segment not readable", "sequence", sequence, "error", err)
		}
		notFound(w)
		return
	}
	defer func() { _ = blob.Close() }()
	info, err := blob.Stat()
	if err != nil {
		c.log.Error("segment not readable", "sequence", sequence, "error", err)
		notFound(w)
		return
	}
	c.segmentHeaders(h, sequence)
	http.ServeContent(w, r, "", info.ModTime(), blob)
}

// segmentHeaders sets what all answers for a segment say. Its URI never means other
// bytes, so the URI is its entity tag.
func (c *Channel) segmentHeaders(h http.Header, sequence uint64) {
	h["Content-Type"] = []string{segmentContentType}
	h["Cache-Control"] = []string{c.server.segmentCache}
	h["Etag"] = []string{`"` + c.incarnation + "-" + strconv.FormatUint(sequence, 10) + `"`}
}

func segmentCacheControl(maxAge time.Duration) string {
	if maxAge <= 0 {
		maxAge = 365 * 24 * time.Hour
	}
	return fmt.Sprintf("public, max-age=%d, immutable", int(maxAge/time.Second))
}

func notFound(w http.ResponseWriter) {
	h := w.Header()
	const body = "not found: no such stream or segment, or it has not begun yet\n"
	h["Content-Type"] = []string{"text/plain; charset=utf-8"}
	h["Cache-Control"] = []string{soon}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(http.StatusNotFound)
	_, _ = io.WriteString(w, body)
}
