package e2e

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestTheNextProcessRulesOverWhoStayed: a request that was half said before an upgrade is answered after it, who waited for
// a stream gets it from the next process, and who watched is sent away by what that one's operator says.
func TestTheNextProcessRulesOverWhoStayed(t *testing.T) {
	t.Parallel()
	path, err := headwater()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "headwater")
	install(t, path, program)
	s := launch(t, t.TempDir(), []string{program}, "--hls.segment", "1s", "--flv.wait", "2m", "--http.header_timeout", "1m")
	pid := s.cmd.Process.Pid
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGTERM) }) // the newest process; before the server's own check
	s.excuse("the test denies it", "playlist-unavailable", "segment-unavailable")
	s.excuse("times go on where another process does", "discontinuity-needless")
	ctx := limit(t, 3*time.Minute)
	first := publishNumbered(ctx, t, s.publishURL("first"))
	waitForHLS(ctx, t, s.hlsURL("first"), 1)

	half := dialHalf(t, s, "first")
	viewers := map[string]*numberedViewer{"first": newNumberedViewer("first", first)}
	ended := map[string]chan error{"first": make(chan error, 1), "later": make(chan error, 1)}
	watching, leave := context.WithCancel(ctx)
	defer leave()
	watch := func(name string, v *numberedViewer) {
		ended[name] <- v.readFLV(open(watching, t, "GET", s.flvURL(name)).Body)
	}
	go watch("first", viewers["first"])
	later := &numberedPublisher{t: t, begins: map[int]bool{}}
	viewers["later"] = newNumberedViewer("later", later)
	go watch("later", viewers["later"])
	if err := viewers["first"].await(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.awaited(ctx, "later"); err != nil {
		t.Fatal(err)
	}
	signalUpgrade(t, pid)
	pid = s.awaitLog(ctx, t, "handed over", 1)
	s.awaitLog(ctx, t, "viewers stay with this process", 1)

	half.finish(t)
	publishNumbered(ctx, t, s.publishURL("later"))
	for _, v := range viewers {
		if err := v.await(ctx, livePictureRate); err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
	}
	resp, err := http.Post(s.admin+"/api/v1/denylist", "application/json", strings.NewReader(`{"stream":"`+app+`/first","action":"play","ttl":"1h"}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Fatalf("deny: status %d", resp.StatusCode)
	}
	select {
	case err := <-ended["first"]:
		t.Logf("who is denied: %v", err)
	case <-ctx.Done():
		t.Fatal("who is denied watches on")
	}
	if err := viewers["later"].await(ctx, viewers["later"].pictures()+livePictureRate); err != nil {
		t.Errorf("who is not denied: %v", err)
	}
	// SIGTERM to the old process alone sends away who is left there.
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended["later"]:
		if err != nil {
			t.Errorf("the answer did not end cleanly: %v", err)
		}
	case <-ctx.Done():
		t.Fatal("the old process does not end")
	}
	eventually(ctx, t, "the end of the old process", func() error { return notYet(hasEnded(s.cmd.Process.Pid), "it goes on") })
	if code := status(ctx, t, "GET", s.hlsURL("later")); code != http.StatusOK {
		t.Errorf("the next process answers with %d", code)
	}
}

// halfRequest is one whose last line is to come.
type halfRequest struct{ conn net.Conn }

func dialHalf(t *testing.T, s *server, name string) halfRequest {
	t.Helper()
	_, addr, _ := strings.Cut(s.http, "://")
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, "GET /"+app+"/"+name+"/index.m3u8 HTTP/1.1\r\nHost: "+addr+"\r\nHeadwater-Remote: 192.0.2.1:1\r\n"); err != nil {
		t.Fatal(err)
	}
	return halfRequest{conn}
}

func (h halfRequest) finish(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(h.conn, "\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = h.conn.SetReadDeadline(time.Now().Add(startLimit))
	answer, err := http.ReadResponse(bufio.NewReader(h.conn), nil)
	if err != nil {
		t.Fatalf("the answer to what began before the upgrade: %v", err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), "#EXTM3U") || !answer.Close {
		t.Errorf("status %d, %q, %v; the connection ends with it: %t", answer.StatusCode, body, err, answer.Close)
	}
}
