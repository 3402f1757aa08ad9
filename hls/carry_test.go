package hls

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const samplePlaylist = "#EXTM3U\n#EXT-X-VERSION:6\n#EXTINF:2.000,\n1-0a.ts\n#EXTINF:2.000,\n2-0b.ts\n"

func TestATokenIsCarriedToEveryURI(t *testing.T) {
	d := newDocument(nil, []byte(samplePlaylist), "public, max-age=1", time.Now())
	for _, test := range []struct {
		carry        Carry
		query        string
		media, index bool
	}{
		{CarryNothing, "token=abc", false, false}, {CarryToPlaylists, "token=abc", false, true}, {CarryToAll, "token=abc", true, true},
		{CarryToAll, "x=1&token=abc&y=2", true, true}, {CarryToAll, "", false, false}, {CarryToAll, "xtoken=abc", false, false},
	} {
		s := NewServer(Config{Carry: test.carry})
		for name, want := range map[string]bool{"media": test.media, "index": test.index} {
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/x?"+test.query, nil)
			r.Header.Set("Accept-Encoding", "gzip")
			if name == "media" {
				s.serveMedia(d, w, r)
			} else {
				s.serveMultivariant(d, w, r)
			}
			h := w.Result().Header
			if !want {
				if h.Get("Content-Encoding") != "gzip" || h.Get("Cache-Control") != "public, max-age=1" {
					t.Errorf("%+v %s: it is not the playlist for all: %v", test, name, h)
				}
				continue
			}
			if got, want := w.Body.String(), strings.ReplaceAll(samplePlaylist, ".ts", ".ts?token=abc"); got != want {
				t.Errorf("%+v %s:\n%s", test, name, got)
			}
			if h.Get("Content-Encoding") != "" || !strings.HasPrefix(h.Get("Cache-Control"), "private") || h.Get("Etag") == d.etag[0] {
				t.Errorf("%+v %s: headers %v", test, name, h)
			}
		}
	}
}

func TestPlaylistsOfTwoTokensAreTwoDocuments(t *testing.T) {
	d := newDocument(nil, []byte(samplePlaylist), "public, max-age=1", time.Now())
	a, b := d.carrying("token=a"), d.carrying("token=b")
	if a.etag[0] == b.etag[0] || d.carrying("token=a").etag[0] != a.etag[0] {
		t.Errorf("entity tags %s and %s", a.etag, b.etag)
	}
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/x", nil)
	r.Header.Set("If-None-Match", a.etag[0])
	a.serve(w, r)
	if w.Code != 304 {
		t.Errorf("status %d", w.Code)
	}
}

func FuzzCarried(f *testing.F) {
	for _, q := range []string{"token=abc", "a=b&token=%41.x-_&c", "token=\"#\n", "token=<script>", "token=" + strings.Repeat("x", maxCarried)} {
		f.Add(q)
	}
	d := newDocument(nil, []byte(samplePlaylist), "public, max-age=1", time.Now())
	f.Fuzz(func(t *testing.T, query string) {
		pair := carried(query)
		if pair == "" {
			return
		}
		body := string(d.carrying(pair).body)
		if lines := strings.Split(body, "\n"); len(lines) != 7 || lines[3] != "1-0a.ts?"+pair || strings.ContainsAny(pair, "\"<> #&'\\") {
			t.Errorf("%q makes\n%s", query, body)
		}
	})
}
