package hls

import (
	"bytes"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"
)

// Carry says what becomes of a token in a playlist's query, ?token=TOKEN.
type Carry uint8

const (
	// CarryNothing leaves playlists as they are: they are the same for everybody.
	CarryNothing Carry = iota
	// CarryToPlaylists appends the token to the URIs of playlists.
	CarryToPlaylists
	// CarryToAll appends it to those of segments, too.
	CarryToAll
)

// tokenParameter is the parameter that is carried.
const tokenParameter = "token="

// maxCarried bounds what is carried, in bytes: it stands in a playlist once for each segment.
const maxCarried = 4 << 10

// privately keeps a playlist with somebody's token out of caches that others share.
var privately = []string{"private, no-cache"}

// carried returns the token's part of a raw query as it stands, "" if there is none. What would need to be escaped in
// a playlist is not carried.
func carried(query string) string {
	for pair := range strings.SplitSeq(query, "&") {
		if strings.HasPrefix(pair, tokenParameter) && len(pair) <= maxCarried {
			if strings.IndexFunc(pair, func(c rune) bool { return !isURIQuery(c) }) < 0 {
				return pair
			}
			return ""
		}
	}
	return ""
}

// isURIQuery reports whether a query may have a character as it is (RFC 3986, section 3.4), but for quotes, which end
// attributes of playlists.
func isURIQuery(c rune) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.ContainsRune("-._~%!$()*+,;=:@/?", c)
}

// serveMultivariant and serveMedia answer with a playlist, whose URIs carry the request's token if it is so set.
func (s *Server) serveMultivariant(d *document, w http.ResponseWriter, r *http.Request) {
	s.servePlaylist(d, w, r, s.limits.Load().carry >= CarryToPlaylists)
}

func (s *Server) serveMedia(d *document, w http.ResponseWriter, r *http.Request) {
	s.servePlaylist(d, w, r, s.limits.Load().carry >= CarryToAll)
}

func (s *Server) servePlaylist(d *document, w http.ResponseWriter, r *http.Request, carry bool) {
	if carry && r.URL.RawQuery != "" {
		if pair := carried(r.URL.RawQuery); pair != "" {
			d = d.carrying(pair)
		}
	}
	d.serve(w, r)
}

// carrying returns the document with a query behind each URI. It is for one viewer, and is not compressed: that would
// take longer than all the rest.
func (d *document) carrying(query string) *document {
	body := make([]byte, 0, len(d.body)+bytes.Count(d.body, []byte{'\n'})*(len(query)+1))
	for line := range bytes.Lines(d.body) {
		uri := bytes.TrimRight(line, "\n")
		body = append(body, uri...)
		if len(uri) > 0 && uri[0] != '#' {
			body = append(append(body, '?'), query...)
		}
		body = append(body, '\n')
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(query))
	etag := strings.TrimSuffix(d.etag[0], `"`) + "-" + strconv.FormatUint(hash.Sum64(), 16) + `"`
	return &document{
		encoding: newEncoding(body, etag),
		modified: d.modified, lastModified: d.lastModified, cacheControl: privately,
	}
}
