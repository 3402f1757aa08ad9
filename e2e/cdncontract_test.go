package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
)

// TestCDNContract asks the real server what caches, browsers and scanners ask, and holds
// every answer against the contract (docs/cdn.md).
func TestCDNContract(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	ctx := limit(t, 3*time.Minute)
	src := fixtureNamed(t, "baseline").make(t)
	const name = "contract"
	gone, leave := context.WithCancel(ctx)
	pushed := make(chan struct{})
	go func() {
		defer close(pushed)
		_ = command(gone, t, "ffmpeg", "-v", "error", "-nostdin", "-re", "-i", src.path, "-c", "copy", "-f", "flv", s.publishURL(name)).Run()
	}()
	defer func() { leave(); <-pushed }()
	waitForHLS(ctx, t, s.hlsURL(name), 2)
	flvHead(ctx, t, s, name)

	// The publisher leaves: now the playlist stays as it is, and answers can be compared.
	leave()
	<-pushed
	waitForIdle(ctx, t, s, name)
	a := addressesOf(ctx, t, s.hlsURL(name))
	t.Run("playlist", func(t *testing.T) {
		for _, url := range []string{a.index, s.http + "/" + app + "/" + name + ".m3u8", a.media} {
			checkPlaylistContract(ctx, t, url)
		}
	})
	t.Run("segment", func(t *testing.T) { checkSegmentContract(ctx, t, a.segments[0], a.segments[len(a.segments)-1]) })
	t.Run("methods", func(t *testing.T) { checkMethodContract(ctx, t, s, a) })
	t.Run("unknown", func(t *testing.T) { checkUnknownContract(ctx, t, s, a) })
}

// flvHead checks that HEAD says of a stream whether GET would play it.
func flvHead(ctx context.Context, t *testing.T, s *server, name string) {
	t.Helper()
	if got := ask(ctx, t, http.MethodHead, s.flvURL(name)); got.status != 200 || got.header.Get("Content-Type") != "video/x-flv" ||
		got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("HEAD of a stream's FLV: %d %v", got.status, got.header)
	}
	if got := ask(ctx, t, http.MethodHead, s.flvURL("nobody")); got.status != 404 {
		t.Errorf("HEAD of an unknown stream's FLV: %d", got.status)
	}
}

// waitForIdle waits until the playlist has its last segment: until it stays the same for
// longer than a publisher's goodbye takes.
func waitForIdle(ctx context.Context, t *testing.T, s *server, name string) {
	t.Helper()
	for {
		f, err := fetch(ctx, s.admin+"/api/v1/streams/"+app+"/"+name)
		if err != nil {
			t.Fatal(err)
		}
		if f.status == 404 || !bytes.Contains(f.body, []byte(`"publishing"`)) {
			break
		}
		time.Sleep(pollInterval)
	}
	for last, since := "", time.Now(); time.Since(since) < 2*time.Second; time.Sleep(pollInterval) {
		a := addressesOf(ctx, t, s.hlsURL(name))
		if last != a.text {
			last, since = a.text, time.Now()
		}
	}
}

// addresses are the URLs of a stream.
type addresses struct {
	index, media string
	segments     []string
	text         string // of the media playlist
}

func addressesOf(ctx context.Context, t testing.TB, index string) addresses {
	t.Helper()
	a := addresses{index: index}
	f := ask(ctx, t, http.MethodGet, index)
	a.media = resolve(t, index, lastLine(f.body))
	f = ask(ctx, t, http.MethodGet, a.media)
	a.text = string(f.body)
	var list playlist.Media
	if err := list.Unmarshal(f.body); err != nil {
		t.Fatalf("%s: %v", a.media, err)
	}
	for _, segment := range list.Segments {
		a.segments = append(a.segments, resolve(t, a.media, segment.URI))
	}
	return a
}

func lastLine(body []byte) string {
	lines := strings.Fields(string(body))
	return lines[len(lines)-1]
}

func resolve(t testing.TB, base, ref string) string {
	t.Helper()
	u, err := url.Parse(base)
	if err == nil {
		u, err = u.Parse(ref)
	}
	if err != nil {
		t.Fatal(err)
	}
	return u.String()
}

// ask sends a request, with pairs of header fields, and checks what must hold for every
// answer there is.
func ask(ctx context.Context, t testing.TB, method, url string, headers ...string) fetched {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := viewerClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("read %s: %v", url, err)
	}
	h := res.Header
	at := method + " " + url + " " + strings.Join(headers, " ") + ": " + strconv.Itoa(res.StatusCode)
	if h.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%s without CORS: %v", at, h)
	}
	for _, never := range []string{"Set-Cookie", "Location", "Access-Control-Allow-Credentials"} {
		if h.Get(never) != "" {
			t.Errorf("%s with %s", at, never)
		}
	}
	bodiless := res.StatusCode == 204 || res.StatusCode == 304
	flv := h.Get("Content-Type") == "video/x-flv"
	switch {
	case bodiless && len(body) > 0, res.StatusCode == 200 && method == http.MethodGet && len(body) == 0:
		t.Errorf("%s with %d bytes of body", at, len(body))
	case !bodiless && !flv && res.ContentLength < 0:
		t.Errorf("%s without Content-Length: %v", at, h)
	case method != http.MethodHead && !bodiless && res.ContentLength != int64(len(body)):
		t.Errorf("%s: Content-Length is %d, the body has %d", at, res.ContentLength, len(body))
	}
	return fetched{status: res.StatusCode, header: h, length: res.ContentLength, body: body}
}

// same reports whether a HEAD, or another spelling of a GET, says the same as another.
func same(a, b fetched) bool {
	fields := []string{"Content-Type", "Content-Length", "Content-Encoding", "Cache-Control", "Etag", "Last-Modified", "Vary"}
	return a.status == b.status && !slices.ContainsFunc(fields, func(f string) bool { return a.header.Get(f) != b.header.Get(f) })
}

func checkPlaylistContract(ctx context.Context, t *testing.T, url string) {
	plain := ask(ctx, t, http.MethodGet, url)
	packed := ask(ctx, t, http.MethodGet, url, "Accept-Encoding", "gzip, deflate, br")
	h := plain.header
	// The fixture has a GOP of 2 s, so the target duration is 2 s and half of it 1 s.
	if plain.status != 200 || h.Get("Content-Type") != "application/vnd.apple.mpegurl" || h.Get("Vary") != "Accept-Encoding" ||
		h.Get("Cache-Control") != "public, max-age=1, stale-while-revalidate=1" || h.Get("Content-Encoding") != "" {
		t.Errorf("%s: %d %v", url, plain.status, h)
	}
	zr, err := gzip.NewReader(bytes.NewReader(packed.body))
	if err != nil {
		t.Fatal(err)
	}
	if unpacked, err := io.ReadAll(zr); err != nil || !bytes.Equal(unpacked, plain.body) || packed.header.Get("Content-Encoding") != "gzip" ||
		packed.header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("%s in gzip is another: %v %v", url, err, packed.header)
	}
	tag, packedTag := h.Get("Etag"), packed.header.Get("Etag")
	if tag == packedTag || !strings.HasPrefix(tag, `"`) || !strings.HasPrefix(packedTag, `"`) {
		t.Errorf("%s: entity tags %s and %s", url, tag, packedTag)
	}
	if got := ask(ctx, t, http.MethodHead, url); !same(got, plain) {
		t.Errorf("%s: HEAD %v", url, got.header)
	}
	if got := ask(ctx, t, http.MethodHead, url, "Accept-Encoding", "gzip"); !same(got, packed) {
		t.Errorf("%s: HEAD in gzip %v", url, got.header)
	}
	if got := ask(ctx, t, http.MethodGet, url+"?_HLS_msn=1&token=x&%zz"); !same(got, plain) || !bytes.Equal(got.body, plain.body) {
		t.Errorf("%s: query keys change the answer: %d %v", url, got.status, got.header)
	}
	const other = `"other"`
	for _, c := range []struct {
		status  int
		headers []string
	}{
		{304, []string{"If-None-Match", tag}},
		{304, []string{"If-None-Match", "W/" + tag}},
		{304, []string{"If-None-Match", other + ", " + tag}},
		{304, []string{"If-None-Match", other, "If-None-Match", tag}},
		{304, []string{"If-None-Match", "*"}},
		{304, []string{"If-None-Match", packedTag, "Accept-Encoding", "gzip"}},
		{304, []string{"If-None-Match", tag + ",W/" + packedTag, "Accept-Encoding", "gzip"}},
		{200, []string{"If-None-Match", packedTag}},
		{200, []string{"If-None-Match", tag, "Accept-Encoding", "gzip"}},
		{200, []string{"If-None-Match", other}},
		{200, []string{"If-None-Match", other, "If-Modified-Since", h.Get("Last-Modified")}},
		{412, []string{"If-Match", other}},
		{200, []string{"If-Match", tag}},
		{206, []string{"Range", "bytes=0-6"}},
		{416, []string{"Range", "bytes=1000000-"}},
	} {
		got := ask(ctx, t, http.MethodGet, url, c.headers...)
		if got.status != c.status {
			t.Errorf("%s %q: %d, want %d", url, c.headers, got.status, c.status)
		}
		if got.status == 304 && (got.header.Get("Cache-Control") != h.Get("Cache-Control") || got.header.Get("Vary") != h.Get("Vary") ||
			(got.header.Get("Etag") != tag && got.header.Get("Etag") != packedTag)) {
			t.Errorf("%s %q: a 304 that renews nothing: %v", url, c.headers, got.header)
		}
	}
	if date := h.Get("Last-Modified"); date != "" {
		if got := ask(ctx, t, http.MethodGet, url, "If-Modified-Since", date); got.status != 304 {
			t.Errorf("%s If-Modified-Since: %d", url, got.status)
		}
	}
}

func checkSegmentContract(ctx context.Context, t *testing.T, url, otherURL string) {
	whole := ask(ctx, t, http.MethodGet, url, "Accept-Encoding", "gzip")
	h, size := whole.header, len(whole.body)
	tag, date := h.Get("Etag"), h.Get("Last-Modified")
	if whole.status != 200 || h.Get("Content-Type") != "video/mp2t" || h.Get("Cache-Control") != "public, max-age=31536000, immutable" ||
		h.Get("Content-Encoding") != "" || h.Get("Vary") != "" || !strings.HasPrefix(tag, `"`) || h.Get("Accept-Ranges") != "bytes" {
		t.Errorf("%s: %d %v", url, whole.status, h)
	}
	if other := ask(ctx, t, http.MethodGet, otherURL); other.header.Get("Etag") == tag {
		t.Error("two segments have one entity tag")
	}
	if got := ask(ctx, t, http.MethodHead, url); !same(got, whole) {
		t.Errorf("HEAD: %d %v", got.status, got.header)
	}
	if got := ask(ctx, t, http.MethodGet, url+"?x=1&x=2"); !same(got, whole) || !bytes.Equal(got.body, whole.body) {
		t.Errorf("query keys change the answer: %d %v", got.status, got.header)
	}
	last := strconv.Itoa(size - 1)
	for value, want := range map[string]string{
		"bytes=0-0": "0-0", "bytes=188-375": "188-375", "bytes=188-": "188-" + last, "bytes=-1": last + "-" + last,
		"bytes=0-99999999": "0-" + last,
	} {
		got := ask(ctx, t, http.MethodGet, url, "Range", value)
		from, to := rangeOf(t, want)
		if got.status != 206 || got.header.Get("Content-Range") != "bytes "+want+"/"+strconv.Itoa(size) || !bytes.Equal(got.body, whole.body[from:to+1]) {
			t.Errorf("%s: %d %v, %d bytes", value, got.status, got.header, len(got.body))
		}
	}
	if got := ask(ctx, t, http.MethodGet, url, "Range", "bytes=0-187,376-563"); got.status != 206 ||
		!slices.EqualFunc(parts(t, got), [][]byte{whole.body[:188], whole.body[376:564]}, bytes.Equal) {
		t.Errorf("two ranges: %d %v", got.status, got.header)
	}
	if got := ask(ctx, t, http.MethodGet, url, "Range", "bytes="+strconv.Itoa(size)+"-"); got.status != 416 ||
		got.header.Get("Content-Range") != "bytes */"+strconv.Itoa(size) {
		t.Errorf("a range past the end: %d %v", got.status, got.header)
	}
	for _, c := range []struct {
		status  int
		headers []string
	}{
		{304, []string{"If-None-Match", tag}},
		{304, []string{"If-None-Match", `"x", W/` + tag}},
		{304, []string{"If-None-Match", "*"}},
		{200, []string{"If-None-Match", `"x"`, "If-Modified-Since", date}},
		{304, []string{"If-Modified-Since", date}},
		{200, []string{"If-Modified-Since", "Mon, 02 Jan 2006 15:04:05 GMT"}},
		{206, []string{"If-Range", tag, "Range", "bytes=0-9"}},
		{200, []string{"If-Range", `"x"`, "Range", "bytes=0-9"}},
		{412, []string{"If-Match", `"x"`}},
	} {
		if got := ask(ctx, t, http.MethodGet, url, c.headers...); got.status != c.status {
			t.Errorf("%q: %d, want %d", c.headers, got.status, c.status)
		}
	}
}

func rangeOf(t *testing.T, s string) (from, to int) {
	t.Helper()
	a, b, _ := strings.Cut(s, "-")
	from, err := strconv.Atoi(a)
	if err == nil {
		to, err = strconv.Atoi(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return from, to
}

func parts(t *testing.T, f fetched) (bodies [][]byte) {
	t.Helper()
	_, params, err := mime.ParseMediaType(f.header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(bytes.NewReader(f.body), params["boundary"])
	for {
		p, err := r.NextPart()
		if err == io.EOF {
			return bodies
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, body)
	}
}

func checkMethodContract(ctx context.Context, t *testing.T, s *server, a addresses) {
	for _, url := range []string{a.index, a.media, a.segments[0], s.http + "/nothing", s.flvURL("nobody")} {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "get"} {
			got := ask(ctx, t, method, url)
			if got.status != 405 || got.header.Get("Allow") != "GET, HEAD, OPTIONS" {
				t.Errorf("%s %s: %d %v", method, url, got.status, got.header)
			}
		}
		got := ask(ctx, t, http.MethodOptions, url, "Origin", "https://player.example", "Access-Control-Request-Method", "GET",
			"Access-Control-Request-Headers", "range")
		if got.status != 204 || got.header.Get("Access-Control-Allow-Methods") != "GET, HEAD, OPTIONS" ||
			!strings.Contains(got.header.Get("Access-Control-Allow-Headers"), "Range") || got.header.Get("Access-Control-Max-Age") == "" {
			t.Errorf("a preflight of %s: %d %v", url, got.status, got.header)
		}
	}
	if status, header := asterisk(ctx, t, s.http); status != 204 || header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("OPTIONS *: %d %v", status, header)
	}
}

// asterisk sends the one request that no URL can say.
func asterisk(ctx context.Context, t *testing.T, base string) (int, http.Header) {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode, res.Header
}

// checkUnknownContract checks that what does not exist is never there, and not for long.
func checkUnknownContract(ctx context.Context, t *testing.T, s *server, a addresses) {
	folder := a.media[:strings.LastIndex(a.media, "/")+1]
	stream := strings.TrimSuffix(a.index, "index.m3u8")
	newest := strings.TrimPrefix(a.segments[len(a.segments)-1], folder)
	number, tag, _ := strings.Cut(newest, "-")
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatalf("segment %s has no number", newest)
	}
	next := folder + strconv.Itoa(n+1) + "-" + tag // what will be listed next
	for _, url := range []string{
		next, folder, folder + "journal", folder + "x.ts", folder + newest + "/", folder + newest + ".gz", folder + "0" + newest,
		folder + "index.m3u8", strings.ToUpper(folder) + "media.m3u8", stream, stream + "media.m3u8",
		stream + "0000000000000000/media.m3u8", s.hlsURL("nobody"), s.http + "/" + app + "/nobody.m3u8",
		s.http, s.http + "/", s.http + "/" + app, s.http + "/" + app + "/", s.http + "//" + app + "/contract.m3u8",
		s.http + "/" + app + "/../" + app + "/contract.m3u8", s.http + "/" + app + "/%2e%2e/etc/passwd", s.http + "/metrics",
		s.http + "/healthz", s.http + "/favicon.ico", s.http + "/robots.txt", s.http + "/" + filepath.Base(s.storage),
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			got := ask(ctx, t, method, url)
			if got.status != 404 || got.header.Get("Cache-Control") != "public, max-age=1" {
				t.Errorf("%s %s: %d %q", method, url, got.status, got.header.Get("Cache-Control"))
			}
		}
	}
}
