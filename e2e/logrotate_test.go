package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestLogrotateLosesNoLineOfTheAccessLog rotates the log of a running server with the rules of the Debian package, in
// which only the folder and the way to the process are others.
func TestLogrotateLosesNoLineOfTheAccessLog(t *testing.T) {
	t.Parallel()
	ctx := limit(t, 2*time.Minute)
	logs, state := filepath.Join(t.TempDir(), "logs"), filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(logs, 0o750); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, "--http.access_log", logs+"/access.log", "--http.access_log_format", "combined")
	rules := readFile(t, "../packaging/logrotate")
	for from, to := range map[string]string{
		"/var/log/headwater": logs,
		"systemctl kill --signal=HUP --kill-whom=main headwater.service": "kill -HUP " + strconv.Itoa(s.cmd.Process.Pid),
	} {
		if !strings.Contains(rules, from) {
			t.Fatalf("the rules have no %q", from)
		}
		rules = strings.ReplaceAll(rules, from, to)
	}
	config := filepath.Join(t.TempDir(), "rules")
	if err := os.WriteFile(config, []byte(rules), 0o644); err != nil {
		t.Fatal(err)
	}
	ask := func(path string) {
		if _, err := fetch(ctx, s.http+path); err != nil {
			t.Fatal(err)
		}
	}
	has := func(file, line string) func() bool {
		return func() bool {
			text, err := os.ReadFile(filepath.Join(logs, file))
			return err == nil && strings.Contains(string(text), `"GET `+line+` HTTP/1.1" 404 `)
		}
	}
	await := func(what string, holds func() bool) {
		t.Helper()
		for !holds() {
			select {
			case <-ctx.Done():
				t.Fatalf("%s: not in time", what)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	ask("/live/one.m3u8")
	await("the first line", has("access.log", "/live/one.m3u8"))
	ask("/live/two.m3u8") // which may not be written yet
	if out, err := command(ctx, t, "logrotate", "--force", "--state", state, config).CombinedOutput(); err != nil {
		t.Fatalf("logrotate: %v\n%s", err, out)
	}
	await("the new file", func() bool { _, err := os.Stat(logs + "/access.log"); return err == nil })
	await("the line before the rotation", has("access.log.1", "/live/two.m3u8"))
	ask("/live/three.m3u8")
	await("the line after the rotation", has("access.log", "/live/three.m3u8"))
	if has("access.log.1", "/live/three.m3u8")() || has("access.log", "/live/one.m3u8")() {
		t.Error("a line is in the wrong file")
	}
}
