package main

import (
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
