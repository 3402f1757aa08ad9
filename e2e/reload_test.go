package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// reloads is how often the configuration changes.
const reloads = 1_000

// TestAThousandReloadsDisturbNobody changes settings of every kind, keys, certificates and the access log again and again,
// with wrong configurations between, while one stream is published and watched in every way. Frames come until the last
// reload is over; nobody is disconnected, and no frame is missing anywhere.
func TestAThousandReloadsDisturbNobody(t *testing.T) {
	const name, key = "reloaded", "the-key-that-stays"
	c := newChanges(t, app+"/"+name+" "+key)
	c.write(t, 0)
	s := startServer(t, "--config", c.file)
	ctx := limit(t, 4*time.Minute)
	audience := watchLive(ctx, t, s, name)
	l := startLiveBeside(t, s, name, "?key="+key, 2)
	waitForHLS(ctx, t, s.hlsURL(name), 1)
	began := time.Now()
	for n := 1; n <= reloads; n++ {
		c.write(t, n)
		before := countReloads(ctx, t, s)
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		result := "taken"
		if c.isWrong(n) {
			result = "refused"
		}
		for countReloads(ctx, t, s)[result] == before[result] {
			if ctx.Err() != nil {
				t.Fatalf("reload %d was not %s", n, result)
			}
		}
		c.check(ctx, t, s, n)
	}
	l.mu.Lock()
	t.Logf("%d reloads in %v, while %d frames came", reloads, time.Since(began).Round(time.Millisecond), len(l.sent))
	l.mu.Unlock()
	l.finish(t)
	audience.check(t, l)
	c.checkAccessLogs(t)
}

// changes are what a configuration file becomes, one after the other.
type changes struct {
	folder, file string
	stays        string // the line of keys that is always there
	certificates [4][2]string
}

func newChanges(t *testing.T, stays string) *changes {
	c := &changes{folder: t.TempDir(), stays: stays}
	c.file = filepath.Join(c.folder, "headwater.yaml")
	for i := range c.certificates {
		c.certificates[i][0], c.certificates[i][1] = selfSigned(t)
	}
	return c
}

// replace puts a file in place as a careful editor does.
func (c *changes) replace(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

func (c *changes) isWrong(n int) bool { return n%5 == 3 }

func (c *changes) certificate(n int) [2]string { return c.certificates[n%len(c.certificates)] }

// write makes the nth change.
func (c *changes) write(t *testing.T, n int) {
	t.Helper()
	keys := filepath.Join(c.folder, "keys")
	c.replace(t, keys, fmt.Sprintf("%s\n%s/key-%d secret-%d\n", c.stays, app, n, n))
	odd := n % 2
	cert := c.certificate(n)
	lines := fmt.Sprintf("stream.grace: 3s\nflv.latency: %dms\nstream.max_streams: %d\nrtmp.max_connections: %d\nhttp.max_connections: %d\n"+
		"hls.window: %d\nhls.retain: %ds\nhttp.header_timeout: %ds\nhttp.max_header: %dKiB\nhttp.watch_page: %t\nlog.level: %s\nmetrics.per_stream: %t\n",
		10+20*odd, 500+n, 2000+n, 20_000+n, 6+odd, odd, 10+odd, 16+odd, odd == 0, []string{"info", "debug"}[odd], odd == 1)
	lines += fmt.Sprintf("auth.publish: %s\nauth.keys_file: %s\n", []string{"keys", app + "/* = keys; * = deny"}[odd], keys)
	lines += fmt.Sprintf("https.addr: 127.0.0.1:0\nhttps.cert: %s\nhttps.key: %s\n", cert[0], cert[1])
	lines += fmt.Sprintf("http.access_log: %s\nhttp.access_log_format: %s\n", filepath.Join(c.folder, "access."+strconv.Itoa(n/4%2)), []string{"json", "combined"}[odd])
	if c.isWrong(n) {
		lines += []string{
			"stream.max_streams: none\n", "nonsense: 1\n", "hls: [\n", "rtmps.addr: 127.0.0.1:0\nrtmps.cert: none.pem\nrtmps.key: none.pem\n",
		}[n/5%4]
	}
	c.replace(t, c.file, lines)
}

// check looks whether the nth change is in force, if it is one of those that can be seen from outside.
func (c *changes) check(ctx context.Context, t *testing.T, s *server, n int) {
	t.Helper()
	in := n
	if c.isWrong(n) {
		in = n - 1
	}
	switch n % 10 {
	case 2, 3: // of two in a row the second is wrong
		dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // a test's certificate
		conn, err := dialer.DialContext(ctx, "tcp", strings.TrimPrefix(s.https, "https://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // nothing was written
		text, err := os.ReadFile(c.certificate(in)[0])
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(text)
		if !bytes.Equal(conn.(*tls.Conn).ConnectionState().PeerCertificates[0].Raw, block.Bytes) {
			t.Errorf("after reload %d another certificate is shown", n)
		}
	case 7:
		for at, want := range map[int]bool{n: true, n - 1: false} {
			client, err := rtmp.Dial(ctx, s.publishURL(fmt.Sprintf("key-%d", at))+fmt.Sprintf("?key=secret-%d", at), rtmp.ClientConfig{})
			if err != nil {
				t.Fatal(err)
			}
			if err := client.Publish(ctx); (err == nil) != want {
				t.Errorf("after reload %d key %d: %v", n, at, err)
			}
			_ = client.Close()
		}
	}
}

// checkAccessLogs: no line is torn, of whichever format, and those who watched to the end have theirs.
func (c *changes) checkAccessLogs(t *testing.T) {
	t.Helper()
	whole := regexp.MustCompile(`^(\{"time":.*"protocol":"[a-z]*"\}|127\.0\.0\.1 - - \[.*\] ".*" \d+ \d+ ".*" ".*" ".*" \S+ \S+ \S+ [\d.]+ [\d.]+)\n$`)
	lines := readFile(t, filepath.Join(c.folder, "access.0")) + readFile(t, filepath.Join(c.folder, "access.1"))
	n := 0
	for line := range strings.Lines(lines) {
		if n++; !whole.MatchString(line) {
			t.Fatalf("a line of the access log is torn: %q", line)
		}
	}
	t.Logf("%d lines in the access logs", n)
}

// liveAudience watches a stream over HLS, a WebSocket with TLS, and RTMP.
type liveAudience struct {
	hls       hlsRecording
	websocket bytes.Buffer
	rtmp      []flvTag
	errs      chan error // one of each
}

// watchLive begins to watch a stream that has not begun.
func watchLive(ctx context.Context, t *testing.T, s *server, name string) *liveAudience {
	t.Helper()
	a := &liveAudience{errs: make(chan error, 3)}
	go func() {
		var err error
		a.hls, err = recordHLS(ctx, s.hlsURL(name))
		a.errs <- err
	}()
	secure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // a test's certificate
	go func() {
		a.errs <- a.readSocket(ctx, "wss"+strings.TrimPrefix(s.https, "https")+"/"+app+"/"+name+".flv", secure)
	}()
	client, err := rtmp.Dial(ctx, s.publishURL(name), rtmp.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if err := client.Play(ctx); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			m, err := client.ReadMedia()
			if err != nil {
				if errors.Is(err, io.EOF) {
					err = nil
				}
				a.errs <- err
				return
			}
			a.rtmp = append(a.rtmp, flvTag{kind: int(m.Type), time: m.Timestamp, body: bytes.Clone(m.Payload)})
		}
	}()
	return a
}

func (a *liveAudience) readSocket(ctx context.Context, url string, client *http.Client) error {
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		return fmt.Errorf("WebSocket: %w", err)
	}
	defer conn.CloseNow() //nolint:errcheck // it has ended
	conn.SetReadLimit(-1)
	for {
		_, message, err := conn.Read(ctx)
		if err != nil {
			if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
				return nil
			}
			return fmt.Errorf("WebSocket: %w", err)
		}
		a.websocket.Write(message)
	}
}

// check waits for the end, and compares what each was shown with what was sent.
func (a *liveAudience) check(t *testing.T, l *liveStream) {
	t.Helper()
	for range cap(a.errs) {
		if err := <-a.errs; err != nil {
			t.Error(err)
		}
	}
	var sent media
	for kind, frames := range map[uint8]*[]frame{rtmp.TypeVideo: &sent.video, rtmp.TypeAudio: &sent.audio} {
		for n := 0; !l.sent[frameID{kind, n}].IsZero(); n++ {
			*frames = append(*frames, liveMedia(int(kind), livePayload(frameID{kind, n})))
		}
	}
	shown := map[string][]flvTag{"RTMP": a.rtmp}
	var err error
	if shown["WebSocket"], _, err = parseFLV(a.websocket.Bytes()); err != nil {
		t.Errorf("WebSocket: %v", err)
	}
	for output, tags := range shown {
		var got media
		for _, tag := range tags {
			switch {
			case !tag.coded():
			case tag.kind == tagVideo:
				got.video = append(got.video, liveMedia(tag.kind, tag.body))
			default:
				got.audio = append(got.audio, liveMedia(tag.kind, tag.body))
			}
		}
		report(t, output, accountPayloads("video", sent.video, got.video))
		report(t, output, accountPayloads("audio", sent.audio, got.audio))
	}
	report(t, "HLS", a.hls.faults)
	report(t, "HLS", a.hls.judge())
	got := tsMedia(t, a.hls.segments)
	report(t, "HLS", accountPayloads("video", sent.video, got.video))
	report(t, "HLS", accountPayloads("audio", sent.audio, got.audio))
}

// liveMedia is a frame of a liveStream by its tag's body.
func liveMedia(kind int, body []byte) frame {
	if kind == tagAudio {
		return sound(0, body[2:])
	}
	return picture(0, 0, [][]byte{body[9:]})
}

var reloadCounts = regexp.MustCompile(`(?m)^headwater_config_reloads_total\{result="(taken|refused)"\} (\d+)$`)

// countReloads asks the metrics how many reloads there were, by result.
func countReloads(ctx context.Context, t *testing.T, s *server) map[string]int {
	t.Helper()
	f, err := fetch(ctx, s.admin+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, m := range reloadCounts.FindAllSubmatch(f.body, -1) {
		n, err := strconv.Atoi(string(m[2]))
		if err != nil {
			t.Fatal(err)
		}
		counts[string(m[1])] = n
	}
	return counts
}
