package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/headwater-live/headwater/cmd/headwater/config"
)

// TestTheConsolePreviewsWhatNeedsATokenToWatch asks as the console does, and as others could.
func TestTheConsolePreviewsWhatNeedsATokenToWatch(t *testing.T) {
	restricted := func(c *config.Config) {
		c.Auth.Watch = config.Rules{{Pattern: "*", Policies: []config.Policy{config.PolicyDeny}}}
	}
	get := func(url, token string) (status int, body string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close() //nolint:errcheck // it was read
		if strings.HasSuffix(url, ".flv") {
			b := make([]byte, 3)
			_, _ = io.ReadFull(resp.Body, b)
			return resp.StatusCode, string(b)
		}
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	begin := func(s *server) {
		publishSample(t, s, "live/test", 3)
		eventually(t, "a playlist", func() bool { _, ok := s.hls.Status("live/test"); return ok })
	}

	s := runServer(t, func(c *config.Config) { restricted(c); c.Admin.Token = "sesame" })
	begin(s)
	if status, _ := get(s.edgeURL("/live/test.flv"), "sesame"); status != http.StatusForbidden {
		t.Errorf("the public listener gives the stream out: %d", status)
	}
	if status, _ := get(s.adminURL("/preview/live/test.flv"), ""); status != http.StatusUnauthorized {
		t.Errorf("a preview without the token: %d", status)
	}
	if status, body := get(s.adminURL("/preview/live/test.flv"), "sesame"); status != 200 || body != "FLV" {
		t.Errorf("the preview: %d, %q", status, body)
	}
	path := "/preview/live/test/"
	_, index := get(s.adminURL(path+"index.m3u8"), "sesame")
	media := path + lastLine(index)
	_, playlist := get(s.adminURL(media), "sesame")
	segment := media[:strings.LastIndexByte(media, '/')+1] + lastLine(playlist)
	if status, body := get(s.adminURL(segment), "sesame"); status != 200 || len(body) < 188 || body[0] != 0x47 {
		t.Errorf("segment %s of the preview: %d, %d bytes", segment, status, len(body))
	}

	// Without an admin token everybody on the machine could ask: they get no more than the public listener gives.
	s = runServer(t, restricted)
	begin(s)
	if status, _ := get(s.adminURL("/preview/live/test.flv"), ""); status != http.StatusForbidden {
		t.Errorf("a preview without any token: %d", status)
	}
}

// lastLine returns the last line that is no tag.
func lastLine(playlist string) (last string) {
	for line := range strings.Lines(playlist) {
		if !strings.HasPrefix(line, "#") {
			last = strings.TrimSpace(line)
		}
	}
	return last
}
