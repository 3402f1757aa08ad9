package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// standIn has ffmpeg write src as HLS and serves it the way an origin does,
// changed by spoil.
func standIn(t *testing.T, name, src string, spoil ...func(http.Handler) http.Handler) origin {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, app, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := analyse(limit(t, time.Minute), "ffmpeg", "-v", "error", "-i", src, "-c", "copy", "-f", "hls", "-hls_time", "2",
		"-hls_list_size", "0", "-hls_flags", "program_date_time", "-hls_segment_filename", filepath.Join(dir, "%03d.ts"), filepath.Join(dir, "index.m3u8")); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(src)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, app, name+".flv"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	handler := liveHeaders(http.FileServer(http.Dir(root)))
	for _, change := range spoil {
		handler = change(handler)
	}
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return origin{http: srv.URL}
}

// liveHeaders gives a file server's answers the headers of a live origin.
func liveHeaders(next http.Handler) http.Handler {
	types := map[string]string{".m3u8": "application/vnd.apple.mpegurl", ".ts": "video/mp2t", ".flv": "video/x-flv"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		ext := filepath.Ext(r.URL.Path)
		w.Header().Set("Content-Type", types[ext])
		if ext == ".flv" {
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("X-Accel-Buffering", "no")
		}
		next.ServeHTTP(w, r)
	})
}

// withoutCORS takes the header away that lets a page of another origin read.
func withoutCORS(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(corsEraser{w}, r)
	})
}

type corsEraser struct{ http.ResponseWriter }

func (w corsEraser) WriteHeader(status int) {
	w.Header().Del("Access-Control-Allow-Origin")
	w.ResponseWriter.WriteHeader(status)
}
