package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestSecretsAppearNowhere plants secrets wherever there can be some, uses all of them, rightly and wrongly, and looks
// for them in all that the server says.
func TestSecretsAppearNowhere(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "combined"} { // of the access log
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			secretsAppearNowhere(t, format)
		})
	}
}

func secretsAppearNowhere(t *testing.T, accessLogFormat string) {
	accessLog := filepath.Join(t.TempDir(), "access.log")
	ctx := limit(t, 2*time.Minute)
	posted := newHookReceiver(t)
	g := startGuarded(t, "--admin.token="+plantedAdmin, "--auth.key="+plantedKey+"-2",
		"--hooks.urls="+posted.URL+"/?key=PLANTED-hook-key", "--hooks.secret=PLANTED-secret-of-webhooks", "--hooks.dir="+t.TempDir(),
		"--http.access_log="+accessLog, "--http.access_log_format="+accessLogFormat,
		"--flv.wait=1m", "--hooks.events=server.started,publish.started,publish.ended,stream.live,stream.idle,stream.ended,segment.published,viewers.changed,finding.raised,finding.cleared")
	src := browserFixture.make(t).path
	playToken := signedToken(ctx, t, "play", "signed/show", time.Hour)
	publishToken := signedToken(ctx, t, "publish", "signed/show", time.Hour)
	ticket := g.office.ticket(t, "play", "jwt/*", time.Hour)
	secrets := []string{
		"PLANTED", playToken[20:], publishToken[20:], strings.Split(ticket, ".")[1], strings.Split(ticket, ".")[2],
	}
	for _, push := range []string{
		"/keys/show?key=" + plantedKey, "/keys/" + plantedName, "/local/" + plantedName, "/signed/show?token=" + publishToken, "/callback/" + plantedName,
	} {
		pushInBackground(ctx, t, src, g.rtmp+push)
	}
	for _, push := range []string{"/keys/show?key=PLANTED-wrong", "/signed/show?token=PLANTED", "/callback/show?token=PLANTED-bad", "/elsewhere/PLANTED-name?x=PLANTED", "/keys/PLANTED!bad"} {
		pushRefused(ctx, t, src, g.rtmp+push)
	}
	waitForHLS(ctx, t, g.http+"/signed/show/index.m3u8?token="+playToken, 1)
	if o := run(command(ctx, t, "ffprobe", "-v", "error", g.rtmp+"/signed/show?token="+playToken)); o.err != nil {
		t.Errorf("play: %v", o.clean())
	}
	said := map[string]string{}
	say := func(what, address string, headers ...string) {
		said[what+" "+address] = request(ctx, t, "GET", address, headers...)
	}
	for _, stream := range []string{"signed/show", "jwt/show", "callback/show", "keys/show", "none/show"} {
		for _, token := range []string{"PLANTED-bad", publishToken, "hw1.1.PLANTED"} {
			for way, address := range g.watchURLs(stream, token) {
				if stream != "keys/show" && stream != "none/show" {
					say("refusal "+way, address)
				}
			}
		}
	}
	say("not found", g.http+"/PLANTED-no-such-thing/?token=PLANTED")
	say("not found", g.http+"/t/PLANTED/PLANTED-name/x")
	say("watch page", g.http+"/signed/show?token="+playToken)
	say("watch page of a stream that nobody publishes", g.http+"/keys/"+plantedName)
	say("console", g.admin+"/?token=PLANTED")
	// Somebody has pasted a stream key into a player. Nobody publishes under it, so the player waits.
	var waiting sync.WaitGroup
	for _, address := range []string{g.http + "/keys/PLANTED-pasted.flv", g.http + "/keys/PLANTED-pasted.ts", g.rtmp + "/keys/PLANTED-pasted"} {
		waiting.Go(func() { run(command(ctx, t, "ffprobe", "-v", "error", address)) })
	}
	for !strings.Contains(request(ctx, t, "GET", g.admin+"/api/v1/streams", "Authorization", "Bearer "+plantedAdmin), `"keys/PL…":3`) {
		time.Sleep(pollInterval) // until the players wait
	}
	said["events as they come"] = g.eventsFor(ctx, t, 2*time.Second)
	for _, path := range []string{
		"/api/v1/events", "/api/v1/openapi.yaml", "/", "/api/v1/streams", "/api/v1/streams/keys/alias", "/api/v1/publications", "/api/v1/viewers", "/api/v1/sessions", "/api/v1/denylist",
		"/api/v1/server", "/api/v1/config", "/metrics", "/healthz", "/readyz",
	} {
		say("API", g.admin+path, "Authorization", "Bearer "+plantedAdmin, "Accept", "application/json")
		say("API with a wrong token", g.admin+path, "Authorization", "Bearer PLANTED-wrong")
	}
	// What was shown is what the backend is asked about. Nothing else may be in it.
	question := map[string]any{}
	if err := json.Unmarshal([]byte(*g.backend.lastBody.Load()), &question); err != nil {
		t.Fatal(err)
	}
	delete(question, "query")
	delete(question, "stream")
	said["callback body"] = fmt.Sprint(question)
	said["config show"] = g.configShow(ctx, t)
	if err := g.stop(); err != nil {
		t.Error(err)
	}
	waiting.Wait()
	said["log"] = g.output()
	lines, err := os.ReadFile(accessLog)
	if err != nil {
		t.Fatal(err)
	}
	said["access log"] = string(lines)
	said["webhooks"] = posted.text()
	for what, sign := range map[string]string{"events as they come": "event: publish.started", "access log": "/keys/PL….flv", "webhooks": "segment.published"} {
		if !strings.Contains(said[what], sign) {
			t.Errorf("%s: there is no %s:\n%s", what, sign, said[what])
		}
	}
	if !strings.Contains(said["log"], `"level":"DEBUG"`) || !strings.Contains(said["log"], "request refused") {
		t.Error("the log is not what it should be: at debug level, with refusals")
	}
	for what, text := range said {
		for _, secret := range secrets {
			if at := strings.Index(text, secret); at >= 0 {
				what, _, _ = strings.Cut(what, "?")
				t.Errorf("%s shows a secret: …%s…", what, text[max(0, at-120):min(len(text), at+60)])
			}
		}
	}
}

// hookReceiver takes webhooks, and keeps all that they say.
type hookReceiver struct {
	*httptest.Server
	mu   sync.Mutex
	said strings.Builder
}

func newHookReceiver(t *testing.T) *hookReceiver {
	h := &hookReceiver{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		_ = r.Header.Write(&h.said) // a strings.Builder takes everything
		_, _ = io.Copy(&h.said, r.Body)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hookReceiver) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.said.String()
}

// eventsFor follows the events for a time.
func (g *guarded) eventsFor(ctx context.Context, t *testing.T, d time.Duration) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	resp := open(ctx, t, http.MethodGet, g.admin+"/api/v1/events", "Authorization", "Bearer "+plantedAdmin, "Accept", "text/event-stream")
	defer resp.Body.Close()          //nolint:errcheck // only read
	text, _ := io.ReadAll(resp.Body) // until the time is over
	return string(text)
}

// request returns all that an answer says, with its header.
func request(ctx context.Context, t *testing.T, method, address string, headers ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	resp := open(ctx, t, method, address, headers...)
	defer resp.Body.Close() //nolint:errcheck // only read
	var b bytes.Buffer
	_ = resp.Header.Write(&b) // a bytes.Buffer takes everything
	_, _ = io.Copy(&b, io.LimitReader(resp.Body, 1<<20))
	return b.String()
}

// configShow runs `headwater config show` with the settings of the server, and some by the environment.
func (g *guarded) configShow(ctx context.Context, t *testing.T) string {
	t.Helper()
	cmd := command(ctx, t, g.cmd.Path, append([]string{"config", "show"}, g.cmd.Args[2:]...)...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "HEADWATER_") }),
		"HEADWATER_AUTH_SECRET="+plantedSecret+"-3")
	cmd.Dir = t.TempDir()
	o := run(cmd)
	if err := o.clean(); err != nil {
		t.Errorf("config show: %v", err)
	}
	return o.stdout + o.stderr
}
