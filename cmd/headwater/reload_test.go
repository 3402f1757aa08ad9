package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
)

// reloadable is a server with a configuration file.
type reloadable struct {
	*server
	t       *testing.T
	file    string
	base    string
	hangups chan os.Signal
	log     lockedBuffer
}

// lockedBuffer keeps what is logged.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// runReloadable runs a server with what stands in a file, beside lines that keep it to this machine.
func runReloadable(t *testing.T, file, lines string) *reloadable {
	t.Helper()
	r := &reloadable{
		t: t, file: file, hangups: make(chan os.Signal),
		base: "rtmp.addr: 127.0.0.1:0\nhttp.addr: 127.0.0.1:0\nadmin.addr: 127.0.0.1:0\nstorage.dir: " + t.TempDir() +
			"\nhooks.dir: " + t.TempDir() + "\ndrain.timeout: 0s\n",
	}
	r.write(lines)
	sources := config.Sources{File: file}
	reloads := newReloader(sources, r.hangups)
	cfg, err := config.Load(sources)
	if err != nil {
		t.Fatal(err)
	}
	reloads.logger, reloads.logs = newLogger(&r.log, cfg.Log)
	if r.server, err = wire(cfg, reloads.logger); err != nil {
		t.Fatal(err)
	}
	r.reloads, reloads.server = reloads, r.server
	runUntilEnd(t, r.server)
	return r
}

// write writes the file as a careful editor does: beside it, and then in its place.
func (r *reloadable) write(lines string) {
	r.t.Helper()
	beside := r.file + ".new"
	if err := os.WriteFile(beside, []byte(r.base+lines), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(beside, r.file); err != nil {
		r.t.Fatal(err)
	}
}

// reload writes the file and waits until it has been read because of a hangup. It returns whether it was taken.
func (r *reloadable) reload(lines string) bool {
	r.t.Helper()
	r.write(lines)
	return r.hangup()
}

// hangup has the configuration read. The second signal is taken when the first has been dealt with.
func (r *reloadable) hangup() bool {
	r.t.Helper()
	for range 2 {
		select {
		case r.hangups <- syscall.SIGHUP:
		case <-time.After(patience):
			r.t.Fatal("nobody hears hangups")
		}
	}
	return r.reloads.Status().OK
}

func newReloadable(t *testing.T, lines string) *reloadable {
	t.Helper()
	return runReloadable(t, filepath.Join(t.TempDir(), "headwater.yaml"), lines)
}

// status asks for a URL and returns the status of the answer and its beginning.
func status(t *testing.T, url string, headers ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return resp.StatusCode, string(body)
}

func TestAConfigurationWithAFaultIsRefusedAsAWholeAndSaid(t *testing.T) {
	r := newReloadable(t, "hls.window: 6\n")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() //nolint:errcheck // a test's own
	for _, wrong := range []string{
		"hls.window: no\nnonsense: 1\n",
		"auth.publish: keys\n",
		"rtmps.addr: 127.0.0.1:0\n",
		"https.addr: 127.0.0.1:0\nhttps.cert: none.pem\nhttps.key: none.pem\n",
		"hls: [\n",
		"admin.addr: " + taken.Addr().String() + "\n", // right in itself
	} {
		wrong = strings.Replace(r.base, "admin.addr: 127.0.0.1:0\n", "", 1) + "stream.max_streams: 7\nflv.enabled: false\n" + wrong
		if !strings.Contains(wrong, "admin.addr") {
			wrong = "admin.addr: 127.0.0.1:0\n" + wrong
		}
		if err := os.WriteFile(r.file, []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		if r.hangup() {
			t.Errorf("taken: %s", wrong)
		}
		if c := r.cfg(); c.Stream.MaxStreams == 7 || !c.FLV.Enabled {
			t.Errorf("a part was taken of: %s", wrong)
		}
		if code, body := status(t, r.adminURL("/readyz")); code != 200 || !strings.Contains(body, "faults") {
			t.Errorf("readiness: %d %s", code, body)
		}
	}
	for _, said := range []string{"nonsense", "hls.window", "auth.keys_file", "rtmps.cert", "https.cert", "admin.addr"} {
		if !strings.Contains(r.log.String(), "configuration was not reloaded\" err=\""+said) {
			t.Errorf("the log does not say what is wrong with %s:\n%s", said, r.log.String())
		}
	}
	if _, body := status(t, r.adminURL("/api/v1/server")); !strings.Contains(body, "address already in use") {
		t.Errorf("the API does not say why: %s", body)
	}
	if _, body := status(t, r.adminURL("/metrics")); !strings.Contains(body, "\nheadwater_config_ok 0\n") ||
		strings.Contains(body, "headwater_config_reloads_total{result=\"refused\"} 0") {
		t.Error("the metrics do not say so")
	}
	if !r.reload("hls.window: 7\n") {
		t.Fatalf("a good one was refused: %s", r.log.String())
	}
	if _, body := status(t, r.adminURL("/metrics")); !strings.Contains(body, "\nheadwater_config_ok 1\n") {
		t.Error("the metrics do not say that all is well again")
	}
	if _, body := status(t, r.adminURL("/readyz")); strings.Contains(body, "faults") {
		t.Errorf("readiness: %s", body)
	}
}

func TestWhatCannotChangeStaysAndIsSaidWithoutSecrets(t *testing.T) {
	r := newReloadable(t, "hls.enabled: true\nadmin.token: the-first-secret\n")
	folder := r.cfg().Storage.Dir
	r.base = strings.Replace(r.base, "storage.dir: "+folder, "storage.dir: "+t.TempDir(), 1)
	if !r.reload("hls.enabled: false\nadmin.token: the-second-secret\nhls.window: 9\n") {
		t.Fatal(r.log.String())
	}
	if c := r.cfg(); c.Storage.Dir != folder || !c.HLS.Enabled || c.HLS.Window != 9 {
		t.Errorf("in force are %s, %t, %d", c.Storage.Dir, c.HLS.Enabled, c.HLS.Window)
	}
	for _, line := range []string{
		`at the next start only" key=storage.dir from=` + folder + " to=",
		`at the next start only" key=hls.enabled from=true to=false`,
		`"setting changed" key=hls.window from=6 to=9 for="new streams"`,
		`"setting changed" key=admin.token from=(hidden) to=(hidden) for="all, at once"`,
	} {
		if !strings.Contains(r.log.String(), line) {
			t.Errorf("not said: %s\n%s", line, r.log.String())
		}
	}
	if strings.Contains(r.log.String(), "the-second-secret") {
		t.Error("a secret was logged")
	}
	if p := r.reloads.Status().Pending; len(p) != 2 || p[0] != "storage.dir" || p[1] != "hls.enabled" {
		t.Errorf("pending: %v", p)
	}
	if code, _ := status(t, r.adminURL("/api/v1/server")); code != 401 {
		t.Errorf("without a token: %d", code)
	}
	if code, _ := status(t, r.adminURL("/api/v1/server"), "Authorization", "Bearer the-first-secret"); code != 401 {
		t.Errorf("with the old token: %d", code)
	}
	if _, body := status(t, r.adminURL("/api/v1/config"), "Authorization", "Bearer the-second-secret"); !strings.Contains(body, folder) {
		t.Errorf("the API does not show what is in force: %s", body)
	}
}

func TestAnOutputIsSwitchedOffForThoseWhoComeLater(t *testing.T) {
	r := newReloadable(t, "flv.latency: 0s\n")
	publication, next := publishSample(t, r.server, "live/test", 1)
	viewer, err := http.Get(r.edgeURL("/live/test.flv"))
	if err != nil {
		t.Fatal(err)
	}
	defer viewer.Body.Close() //nolint:errcheck // only read
	if !r.reload("flv.enabled: false\nts.enabled: false\nhttp.watch_page: false\nflv.latency: 20ms\n") {
		t.Fatal(r.log.String())
	}
	for _, path := range []string{"/live/test.flv", "/live/test.ts", "/live/test"} {
		if code, _ := status(t, r.edgeURL(path)); code != 404 {
			t.Errorf("%s is answered with %d", path, code)
		}
	}
	writeSample(t, publication, 1, next)
	if _, err := io.CopyN(io.Discard, viewer.Body, sampleBytes(t)); err != nil {
		t.Errorf("the viewer who was there: %v", err)
	}
	if !r.reload("") {
		t.Fatal(r.log.String())
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.edgeURL("/live/test.flv"), nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _ = again.Body.Close(); again.StatusCode != 200 {
		t.Errorf("switched on again: %d", again.StatusCode)
	}
}

// sampleBytes returns a number of bytes that a viewer gets at least of one round of the sample.
func sampleBytes(t *testing.T) int64 {
	t.Helper()
	info, err := os.Stat(sampleFLV)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size() * 9 / 10
}

func TestWhoMayPublishChangesAndWhoPublishesStays(t *testing.T) {
	folder := t.TempDir()
	keys := filepath.Join(folder, "keys")
	if err := os.WriteFile(keys, []byte("live/a the-first-key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newReloadable(t, "")
	may := func(query string) bool {
		d := r.access.mayPublish(publishing("live/a", query))
		return d.Allowed
	}
	url := "rtmp://" + r.listeners.addr("rtmp") + "/live/a"
	publisher, err := rtmp.Dial(t.Context(), url, rtmp.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer publisher.Close() //nolint:errcheck // a test's own
	if err := publisher.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !r.reload("auth.publish: keys\nauth.keys_file: " + keys + "\n") {
		t.Fatal(r.log.String())
	}
	if !may("key=the-first-key") || may("") {
		t.Error("the new rules do not decide")
	}
	if err := os.WriteFile(keys, []byte("live/a the-second-key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !r.hangup() {
		t.Fatal(r.log.String())
	}
	if !may("key=the-second-key") || may("key=the-first-key") {
		t.Error("a hangup does not read the keys again")
	}
	if err := os.WriteFile(keys, []byte("live/a the-third-key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a change of the new file is noticed", func() bool { return may("key=the-third-key") })
	if !r.reload("auth.publish: deny\nstream.max_publishers: 1\n") {
		t.Fatal(r.log.String())
	}
	if may("key=the-third-key") {
		t.Error("deny does not deny")
	}
	if err := publisher.WriteMedia(rtmp.TypeAudio, 0, []byte{0xaf, 0, 0x12, 0x10}); err != nil {
		t.Error(err)
	}
	eventually(t, "the publisher is still there", func() bool {
		stream := r.hub.Stream("live/a")
		return stream != nil && stream.Live() && stream.Info().Publication.Counters.Messages > 0
	})
}

func TestListenersMoveAndConnectionsStay(t *testing.T) {
	r := newReloadable(t, "")
	oldHTTP, oldRTMP, oldAdmin := r.listeners.addr("http"), r.listeners.addr("rtmp"), r.listeners.addr("admin")
	open, err := net.Dial("tcp", oldHTTP)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close() //nolint:errcheck // a test's own
	answers := bufio.NewReader(open)
	ask := func(header string) int {
		t.Helper()
		if _, err := fmt.Fprintf(open, "GET /live/none.m3u8 HTTP/1.1\r\nHost: x\r\nX-Large: %s\r\n\r\n", header); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	if code := ask(""); code != 404 {
		t.Fatal(code)
	}
	files := config.TLSListener{Cert: filepath.Join(t.TempDir(), "cert.pem"), Key: filepath.Join(t.TempDir(), "key.pem")}
	writeCertificate(t, files, 1)
	r.base = strings.ReplaceAll(r.base, "127.0.0.1:0", "localhost:0")
	tls := fmt.Sprintf("https.addr: 127.0.0.1:0\nhttps.cert: %s\nhttps.key: %s\n", files.Cert, files.Key)
	if !r.reload(tls + "http.max_header: 4KiB\n") {
		t.Fatal(r.log.String())
	}
	large := strings.Repeat("x", 10<<10)
	if code := ask(large); code != 404 {
		t.Errorf("a connection that was open is answered with %d under the limits it began with", code)
	}
	if code, body := status(t, r.edgeURL("/live/none.m3u8")); code != 404 {
		t.Errorf("at the new address: %d %s", code, body)
	}
	if code, _ := status(t, r.edgeURL("/live/none.m3u8"), "X-Large", large); code != 431 {
		t.Errorf("a header beyond the new limit: %d", code)
	}
	if code, _ := status(t, r.adminURL("/readyz")); code != 200 {
		t.Errorf("the private listener: %d", code)
	}
	if n := serial(t, r.listeners.addr("https")); n != 1 {
		t.Errorf("certificate %d", n)
	}
	for _, addr := range []string{oldHTTP, oldRTMP, oldAdmin} {
		eventually(t, "the old address is closed", func() bool {
			c, err := net.Dial("tcp", addr)
			if err == nil {
				_ = c.Close()
			}
			return err != nil
		})
	}
	others := config.TLSListener{Cert: filepath.Join(t.TempDir(), "cert.pem"), Key: filepath.Join(t.TempDir(), "key.pem")}
	writeCertificate(t, others, 2)
	if !r.reload(fmt.Sprintf("https.addr: 127.0.0.1:0\nhttps.cert: %s\nhttps.key: %s\n", others.Cert, others.Key)) {
		t.Fatal(r.log.String())
	}
	if n := serial(t, r.listeners.addr("https")); n != 2 {
		t.Errorf("with other files, certificate %d is shown", n)
	}
	if code := ask(large); code != 404 {
		t.Errorf("the connection that was open: %d", code)
	}
	if !r.reload("") || r.listeners.addr("https") != "" {
		t.Error("HTTPS is not off")
	}
}

func TestStreamsThatBeginLaterHaveTheNewWindow(t *testing.T) {
	r := newReloadable(t, "hls.window: 3\nhls.segment: 1s\n")
	old, after := publishSample(t, r.server, "live/old", 4)
	if !r.reload("hls.window: 5\nhls.segment: 2s\n") {
		t.Fatal(r.log.String())
	}
	later, behind := publishSample(t, r.server, "live/new", 4)
	length := func(name remux.StreamName) (n int, longest time.Duration) {
		st, _ := r.hls.Status(name)
		for _, g := range st.Segments {
			longest = max(longest, g.Duration)
		}
		return len(st.Segments), longest
	}
	written := time.Now()
	eventually(t, "windows of 3 short and 5 long segments", func() bool {
		n, short := length("live/old")
		m, long := length("live/new")
		if n == 3 && short < 1500*time.Millisecond && m == 5 && long > 1500*time.Millisecond {
			return true
		}
		// Segments that come all at once stay for their duration at least, until the next one comes.
		if time.Since(written) > 2100*time.Millisecond {
			after, behind = writeSample(t, old, 1, after), writeSample(t, later, 1, behind)
			written = time.Now()
		}
		return false
	})
}

func TestWebhooksAndTheLogChange(t *testing.T) {
	posted := make(chan string, 16)
	endpoint := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		posted <- string(body)
	}))
	defer endpoint.Close()
	r := newReloadable(t, "")
	if !r.reload("log.format: json\nhooks.urls: " + endpoint.URL + "\nhooks.secret: sixteen characters\nhooks.events: stream.live\n") {
		t.Fatal(r.log.String())
	}
	publication, _ := publishSample(t, r.server, "live/test", 1)
	defer publication.End(remux.EndUnpublished)
	select {
	case body := <-posted:
		if !strings.Contains(body, "stream.live") {
			t.Errorf("posted: %s", body)
		}
	case <-time.After(patience):
		t.Fatal("the new endpoint got nothing")
	}
	if !r.reload("log.format: json\n") {
		t.Fatal(r.log.String())
	}
	if s := r.hookStatus(); len(s) != 0 {
		t.Errorf("endpoints that are gone: %v", s)
	}
	if !strings.Contains(r.log.String(), `{"time":`) {
		t.Errorf("not JSON:\n%s", r.log.String())
	}
}

// TestLimitsReachTheRoomThatKeepsThem changes one limit of each room and sees it kept.
func TestLimitsReachTheRoomThatKeepsThem(t *testing.T) {
	r := newReloadable(t, "flv.wait: 5m\n")
	publishSample(t, r.server, "live/test", 3)
	segment := func() string {
		st, _ := r.hls.Status("live/test")
		if len(st.Segments) == 0 {
			return ""
		}
		return st.Segments[0].Path
	}
	eventually(t, "a segment", func() bool { return segment() != "" })
	if !r.reload("stream.max_streams: 1\nrtmp.max_connections: 1\nrtmp.max_connections_per_ip: 1\nhls.segment_max_age: 60s\nflv.wait: 0s\n") {
		t.Fatal(r.log.String())
	}
	if _, err := r.hub.Publish("live/other", remux.Publisher{}); !errors.Is(err, remux.ErrTooMany) {
		t.Errorf("a second stream: %v", err)
	}
	resp, err := http.Head(r.edgeURL(segment()))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := resp.Header.Get("Cache-Control"); got != "public, max-age=60, immutable" {
		t.Errorf("Cache-Control of a segment: %s", got)
	}
	for _, path := range []string{"/live/none.flv", "/live/none.ts"} {
		if code, body := status(t, r.edgeURL(path)); code != 404 {
			t.Errorf("%s waits still: %d %s", path, code, body)
		}
	}
	first, err := net.Dial("tcp", r.listeners.addr("rtmp"))
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close() //nolint:errcheck // a test's own
	eventually(t, "a second connection is refused", func() bool {
		second, err := net.Dial("tcp", r.listeners.addr("rtmp"))
		if err == nil {
			_ = second.Close()
		}
		refused := r.refusals()
		return refused["too-many-connections"]+refused["too-many-connections-from-address"] > 0
	})
	if !r.reload("http.max_connections: 1\nhttp.max_connections_per_ip: 1\n") {
		t.Fatal(r.log.String())
	}
	http.DefaultClient.CloseIdleConnections()
	only, err := net.Dial("tcp", r.listeners.addr("http"))
	if err != nil {
		t.Fatal(err)
	}
	defer only.Close() //nolint:errcheck // a test's own
	eventually(t, "a second HTTP connection is refused", func() bool {
		second, err := net.Dial("tcp", r.listeners.addr("http"))
		if err == nil {
			_ = second.Close()
		}
		refused := r.refusals()
		return refused["http-too-many-connections"]+refused["http-too-many-connections-from-address"] > 0
	})
}
