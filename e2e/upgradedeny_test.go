package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWhatWasRevokedStaysSoOverAnUpgrade: the next process reads the denylist before anybody comes to it.
func TestWhatWasRevokedStaysSoOverAnUpgrade(t *testing.T) {
	t.Parallel()
	path, err := headwater()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "headwater")
	install(t, path, program)
	s := launch(t, t.TempDir(), []string{program})
	pid := s.cmd.Process.Pid
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGTERM) }) // the newest process; before the server's own check
	ctx := limit(t, time.Minute)

	type entry struct{ ID, Stream string }
	deny := func(stream string) (e entry) {
		t.Helper()
		resp, err := http.Post(s.admin+"/api/v1/denylist", "application/json", strings.NewReader(`{"stream":"`+stream+`","action":"play","ttl":"1h"}`))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close() //nolint:errcheck // it is only read
		var answer struct{ Entry entry }
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusCreated {
			t.Fatalf("deny: status %d, %+v, %v", resp.StatusCode, answer, err)
		}
		return answer.Entry
	}
	first := deny(app + "/denied")
	// The answer says so as well, unless others' load takes the disk for longer than it waits.
	eventually(ctx, t, "the denylist is written", func() error {
		answer, err := fetch(ctx, s.admin+"/api/v1/denylist")
		if err != nil {
			return err
		}
		return notYet(bytes.Contains(answer.body, []byte(`"durable":true`)), "it is not")
	})
	signalUpgrade(t, pid)
	pid = s.awaitLog(ctx, t, "handed over", 1)
	if code := status(ctx, t, "GET", s.hlsURL("denied")); code != http.StatusForbidden {
		t.Errorf("what was revoked before the upgrade is answered with %d", code)
	}
	old := s.cmd.Process.Pid
	eventually(ctx, t, "the end of the old process", func() error { return notYet(hasEnded(old), "it goes on") })
	second := deny(app + "/other")
	resp, err := http.Get(s.admin + "/api/v1/denylist")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it is only read
	var list struct{ Denylist []entry }
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || len(list.Denylist) != 2 || list.Denylist[0] != first || list.Denylist[1] != second {
		t.Errorf("the denylist is %+v, %v; want %+v and %+v", list, err, first, second)
	}
}
