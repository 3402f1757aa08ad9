package load

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A server that lies costs a viewer an error, each time, and neither memory nor patience.
func TestLiesAboutLiveStreamsAreErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		want     string
		protocol Protocol
		serve    http.HandlerFunc
	}{
		{"does not begin with an FLV header", HTTPFLV, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("<!DOCTYPE html><html>", 1000))
		}},
		{"neither audio, video nor script data", HTTPFLV, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00")
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat("\xff", 10_000)); err != nil {
					return
				}
			}
		}},
		{"does not begin with 0x47", HTTPTS, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(make([]byte, 10_000))
		}},
		{"too many redirects", HTTPFLV, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path+"x", http.StatusFound)
		}},
		{"the answer to a WebSocket handshake is wrong", WebSocketFLV, func(w http.ResponseWriter, _ *http.Request) {
			nc, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			_, _ = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
				"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n")
			_ = nc.Close()
		}},
		{"status 200", WebSocketFLV, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "FLV")
		}},
		{"broken off", HTTPFLV, func(w http.ResponseWriter, _ *http.Request) { // a header without an end
			nc, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer func() { _ = nc.Close() }()
			_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := io.WriteString(nc, strings.Repeat("X-More: and more\r\n", 100)); err != nil {
					return
				}
			}
		}},
	} {
		t.Run(test.want, func(t *testing.T) {
			t.Parallel()
			web := httptest.NewServer(test.serve)
			t.Cleanup(web.Close)
			url := web.URL + "/live/s.flv"
			if test.protocol == WebSocketFLV {
				url = "ws" + strings.TrimPrefix(url, "http")
			}
			r, err := Run(t.Context(), Config{
				Viewers: []Viewers{{test.protocol, url, 1}}, Duration: 2 * time.Second, Look: 1, baseline: time.Millisecond,
			})
			got := fmt.Sprint(err) // nobody ever joined, and that says why
			if err == nil {
				got = fmt.Sprint(r.Viewers[0].Errors)
			}
			if !strings.Contains(got, test.want) {
				t.Errorf("%s, want %q", got, test.want)
			}
		})
	}
}

// A server that lies costs a player an error, each time, and neither memory nor patience.
func TestLiesAboutHLSAreErrors(t *testing.T) {
	t.Parallel()
	const media = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:%d\n#EXTINF:1,\n%s\n"
	packet := append([]byte{tsSync, 0x1f, 0xff}, make([]byte, tsPacket-3)...)
	for _, test := range []struct {
		want  string
		serve func(w http.ResponseWriter, r *http.Request, n int64)
	}{
		{"status 404", func(w http.ResponseWriter, r *http.Request, n int64) { // of all segments
			if strings.HasSuffix(r.URL.Path, ".ts") {
				http.NotFound(w, r)
				return
			}
			fmt.Fprintf(w, media, n, "gone.ts")
		}},
		{"a playlist does not end", func(w http.ResponseWriter, r *http.Request, _ int64) {
			fmt.Fprintf(w, media, 0, "x.ts")
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat("#EXTINF:1,\nx.ts\n", 1000)); err != nil {
					return
				}
			}
		}},
		{"the media sequence number jumped", func(w http.ResponseWriter, r *http.Request, n int64) {
			if strings.HasSuffix(r.URL.Path, ".ts") {
				_, _ = w.Write(packet)
				return
			}
			fmt.Fprintf(w, media, n%2<<61, "x.ts")
		}},
		{"a playlist does not begin with #EXTM3U", func(w http.ResponseWriter, _ *http.Request, _ int64) {
			fmt.Fprint(w, "<!DOCTYPE html><html>")
		}},
		{"a transport stream packet does not begin with 0x47", func(w http.ResponseWriter, r *http.Request, n int64) {
			if strings.HasSuffix(r.URL.Path, ".ts") {
				_, _ = w.Write(make([]byte, 100*tsPacket))
				return
			}
			fmt.Fprintf(w, media, n, "x.ts")
		}},
	} {
		t.Run(test.want, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n := asked.Load()
				if !strings.HasSuffix(r.URL.Path, ".ts") {
					n = asked.Add(1)
				}
				test.serve(w, r, n)
			}))
			t.Cleanup(web.Close)
			errs := map[string]int64{}
			r, err := Run(t.Context(), Config{
				Viewers:  []Viewers{{HLS, web.URL + "/live/s/index.m3u8", 1}},
				Duration: 3 * time.Second, Look: 1, baseline: time.Millisecond,
			})
			if err != nil { // nobody ever joined, and that says why
				errs[err.Error()] = 1
			} else {
				errs = r.Viewers[0].Errors
			}
			if !strings.Contains(fmt.Sprint(errs), test.want) {
				t.Errorf("%v, want %q", errs, test.want)
			}
		})
	}
}
