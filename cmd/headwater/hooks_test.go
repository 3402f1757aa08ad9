package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headwater-live/headwater/events"
	"github.com/headwater-live/headwater/hooks"
)

const hookSecret = "a secret of some length"

// TestWebhooksOutliveAKilledServer kills a server whose endpoint is down. The next one tells the endpoint all
// that the first one saw, in its order.
func TestWebhooksOutliveAKilledServer(t *testing.T) {
	var up atomic.Bool
	attempts, taken := make(chan rawEvent, 1000), make(chan rawEvent, 1000)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var e rawEvent
		if err := json.Unmarshal(body, &e); err != nil || strings.Contains(string(body), hookSecret) {
			t.Errorf("%v: %s", err, body)
		}
		if err := hooks.Verify(hookSecret, r.Header.Get(hooks.SignatureHeader), body, time.Now(), time.Minute); err != nil {
			t.Error(err)
		}
		attempts <- e
		if !up.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		taken <- e
	}))
	defer endpoint.Close()
	dir := t.TempDir()
	yaml := "rtmp.addr: 127.0.0.1:0\nhttp.addr: 127.0.0.1:0\nadmin.addr: 127.0.0.1:0\nstorage.kind: memory\nlog.format: json\n" +
		"hooks.urls: " + endpoint.URL + "\nhooks.secret: " + hookSecret + "\nhooks.dir: " + filepath.Join(dir, "hooks") + "\n"
	file := filepath.Join(dir, "headwater.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}

	first, at := startServe(t, file)
	if out, err := command(t, "headwater", "publish", absolute(t, sampleFLV), "rtmp://"+at.RTMP+"/live/test").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	eventually(t, "the events are in the queue", func() bool {
		var info struct{ Hooks []struct{ Queued int } }
		getJSON(t, "http://"+at.Admin+"/api/v1/server", &info)
		return info.Hooks[0].Queued >= 5 // server.started, publish.started, stream.live, publish.ended, stream.idle
	})
	<-attempts
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // it was killed

	up.Store(true)
	second, _ := startServe(t, file)
	var got []string
	for limit := time.After(patience); len(got) < 4; {
		select {
		case e := <-taken:
			if e.Stream == "live/test" && e.Type != string(events.FindingRaised) && !slices.Contains(got, e.Type) {
				got = append(got, e.Type)
			}
		case <-limit:
			t.Fatalf("the endpoint got only %v", got)
		}
	}
	if want := "publish.started stream.live publish.ended stream.idle"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	send(t, second, os.Interrupt)
	if err := second.Wait(); err != nil {
		t.Error(err)
	}
}

// TestNoEventIsLostBetweenTwoOthersWhoeverIsKilled kills a server twice while it posts to an endpoint that takes two of
// three events. Of each run the endpoint has, at the end, all events up to one: numbers have no gaps.
func TestNoEventIsLostBetweenTwoOthersWhoeverIsKilled(t *testing.T) {
	var attempts atomic.Int64
	got := make(chan rawEvent, 10_000)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e rawEvent
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			return // the server was killed
		}
		if attempts.Add(1)%3 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		got <- e
	}))
	defer endpoint.Close()
	var all []string
	for _, kind := range events.Types {
		if kind != events.Missed {
			all = append(all, string(kind))
		}
	}
	dir := t.TempDir()
	yaml := "rtmp.addr: 127.0.0.1:0\nhttp.addr: 127.0.0.1:0\nadmin.addr: 127.0.0.1:0\nstorage.kind: memory\nlog.format: json\n" +
		"hls.segment: 100ms\nhooks.urls: " + endpoint.URL + "\nhooks.secret: " + hookSecret + "\nhooks.events: " + strings.Join(all, ",") +
		"\nhooks.dir: " + filepath.Join(dir, "hooks") + "\n"
	file := filepath.Join(dir, "headwater.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	numbers := map[string]map[uint64]bool{} // by run
	streams := map[string]uint64{}          // the newest number of a run and stream
	note := func(e rawEvent) {
		id, err := events.ParseID(e.ID)
		if err != nil || e.Type == string(events.Missed) {
			t.Fatalf("%+v: %v", e, err)
		}
		if numbers[id.Run] == nil {
			numbers[id.Run] = map[uint64]bool{}
		}
		again := numbers[id.Run][id.Number]
		numbers[id.Run][id.Number] = true
		if key := id.Run + e.Stream; !again {
			if id.Number < streams[key] {
				t.Errorf("%s comes after number %d of its stream", e.ID, streams[key])
			}
			streams[key] = id.Number
		}
	}
	for range 2 {
		cmd, at := startServe(t, file)
		publisher := command(t, "headwater", "publish", absolute(t, sampleFLV), "rtmp://"+at.RTMP+"/live/test")
		if err := publisher.Start(); err != nil {
			t.Fatal(err)
		}
		for run := ""; len(numbers[run]) < 4; { // of this server, while its publisher goes on
			select {
			case e := <-got:
				note(e)
				if e.Type == string(events.PublishStarted) {
					id, _ := events.ParseID(e.ID)
					run = id.Run
				}
			case <-time.After(patience):
				t.Fatal("the endpoint gets nothing")
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()       // it was killed
		_ = publisher.Wait() // it lost its server
	}
	last, at := startServe(t, file)
	eventually(t, "everything is delivered", func() bool {
		for len(got) > 0 {
			note(<-got)
		}
		var info struct{ Hooks []struct{ Queued int } }
		getJSON(t, "http://"+at.Admin+"/api/v1/server", &info)
		return info.Hooks[0].Queued == 0 && len(numbers) == 3
	})
	send(t, last, os.Interrupt)
	if err := last.Wait(); err != nil {
		t.Error(err)
	}
	endpoint.Close()
	close(got)
	for e := range got {
		note(e)
	}
	for run, seen := range numbers {
		for n := uint64(1); n <= uint64(len(seen)); n++ {
			if !seen[n] {
				t.Errorf("run %s: number %d of %d is missing", run, n, len(seen))
			}
		}
	}
}

// TestEveryEventIsDocumented looks for each type and the fields of its data where people read of them.
func TestEveryEventIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/hooks.md")
	if err != nil {
		t.Fatal(err)
	}
	data := map[events.Type]any{
		events.ServerStarted: events.Server{}, events.PublishStarted: events.Publish{}, events.PublishEnded: events.End{},
		events.StreamLive: events.Live{}, events.SegmentPublished: events.Segment{}, events.ViewersChanged: events.Viewers{},
		events.FindingRaised: events.Finding{}, events.Missed: events.Gap{},
	}
	for _, kind := range events.Types {
		_, row, found := strings.Cut(string(page), "\n| `"+string(kind)+"` |")
		if !found {
			t.Errorf("docs/hooks.md does not have %s", kind)
			continue
		}
		row, _, _ = strings.Cut(row, "\n")
		if data[kind] == nil {
			continue
		}
		for field := range reflect.TypeOf(data[kind]).Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !strings.Contains(row, "`"+name+"`") {
				t.Errorf("docs/hooks.md does not say that %s has %s", kind, name)
			}
		}
	}
}

// addresses are what the ready record says.
type addresses struct{ Msg, RTMP, HTTP, Admin string }

// startServe starts the program, and returns where it listens.
func startServe(t *testing.T, file string) (*exec.Cmd, addresses) {
	t.Helper()
	cmd := command(t, "headwater", "serve", "--config", file)
	stderr := lines(t, cmd.StderrPipe)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	var at addresses
	for stderr.Scan() {
		if json.Unmarshal(stderr.Bytes(), &at) == nil && at.Msg == "ready" {
			go drainLines(stderr)
			return cmd, at
		}
	}
	t.Fatal("the server ended before it was ready")
	return nil, at
}

// drainLines reads on, so that the program can write on; it ends with the program.
func drainLines(lines *bufio.Scanner) {
	for lines.Scan() {
		continue
	}
}

func absolute(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func getJSON(t *testing.T, url string, into any) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// TestTheRecipeForSignaturesWorks runs the receiver of docs/hooks.md as it stands there.
func TestTheRecipeForSignaturesWorks(t *testing.T) {
	doc, err := os.ReadFile("../../docs/hooks.md")
	if err != nil {
		t.Fatal(err)
	}
	recipe := regexp.MustCompile("(?s)```js\n(.*?)```").FindSubmatch(doc)
	if recipe == nil {
		t.Fatal("docs/hooks.md has no recipe")
	}
	script := filepath.Join(t.TempDir(), "receiver.mjs")
	if err := os.WriteFile(script, recipe[1], 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", script)
	cmd.Env = append(os.Environ(), "PORT=0", "HOOK_SECRET="+hookSecret)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("this test needs node: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	said := bufio.NewScanner(stdout)
	if !said.Scan() {
		t.Fatal("the receiver does not start")
	}
	url := strings.TrimPrefix(said.Text(), "listening on ")
	body := []byte(`{"id":"ab-1","time":"2026-01-02T15:04:05Z","type":"stream.idle","stream":"live/test"}`)
	now := time.Now()
	for name, test := range map[string]struct {
		signature string
		want      int
	}{
		"right":        {hooks.Sign(hookSecret, body, now), 204},
		"wrong secret": {hooks.Sign("another", body, now), 401},
		"too old":      {hooks.Sign(hookSecret, body, now.Add(-10*time.Minute)), 401},
		"nothing":      {"", 401},
		"garbage":      {"t=1,v1=zz", 401},
	} {
		r, _ := http.NewRequestWithContext(t.Context(), "POST", url, strings.NewReader(string(body)))
		r.Header.Set(hooks.SignatureHeader, test.signature)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != test.want {
			t.Errorf("%s: %d, want %d", name, resp.StatusCode, test.want)
		}
	}
}

func TestEveryEventCanBePosted(t *testing.T) {
	doc, err := os.ReadFile("../../docs/hooks.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range events.Types {
		if !strings.Contains(string(doc), "| `"+string(kind)+"` |") {
			t.Errorf("docs/hooks.md says nothing of %s", kind)
		}
		cmd := command(t, "headwater", "config", "check", "--hooks.events", string(kind))
		if out, err := cmd.CombinedOutput(); (err == nil) != (kind != events.Missed) {
			t.Errorf("%s: %v: %s", kind, err, out)
		}
	}
}
