package hls

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// onAir is a stage with a stream of 20 s that is still being published.
func onAir(t *testing.T, test func(s *stage, media string)) {
	t.Helper()
	onStage(t, Config{}, func(s *stage) {
		s.publish(at25(25), 0, 20_020)
		s.look()
		test(s, s.history.Media[len(s.history.Media)-1].URL)
		s.leave()
	})
}

func TestPlaylistsSayWhatACacheMustKnow(t *testing.T) {
	onAir(t, func(s *stage, media string) {
		for _, url := range []string{media, "/live/test/index.m3u8", "/live/test.m3u8"} {
			w := s.get(url)
			h := w.Header()
			if w.Code != 200 || h.Get("Content-Type") != "application/vnd.apple.mpegurl" ||
				h.Get("Content-Length") != strconv.Itoa(w.Body.Len()) ||
				h.Get("Cache-Control") != "public, max-age=1, stale-while-revalidate=1" ||
				h.Get("Vary") != "Accept-Encoding" || len(h.Get("Etag")) < 10 || h.Get("Last-Modified") == "" {
				t.Errorf("%s: %d %v", url, w.Code, h)
			}
		}
	})
}

func TestBothAddressesOfTheMultivariantPlaylistLeadToTheMedia(t *testing.T) {
	onAir(t, func(s *stage, media string) {
		if got := "/live/test/" + uris(s.get("/live/test/index.m3u8").Body.String())[0]; got != media {
			t.Errorf("index.m3u8 leads to %s, want %s", got, media)
		}
		if got := "/live/" + uris(s.get("/live/test.m3u8").Body.String())[0]; got != media {
			t.Errorf("test.m3u8 leads to %s, want %s", got, media)
		}
	})
}

func TestPlaylistsAreSentInGzipToWhoTakesIt(t *testing.T) {
	onAir(t, func(s *stage, media string) {
		plain := s.get(media).Body.String()
		for accept, packed := range map[string]bool{
			"gzip": true, "br;q=1.0, GZIP;q=0.8, *;q=0.1": true, "*": true, "deflate, x-gzip": true,
			"": false, "br": false, "gzip;q=0": false, "gzip; q=0.000, *": false, "identity;q=1, *;q=0": false,
		} {
			w := s.get(media, "Accept-Encoding", accept)
			body := w.Body.Bytes()
			if w.Header().Get("Content-Length") != strconv.Itoa(len(body)) {
				t.Errorf("%q: Content-Length %s of %d", accept, w.Header().Get("Content-Length"), len(body))
			}
			if got := w.Header().Get("Content-Encoding") == "gzip"; got != packed {
				t.Errorf("%q: gzip %v", accept, got)
				continue
			}
			if packed {
				r, err := gzip.NewReader(bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				if body, err = io.ReadAll(r); err != nil {
					t.Fatal(err)
				}
			}
			if string(body) != plain {
				t.Errorf("%q: another playlist", accept)
			}
		}
		if a, b := s.get(media).Header().Get("Etag"), s.get(media, "Accept-Encoding", "gzip").Header().Get("Etag"); a == b {
			t.Error("both encodings have one entity tag")
		}
	})
}

func TestConditionalRequestsForPlaylists(t *testing.T) {
	onAir(t, func(s *stage, media string) {
		h := s.get(media).Header()
		etag, modified := h.Get("Etag"), h.Get("Last-Modified")
		packed := s.get(media, "Accept-Encoding", "gzip").Header().Get("Etag")
		for _, test := range []struct {
			header []string
			status int
		}{
			{[]string{"If-None-Match", etag}, 304},
			{[]string{"If-None-Match", `"x", W/` + etag}, 304},
			{[]string{"If-None-Match", "*"}, 304},
			{[]string{"If-None-Match", `"x"`}, 200},
			{[]string{"If-None-Match", `"x"`, "Accept-Encoding", "gzip"}, 200},
			{[]string{"If-None-Match", packed, "Accept-Encoding", "gzip"}, 304},
			{[]string{"If-None-Match", packed}, 200},
			{[]string{"If-None-Match", `"x"`, "If-Modified-Since", modified}, 200},
			{[]string{"If-Modified-Since", modified}, 304},
			{[]string{"If-Modified-Since", modified, "Accept-Encoding", "gzip"}, 304},
			{[]string{"If-Modified-Since", "Mon, 02 Jan 2006 15:04:05 GMT"}, 200}, // the clock was set back since
			{[]string{"If-Modified-Since", "nonsense"}, 200},
			{[]string{"If-Match", etag}, 200},
			{[]string{"If-Match", `"x"`}, 412},
			{[]string{"Range", "bytes=0-6"}, 206},
			{[]string{"Range", "bytes=0-6", "Accept-Encoding", "gzip"}, 206},
			{[]string{"Range", "bytes=99999-"}, 416},
		} {
			w := s.get(media, test.header...)
			if w.Code != test.status {
				t.Errorf("%q: %d, want %d", test.header, w.Code, test.status)
			}
			switch length := w.Header().Get("Content-Length"); {
			case test.status == 200 && length != strconv.Itoa(w.Body.Len()):
				t.Errorf("%q: Content-Length %q of %d", test.header, length, w.Body.Len())
			case test.status == 304 && (w.Body.Len() > 0 || w.Header().Get("Etag") == "" || w.Header().Get("Cache-Control") == "" || w.Header().Get("Vary") == ""):
				t.Errorf("%q: 304 with %v", test.header, w.Header())
			case test.status == 206 && w.Body.String() != "#EXTM3U":
				t.Errorf("%q: %q", test.header, w.Body)
			}
		}
	})
}

func TestAPlaylistThatChangesTwiceInASecondHasNoDate(t *testing.T) {
	now := time.Date(2026, 11, 21, 8, 0, 0, 300_000_000, time.UTC)
	a := newDocument(nil, []byte("a"), "", now)
	b := newDocument(a, []byte("b"), "", now.Add(600*time.Millisecond))
	c := newDocument(b, []byte("c"), "", now.Add(time.Second))
	if a.lastModified == nil || b.lastModified != nil || c.lastModified == nil || c.lastModified[0] == a.lastModified[0] {
		t.Errorf("%q, %q, %q", a.lastModified, b.lastModified, c.lastModified)
	}
	if same := newDocument(a, []byte("a"), "", now.Add(time.Hour)); same != a {
		t.Error("the same body is not the same document")
	}
}

func TestSegmentsSayWhatACacheMustKnow(t *testing.T) {
	onAir(t, func(s *stage, media string) {
		url := strings.TrimSuffix(media, "media.m3u8") + uris(s.get(media).Body.String())[2]
		whole := s.get(url)
		h := whole.Header()
		etag := h.Get("Etag")
		if whole.Code != 200 || h.Get("Content-Type") != "video/mp2t" || h.Get("Content-Length") != strconv.Itoa(whole.Body.Len()) ||
			h.Get("Cache-Control") != "public, max-age=31536000, immutable" || len(etag) < 10 {
			t.Errorf("%d %v", whole.Code, h)
		}
		if w := s.get(url, "Range", "bytes=188-375"); w.Code != 206 || w.Body.String() != whole.Body.String()[188:376] {
			t.Errorf("range: %d, %d bytes", w.Code, w.Body.Len())
		}
		if w := s.get(url, "Range", "bytes=99999999-"); w.Code != 416 {
			t.Errorf("range beyond the end: %d", w.Code)
		}
		if w := s.get(url, "If-None-Match", etag); w.Code != 304 || w.Body.Len() > 0 {
			t.Errorf("If-None-Match: %d", w.Code)
		}
		r := httptest.NewRequest(http.MethodHead, url, nil)
		if w := s.do(r); w.Code != 200 || w.Body.Len() > 0 || w.Header().Get("Content-Length") != h.Get("Content-Length") {
			t.Errorf("HEAD: %d %v", w.Code, w.Header())
		}
	})
}

func TestWhatIsNotThereIsForgottenSoon(t *testing.T) {
	onAir(t, func(s *stage, media string) {
		folder := strings.TrimSuffix(media, "media.m3u8")
		for _, url := range []string{
			"/live/other/index.m3u8", "/live/other.m3u8", "/live/test/0123456789abcdef/media.m3u8",
			folder + "9999999.ts", folder + "0009.ts", folder + "+9.ts", folder + "9", folder + "x.ts", folder + "journal",
			folder + "18446744073709551616.ts", folder + ".ts",
		} {
			w := s.get(url)
			if w.Code != 404 || w.Header().Get("Cache-Control") != "public, max-age=1" || w.Body.Len() == 0 {
				t.Errorf("%s: %d %v", url, w.Code, w.Header())
			}
		}
	})
}

func TestAThousandRequestsAtOnceShareTheBytes(t *testing.T) {
	onAir(t, func(s *stage, media string) {
		before := s.channel().published.Load()
		var wg sync.WaitGroup
		bodies := make([]*byte, 1000)
		for i := range bodies {
			wg.Go(func() {
				var w sharing
				s.server.ServeFile(&w, httptest.NewRequest(http.MethodGet, media, nil), testName, strings.Split(media, "/")[3], "media.m3u8")
				bodies[i] = w.body
			})
		}
		wg.Wait()
		for i, body := range bodies {
			if body != &before.media.body[0] {
				t.Fatalf("request %d was answered with a copy", i)
			}
		}
		if s.channel().published.Load() != before {
			t.Error("requests rendered the playlist")
		}
	})
}

// sharing is a response that remembers where the body lies.
type sharing struct {
	header http.Header
	body   *byte
}

func (w *sharing) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}
func (w *sharing) WriteHeader(int) {}
func (w *sharing) Write(b []byte) (int, error) {
	w.body = &b[0]
	return len(b), nil
}

func BenchmarkPlaylistRequest(b *testing.B) {
	d := newDocument(nil, bytes.Repeat([]byte("#EXTINF:2.000,\n12345-0123abcd.ts\n"), 6), playlistCacheControl(2*time.Second), time.Now())
	r := httptest.NewRequest(http.MethodGet, "/live/test/0123456789abcdef/media.m3u8", nil)
	r.Header.Set("Accept-Encoding", "gzip, deflate, br")
	b.ReportAllocs()
	for b.Loop() {
		d.serve(&sharing{}, r)
	}
}

func TestPlaylistRequestsAllocateNothing(t *testing.T) {
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	d := newDocument(nil, []byte("#EXTM3U\n"), playlistCacheControl(2*time.Second), now)
	for name, headers := range map[string][]string{
		"plain": nil, "gzip": {"Accept-Encoding", "gzip, deflate, br"}, "known": {"If-None-Match", d.etag[0]},
	} {
		r := httptest.NewRequest(http.MethodGet, "/live/test/0123456789abcdef/media.m3u8", nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := &sharing{header: http.Header{}}
		if n := testing.AllocsPerRun(100, func() { d.serve(w, r) }); n > 0 {
			t.Errorf("%s: %.0f allocations", name, n)
		}
	}
}
