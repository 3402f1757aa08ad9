package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/coder/websocket"

	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/ingest"
	"github.com/headwater-live/headwater/ingest/rtmp"
)

// accessLines reads what the access log has of paths.
func accessLines(t *testing.T, file string) map[string]map[string]any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	lines := map[string]map[string]any{}
	for line := range strings.Lines(string(text)) {
		var one map[string]any
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		lines[one["path"].(string)] = one
	}
	return lines
}

func TestTheAccessLogHasEveryViewerAndIsRotated(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.log")
	s := runServer(t, func(c *config.Config) { c.HTTP.AccessLog = file })
	pub, next := publishSample(t, s, "live/test", 3)
	eventually(t, "a playlist", func() bool { _, ok := s.hls.Status("live/test"); return ok })
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	resp, err := client.Get(s.edgeURL("/live/test/index.m3u8?token=hush"))
	if err != nil {
		t.Fatal(err)
	}
	playlist, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	st, _ := s.hls.Status("live/test")
	segment := st.Segments[0]
	answer, err := client.Get(s.edgeURL(segment.Path))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	eventually(t, "the segment's line", func() bool { return accessLines(t, file)[segment.Path] != nil })
	if line := accessLines(t, file)[segment.Path]; line["bytes"] != float64(segment.Size) || line["status"] != 200.0 {
		t.Errorf("a segment of %d bytes: %v", segment.Size, line)
	}
	viewer, err := http.Get(s.edgeURL("/live/test.flv"))
	if err != nil {
		t.Fatal(err)
	}
	const read = 10_000
	if _, err := io.ReadFull(viewer.Body, make([]byte, read)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the playlist's line", func() bool { return accessLines(t, file)["/live/test/index.m3u8"] != nil })
	line := accessLines(t, file)["/live/test/index.m3u8"]
	if line["bytes"] != float64(len(playlist)) || line["status"] != 200.0 || line["stream"] != "live/test" || line["query"] != "token=-" ||
		line["request_id"] != resp.Header.Get("X-Request-Id") {
		t.Errorf("%v", line)
	}
	if accessLines(t, file)["/live/test.flv"] != nil {
		t.Error("the viewer has a line before it has gone")
	}

	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new file", func() bool { _, err := os.Stat(file); return err == nil })
	_ = viewer.Body.Close()
	eventually(t, "the viewer's line in the new file", func() bool {
		next = writeSample(t, pub, 1, next) // it is noticed to have gone when something is written to it
		return accessLines(t, file)["/live/test.flv"] != nil
	})
	line = accessLines(t, file)["/live/test.flv"]
	if line["bytes"].(float64) < read || line["protocol"] != "flv" || line["request_id"] != viewer.Header.Get("X-Request-Id") {
		t.Errorf("%v", line)
	}
	if counts := s.accessLogStatus(); counts.Lines < 2 || counts.Dropped != 0 {
		t.Errorf("%+v", counts)
	}
}

func TestAViewerOverAWebSocketIsLogged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.log")
	s := runServer(t, func(c *config.Config) { c.HTTP.AccessLog = file })
	publishSample(t, s, "live/test", 1)
	conn, resp, err := websocket.Dial(t.Context(), s.edgeURL("/live/test.flv"), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, first, err := conn.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close(websocket.StatusNormalClosure, "")
	eventually(t, "the viewer's line", func() bool { return accessLines(t, file)["/live/test.flv"] != nil })
	line := accessLines(t, file)["/live/test.flv"]
	if line["status"] != 101.0 || line["bytes"].(float64) < float64(len(first)) || line["request_id"] != resp.Header.Get("X-Request-Id") {
		t.Errorf("%v", line)
	}
}

func TestAnAccessLogThatCannotBeOpenedIsSaidAtTheStart(t *testing.T) {
	cfg := config.Default()
	cfg.RTMP.Addr, cfg.HTTP.Addr, cfg.Admin.Addr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.Storage.Dir = t.TempDir()
	cfg.HTTP.AccessLog = t.TempDir() + "/missing/access.log"
	if _, err := wire(cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "http.access_log") {
		t.Errorf("%v", err)
	}
}

// playOverRTMP plays the beginning of a stream, and leaves.
func playOverRTMP(t *testing.T, s *server, rest string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := rtmp.Dial(ctx, "rtmp://"+s.listeners.addr("rtmp")+rest, rtmp.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // a test's own
	if err := c.Play(ctx); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	for n := 0; n < 2_000; {
		m, err := c.ReadMedia()
		if err != nil {
			return err
		}
		n += len(m.Payload)
	}
	return nil
}

func TestPlayersOverRTMPAreInTheAccessLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.log")
	s := runServer(t, func(c *config.Config) {
		c.HTTP.AccessLog = file
		c.FLV.Wait = 0
		c.Auth.Watch = rulesOf(t, "loopback", "live/closed = deny; * = open").Watch
	})
	publishSample(t, s, "live/test", 1)
	publishSample(t, s, "live/closed", 1)
	if err := playOverRTMP(t, s, "/live/test?token=hush"); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/live/closed", "/live/sk_8d2f9c11", "/live/.sk_8d2f9c11"} {
		if err := playOverRTMP(t, s, path); err == nil {
			t.Errorf("%s is played", path)
		}
	}
	for path, want := range map[string]float64{"/live/test": 200, "/live/closed": 403, "/live/sk…": 404, "/live/.s…": 404} {
		eventually(t, "the line of "+path, func() bool { return accessLines(t, file)[path] != nil })
		line := accessLines(t, file)[path]
		if line["status"] != want || (line["stream"] != path[1:]) != (path == "/live/.s…") || line["protocol"] != "rtmp" || line["proto"] != "RTMP" ||
			line["method"] != "PLAY" || line["client"] != "127.0.0.1" || (line["bytes"].(float64) > 1000) != (want == 200) {
			t.Errorf("%v", line)
		}
	}
	if line := accessLines(t, file)["/live/test"]; line["query"] != "token=-" || line["user_agent"] == "" || line["duration"].(float64) < line["ttfb"].(float64) {
		t.Errorf("%v", line)
	}
	s.played(ingest.Playback{Request: ingest.Request{Stream: "live/much"}, Code: ingest.ReasonTooManyRequests})
	eventually(t, "the line of who asks too often", func() bool { return accessLines(t, file)["/live/much"] != nil })
	if line := accessLines(t, file)["/live/much"]; line["status"] != 429.0 {
		t.Errorf("%v", line)
	}
	if n := len(accessLines(t, file)); n != 5 {
		t.Errorf("%d lines", n)
	}
}

// TestTheAccessLogIsChangedByAReload switches it on, to another format, to another file and off, while a viewer watches.
func TestTheAccessLogIsChangedByAReload(t *testing.T) {
	folder := t.TempDir()
	r := newReloadable(t, "")
	ask := func(path string) {
		t.Helper()
		if code, body := status(t, r.edgeURL(path)); code != 404 {
			t.Fatalf("%s: %d %s", path, code, body)
		}
	}
	in := func(file string) string {
		text, _ := os.ReadFile(filepath.Join(folder, file))
		return string(text)
	}
	take := func(lines string) {
		t.Helper()
		if !r.reload(lines) || len(r.reloads.Status().Pending) > 0 {
			t.Fatalf("%v: %s", r.reloads.Status().Pending, r.log.String())
		}
	}
	pub, next := publishSample(t, r.server, "live/test", 1)
	ask("/before")
	on := "http.access_log: " + folder + "/"
	take(on + "a\n")
	viewer, err := http.Get(r.edgeURL("/live/test.flv"))
	if err != nil {
		t.Fatal(err)
	}
	ask("/json")
	take(on + "a\nhttp.access_log_format: combined\n")
	ask("/comb")
	if r.reload(on+"no/folder\n") || !strings.Contains(strings.Join(r.reloads.Status().Faults, ""), "http.access_log") {
		t.Errorf("a file that cannot be opened: %+v", r.reloads.Status())
	}
	ask("/after")
	take(on + "b\n")
	ask("/other")
	_ = viewer.Body.Close()
	eventually(t, "the viewer's line", func() bool {
		next = writeSample(t, pub, 1, next) // it is noticed to have gone when something is written to it
		return strings.Contains(in("b"), `"path":"/live/test.flv"`)
	})
	take("")
	ask("/off")
	take(on + "c\n")
	ask("/again")
	eventually(t, "all lines", func() bool { return strings.Contains(in("c"), "/again") && strings.Count(in("a"), "\n") == 3 })
	a := strings.Split(in("a"), "\n")
	if !strings.Contains(a[0], `"path":"/json"`) || !strings.Contains(a[1], `] "GET /comb HTTP/1.1" 404 `) || !strings.Contains(a[2], `] "GET /after HTTP/1.1" 404 `) {
		t.Errorf("the first file: %s", in("a"))
	}
	if b := in("b"); strings.Count(b, "\n") != 2 || !strings.Contains(b, `"path":"/other"`) {
		t.Errorf("the second file: %s", b)
	}
	if c := in("c"); strings.Count(c, "\n") != 1 {
		t.Errorf("the third file: %s", c)
	}
	if counts := r.accessLogStatus(); counts.Lines != 6 || counts.Dropped != 0 {
		t.Errorf("%+v", counts)
	}
}
