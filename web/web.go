// Package web holds what a browser gets: the console, the watch page, and the players of both. All of it is
// embedded, so that a server needs no other host, and all of it is plain files: nothing is made from what a
// peer sent, and scripts write names with textContent alone.
//
// The players are hls.js and mpegts.js as their authors release them, copied by update.sh in the versions
// that e2e/browser/package-lock.json locks. See static/players/LICENSES.md.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed static
var static embed.FS

// Files are the embedded files, ready to be sent. Use New.
type Files struct{ byName map[string]*file }

// file is a file in both encodings.
type file struct {
	contentType string
	body, gzip  []byte
	etag        string
}

// types are the media types of the files, whatever the machine's own table says.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml", ".md": "text/plain; charset=utf-8",
}

// New reads and compresses the files, which takes some milliseconds.
func New() (*Files, error) {
	f := &Files{byName: make(map[string]*file)}
	err := fs.WalkDir(static, "static", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := static.ReadFile(name)
		if err != nil {
			return err
		}
		contentType := types[path.Ext(name)]
		if contentType == "" {
			contentType = mime.TypeByExtension(path.Ext(name))
		}
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = w.Write(body) // a bytes.Buffer takes everything
		_ = w.Close()
		sum := sha256.Sum256(body)
		f.byName[strings.TrimPrefix(name, "static/")] = &file{
			contentType: contentType, body: body, gzip: packed.Bytes(), etag: hex.EncodeToString(sum[:12]),
		}
		return nil
	})
	return f, err
}

// The names of the pages, which have rules of their own for what they may load.
const (
	consolePage = "console.html"
	watchPage   = "watch.html"
)

// policy is the Content-Security-Policy of the pages: scripts, styles and media from here alone, no script inline.
// Players hand media to the browser as blobs.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"media-src blob: 'self'; base-uri 'none'; form-action 'none'"

// ServeConsole answers a request on the private listener. Its path is that of a file, "/" the console.
func (f *Files) ServeConsole(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	h := w.Header()
	if name == "" {
		name = consolePage
		h.Set("Content-Security-Policy", policy+"; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
	}
	h.Set("Cache-Control", "private, no-cache")
	f.serve(w, r, name)
}

// ServeWatch answers with the page that plays the stream whose name is its path. Any site may embed it.
func (f *Files) ServeWatch(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "same-origin") // the address may have a token in it
	h.Set("Cache-Control", "public, max-age=60")
	f.serve(w, r, watchPage)
}

// ServeFile answers with a file of the watch page.
func (f *Files) ServeFile(w http.ResponseWriter, r *http.Request, name string) {
	w.Header().Set("Cache-Control", "public, max-age=300")
	f.serve(w, r, name)
}

func (f *Files) serve(w http.ResponseWriter, r *http.Request, name string) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	content := f.byName[name]
	if content == nil {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte("not found\n")) // the client has gone: nothing is left to do
		return
	}
	body, etag := content.body, `"`+content.etag+`"`
	h.Set("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && len(content.gzip) < len(body) {
		body, etag = content.gzip, `"`+content.etag+`-gzip"`
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Etag", etag)
	if strings.Contains(r.Header.Get("If-None-Match"), etag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", content.contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client has gone: nothing is left to do
	}
}
