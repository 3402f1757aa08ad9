package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestPermissionsEndWhileTheyAreUsed lets tokens expire during playback and publishing, and takes one back.
func TestPermissionsEndWhileTheyAreUsed(t *testing.T) {
	t.Parallel()
	ctx := limit(t, 2*time.Minute)
	g := startGuarded(t)
	src := browserFixture.make(t).path
	pushInBackground(ctx, t, src, g.rtmp+"/signed/show?token="+signedToken(ctx, t, "publish", "signed/show", time.Hour))
	if !g.live(ctx, "signed/show") {
		t.Fatal("signed/show is not published")
	}
	waitForHLS(ctx, t, g.http+"/signed/show/index.m3u8?token="+signedToken(ctx, t, "play", "signed/show", time.Hour), 1)

	const ttl = 15 * time.Second // time enough to come in on a busy machine
	short := signedToken(ctx, t, "play", "signed/show", ttl)
	seconds, err := strconv.ParseInt(strings.Split(short, ".")[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	expiry := time.Unix(seconds, 0)
	urls := g.watchURLs("signed/show", short)
	flv, err := http.Get(urls["flv"])
	if err != nil || flv.StatusCode != 200 {
		t.Fatalf("FLV: %v, %v", flv, err)
	}
	defer flv.Body.Close() //nolint:errcheck // only read
	player := make(chan output, 1)
	go func() {
		player <- run(command(ctx, t, "ffmpeg", "-v", "error", "-nostdin", "-i", g.rtmp+"/signed/show?token="+short, "-c", "copy", "-f", "null", "-"))
	}()
	publisher := make(chan output, 1)
	go func() {
		publish := g.rtmp + "/signed/brief?token=" + signedToken(ctx, t, "publish", "signed/brief", ttl)
		publisher <- run(command(ctx, t, "ffmpeg", "-v", "error", "-nostdin", "-re", "-i", src, "-c", "copy", "-f", "flv", publish))
	}()
	if got := status(ctx, t, "GET", urls["hls"]); got != 200 {
		t.Errorf("HLS before its end: %d", got)
	}
	n, err := io.Copy(io.Discard, flv.Body)
	if ended := time.Now(); n == 0 || ended.Before(expiry) {
		t.Errorf("the FLV viewer got %d bytes and was sent away %v early (%v)", n, expiry.Sub(ended), err)
	}
	<-player // it ends at all
	if o := <-publisher; o.err == nil {
		t.Error("the publisher sent all of its file")
	}
	for way, address := range urls {
		if got := status(ctx, t, "GET", address); got != 403 {
			t.Errorf("%s after its end: %d", way, got)
		}
	}

	// A ticket is taken back.
	ticket := g.office.ticket(t, "play", "jwt/*", time.Hour)
	pushInBackground(ctx, t, src, g.rtmp+"/jwt/show?token="+g.office.ticket(t, "publish", "jwt/*", time.Hour))
	if !g.live(ctx, "jwt/show") {
		t.Fatal("jwt/show is not published")
	}
	jwtURLs := g.watchURLs("jwt/show", ticket)
	viewer, err := http.Get(jwtURLs["flv"])
	if err != nil || viewer.StatusCode != 200 {
		t.Fatalf("FLV: %v, %v", viewer, err)
	}
	defer viewer.Body.Close() //nolint:errcheck // only read
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
	if _, err := io.Copy(io.Discard, viewer.Body); err != nil {
		t.Logf("the viewer was cut off: %v", err)
	}
	for way, address := range jwtURLs {
		if got := status(ctx, t, "GET", address); got != 403 {
			t.Errorf("%s after it was taken back: %d", way, got)
		}
	}
	if !g.live(ctx, "jwt/show") {
		t.Error("the publisher has gone, too")
	}
}
