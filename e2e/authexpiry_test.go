package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// expiryOf returns when a signed token expires.
func expiryOf(t testing.TB, token string) time.Time {
	t.Helper()
	seconds, err := strconv.ParseInt(strings.Split(token, ".")[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(seconds, 0)
}

// TestPermissionsEndWhileTheyAreUsed lets tokens expire during playback and publishing, by every way.
func TestPermissionsEndWhileTheyAreUsed(t *testing.T) {
	t.Parallel()
	ctx := limit(t, 2*time.Minute)
	g := startGuarded(t)
	src := browserFixture.make(t).path
	pushUntilEnded(ctx, t, src, g.rtmp+"/signed/show?token="+signedToken(ctx, t, "publish", "signed/show", time.Hour))
	if !g.live(ctx, "signed/show") {
		t.Fatal("signed/show is not published")
	}
	waitForHLS(ctx, t, g.http+"/signed/show/index.m3u8?token="+signedToken(ctx, t, "play", "signed/show", time.Hour), 1)

	const ttl = 15 * time.Second // time enough to come in on a busy machine
	short := signedToken(ctx, t, "play", "signed/show", ttl)
	brief := signedToken(ctx, t, "publish", "signed/brief", ttl)
	urls := g.watchURLs("signed/show", short)
	var all sync.WaitGroup
	for _, way := range []string{"flv", "ts", "websocket", "flv over HTTP/2", "ts over HTTP/2"} {
		resp := open(ctx, t, http.MethodGet, urls[way])
		if resp.StatusCode != 200 && resp.StatusCode != 101 {
			t.Fatalf("%s: %d", way, resp.StatusCode)
		}
		all.Go(func() {
			defer resp.Body.Close() //nolint:errcheck // only read
			n, err := io.Copy(io.Discard, resp.Body)
			if early := time.Until(expiryOf(t, short)); n == 0 || early > 0 {
				t.Errorf("the viewer by %s got %d bytes and was sent away %v early (%v)", way, n, early, err)
			}
		})
	}
	for _, server := range []string{g.rtmp, g.rtmps} {
		all.Go(func() {
			o := run(command(ctx, t, "ffmpeg", "-v", "info", "-nostdin", "-i", server+"/signed/show?token="+short, "-c", "copy", "-f", "null", "-"))
			if early := time.Until(expiryOf(t, short)); early > 0 || !strings.Contains(o.stderr, "h264") {
				t.Errorf("the RTMP player was sent away %v early: %s", early, o.stderr)
			}
		})
	}
	all.Go(func() {
		o := run(command(ctx, t, "ffmpeg", "-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", src, "-c", "copy", "-f", "flv", g.rtmp+"/signed/brief?token="+brief))
		if early := time.Until(expiryOf(t, brief)); o.err == nil || early > 0 {
			t.Errorf("the publisher was sent away %v early: %v", early, o.err)
		}
	})
	if got := status(ctx, t, "GET", urls["hls"]); got != 200 {
		t.Errorf("HLS before its end: %d", got)
	}
	all.Wait()
	for way, address := range urls {
		if got := status(ctx, t, "GET", address); got != 403 {
			t.Errorf("%s after its end: %d", way, got)
		}
	}
	if !g.live(ctx, "signed/show") {
		t.Error("what was played has ended, which is why everybody left")
	}
}

// TestPermissionsAreTakenBack: by the denylist, by removing a key, and because a backend has allowed for a time only.
func TestPermissionsAreTakenBack(t *testing.T) {
	t.Parallel()
	ctx := limit(t, 2*time.Minute)
	g := startGuarded(t)
	g.excuse("a ticket like the referee's is taken back", "playlist-unavailable", "segment-unavailable")
	src := browserFixture.make(t).path
	keyHolder := make(chan output, 1)
	go func() {
		keyHolder <- run(command(ctx, t, "ffmpeg", "-v", "error", "-nostdin", "-re", "-stream_loop", "-1", "-i", src, "-c", "copy", "-f", "flv",
			g.rtmp+"/keys/show?key="+plantedKey))
	}()
	for stream, address := range map[string]string{
		"keys/alias": "/keys/" + plantedName, "callback/show": "/callback/" + plantedName,
		"jwt/show": "/jwt/show?token=" + g.office.ticket(t, "publish", "jwt/*", time.Hour),
	} {
		pushUntilEnded(ctx, t, src, g.rtmp+address)
		if !g.live(ctx, stream) {
			t.Fatalf("%s is not published", stream)
		}
	}
	if !g.live(ctx, "keys/show") {
		t.Fatal("keys/show is not published")
	}
	g.takesATicketBack(ctx, t)
	g.endsWhatABackendAllowedForATime(ctx, t)

	if err := os.WriteFile(g.keys, []byte(strings.Replace(keyLines, plantedKey, "another-key", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if o := <-keyHolder; o.err == nil {
		t.Error("who had the key that was removed ended by itself")
	}
	if !g.live(ctx, "keys/alias") {
		t.Error("who has another key has gone, too")
	}
}

func (g *guarded) takesATicketBack(ctx context.Context, t *testing.T) {
	t.Helper()
	ticket := g.office.ticket(t, "play", "jwt/*", time.Hour)
	urls := g.watchURLs("jwt/show", ticket)
	viewer := open(ctx, t, http.MethodGet, urls["flv"])
	defer viewer.Body.Close() //nolint:errcheck // only read
	if viewer.StatusCode != 200 {
		t.Fatalf("FLV: %d", viewer.StatusCode)
	}
	f, err := fetch(ctx, g.admin+"/api/v1/sessions?stream=jwt/show")
	var list struct {
		Sessions []struct {
			Action  string
			TokenID string `json:"token_id"`
		}
	}
	if err != nil || json.Unmarshal(f.body, &list) != nil {
		t.Fatalf("sessions: %v %s", err, f.body)
	}
	id := ""
	for _, s := range list.Sessions {
		if s.Action == "play" {
			id = s.TokenID
		}
	}
	resp, err := http.Post(g.admin+"/api/v1/denylist", "application/json", strings.NewReader(`{"token":"`+id+`","ttl":"1h"}`))
	if err != nil || resp.StatusCode != 201 {
		t.Fatalf("revoke %q: %v %v", id, resp, err)
	}
	_ = resp.Body.Close()
	_, _ = io.Copy(io.Discard, viewer.Body) // until the viewer is cut off
	for way, address := range urls {
		if got := status(ctx, t, "GET", address); got != 403 {
			t.Errorf("%s after it was taken back: %d", way, got)
		}
	}
	if !g.live(ctx, "jwt/show") {
		t.Error("the publisher has gone, too")
	}
}

// endsWhatABackendAllowedForATime watches HLS for as long as the backend says that one may, and FLV as well.
func (g *guarded) endsWhatABackendAllowedForATime(ctx context.Context, t *testing.T) {
	t.Helper()
	waitForHLS(ctx, t, g.watchURLs("callback/show", "good")["hls"], 1)
	urls := g.watchURLs("callback/show", "brief")
	began := time.Now()
	flv := open(ctx, t, http.MethodGet, urls["flv"])
	defer flv.Body.Close() //nolint:errcheck // only read
	variants, _, _ := playlistURIs(ctx, t, urls["hls"])
	segments, _, _ := playlistURIs(ctx, t, variants[0])
	for status(ctx, t, "GET", variants[0]) == 200 {
		time.Sleep(pollInterval)
	}
	if lasted := time.Since(began); lasted < briefly {
		t.Errorf("HLS ended after %v, not %v", lasted, briefly)
	}
	if got := status(ctx, t, "GET", segments[0]); got != 403 {
		t.Errorf("a segment after its end: %d", got)
	}
	if n, _ := io.Copy(io.Discard, flv.Body); n == 0 || time.Since(began) < briefly {
		t.Errorf("FLV ended with %d bytes after %v, not %v", n, time.Since(began), briefly)
	}
}
