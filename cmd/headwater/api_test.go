package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/admin"
	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/events"
	"github.com/headwater-live/headwater/remux"
)

// TestTheAPIIsWhatItsDocumentSays asks for everything that the document has, of a server with streams,
// viewers, findings and a history, and sees to it that no path, status or field is left out.
func TestTheAPIIsWhatItsDocumentSays(t *testing.T) {
	s := runServerThat(t, func(c *config.Config) {
		c.Admin.Token, c.HTTP.PublicURL = "sesame", "https://cdn.example.com"
		c.Hooks.URLs, c.Hooks.Secret, c.Hooks.Dir = "http://127.0.0.1:1/?key=hush", "sixteen characters", t.TempDir()
	}, func(s *server) {
		s.reloads = &reloader{server: s, watch: newFileWatch(), status: admin.ConfigurationStatus{
			Read: time.Now(), Faults: []string{"hls.window (headwater.yaml:5): x"}, Pending: []string{"storage.dir"},
		}}
	})
	c := newAPIClient(t, s)
	c.ask("GET", "/api/v1/streams", 401)
	for _, path := range []string{
		"/api/v1/streams/live/test", "/api/v1/publications", "/api/v1/publications/live/test/1", "/api/v1/viewers",
		"/api/v1/events", "/api/v1/server", "/api/v1/config", "/api/v1/openapi.yaml", "/api/v1/sessions", "/api/v1/denylist",
	} {
		c.ask("GET", path, 401)
	}
	for _, path := range []string{"/api/v1/streams/live/test", "/api/v1/publications/live/test/1", "/api/v1/viewers/1",
		"/api/v1/sessions/1", "/api/v1/denylist/1"} {
		c.ask("DELETE", path, 401)
	}
	c.ask("POST", "/api/v1/denylist", 401)
	c.token = "sesame"

	pub, next := publishSample(t, s, "live/test", 3)
	eventually(t, "a finding", func() bool {
		next = writeSample(t, pub, 1, next)
		info := s.hub.Stream("live/test").Info()
		return len(info.Publication.Findings) > 0
	})
	watch(t, s, "/live/test.flv")
	watch(t, s, "/live/test.ts")
	eventually(t, "segments", func() bool {
		st, ok := s.hls.Status("live/test")
		return ok && len(st.Segments) >= 3
	})
	s.sayViewers(nil)
	gone, _ := publishSample(t, s, "live/gone", 1)
	gone.End(remux.EndUnpublished)

	c.lists()
	c.conditions()
	c.refusals()
	c.permissions()
	c.endings()
	c.nothingMore()
	c.guesses()
	c.complete()
}

// watch reads an FLV stream until the test ends, and returns when it has begun.
func watch(t *testing.T, s *server, path string) {
	t.Helper()
	resp, err := http.Get(s.edgeURL(path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if _, err := io.ReadFull(resp.Body, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, resp.Body) }() // ends with the body
}

// lists asks for all lists, page by page.
func (c *apiClient) lists() {
	c.t.Helper()
	var streams struct {
		Streams []struct {
			Name, State string
			Viewers     map[string]int `json:"viewers_by_protocol"`
			Outputs     []struct{ Protocol, URL string }
		}
		Next string
	}
	c.get("/api/v1/streams?limit=1", &streams)
	if len(streams.Streams) != 1 || streams.Streams[0].Name != "live/gone" || streams.Streams[0].State != "idle" || streams.Next == "" {
		c.t.Errorf("first page: %+v", streams)
	}
	cursor := streams.Next
	streams.Next = ""
	c.get("/api/v1/streams?limit=1&cursor="+cursor, &streams)
	if len(streams.Streams) != 1 || streams.Streams[0].Name != "live/test" || streams.Next != "" {
		c.t.Fatalf("second page: %+v", streams)
	}
	if v := streams.Streams[0].Viewers; v["flv"] != 1 || v["ts"] != 1 || v["rtmp"] != 0 || v["hls"] != 0 {
		c.t.Errorf("viewers: %v", v)
	}
	urls := map[string]string{}
	for _, o := range streams.Streams[0].Outputs {
		urls[o.Protocol] = o.URL
	}
	if urls["hls"] != "https://cdn.example.com/live/test/index.m3u8" || urls["rtmp"] != "rtmp://"+c.server.listeners.addr("rtmp")+"/live/test" {
		c.t.Errorf("outputs: %v", urls)
	}
	var one struct {
		HLS struct{ Segments []struct{ Path string } }
	}
	c.get("/api/v1/streams/live/test", &one)
	for _, segment := range one.HLS.Segments {
		resp, err := http.Get(c.server.edgeURL(segment.Path))
		if err != nil {
			c.t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 200 {
			c.t.Errorf("segment %s: %d", segment.Path, resp.StatusCode)
		}
	}
	var publications struct{ Publications []struct{ Stream string } }
	c.get("/api/v1/publications", &publications)
	if len(publications.Publications) != 1 || publications.Publications[0].Stream != "live/test" {
		c.t.Errorf("%+v", publications)
	}
	c.get("/api/v1/publications/live/test/1", &struct{}{})
	var list struct{ Events []rawEvent }
	c.get("/api/v1/events?after=abc-1", &list)
	kinds := map[string]bool{}
	for _, e := range list.Events {
		kinds[e.Type] = true
	}
	for _, kind := range []events.Type{
		events.Missed, events.ServerStarted, events.PublishStarted, events.PublishEnded, events.StreamLive, events.StreamIdle,
		events.SegmentPublished, events.ViewersChanged, events.FindingRaised,
	} {
		if !kinds[string(kind)] {
			c.t.Errorf("no event %s", kind)
		}
	}
	c.get("/api/v1/events?stream=live/gone&types=publish.ended", &list)
	if len(list.Events) != 1 || list.Events[0].Stream != "live/gone" {
		c.t.Errorf("filtered: %+v", list.Events)
	}
	var settings struct{ Settings []struct{ Key, Value string } }
	c.get("/api/v1/config", &settings)
	if !slices.Contains(settings.Settings, struct{ Key, Value string }{"admin.token", "(hidden)"}) {
		c.t.Errorf("%+v", settings)
	}
	eventually(c.t, "a webhook that fails", func() bool { return c.server.hookStatus()[0].LastError != "" })
	if _, body := c.ask("GET", "/api/v1/server", 200); bytes.Contains(body, []byte("hush")) {
		c.t.Errorf("a secret in %s", body)
	}
}

// conditions asks again for what has not changed.
func (c *apiClient) conditions() {
	c.t.Helper()
	for _, path := range []string{"/api/v1/config", "/api/v1/openapi.yaml", "/api/v1/viewers", "/api/v1/streams/live/gone", "/api/v1/events"} {
		c.settles(path)
		c.ask("GET", path, 200, "If-None-Match", `"other"`)
	}
}

// refusals asks for what is not there, or wrongly.
func (c *apiClient) refusals() {
	c.t.Helper()
	for _, path := range []string{
		"/api/v1/streams?limit=0", "/api/v1/streams?limit=1001", "/api/v1/streams?cursor=%21", "/api/v1/publications?limit=x",
		"/api/v1/viewers?cursor=eA", "/api/v1/sessions?cursor=eA", "/api/v1/denylist?limit=0", "/api/v1/events?after=x", "/api/v1/events?types=no.such",
	} {
		c.ask("GET", path, 400)
	}
	for _, path := range []string{"/api/v1/streams/live/other", "/api/v1/publications/live/other/1", "/api/v1/publications/live/test/2"} {
		c.ask("GET", path, 404)
		c.ask("DELETE", path, 404)
	}
	c.ask("DELETE", "/api/v1/viewers/77", 404)
	for path, allowed := range map[string]string{
		"/api/v1/streams": "GET, HEAD", "/api/v1/streams/live/test": "DELETE, GET, HEAD", "/api/v1/publications": "GET, HEAD",
		"/api/v1/publications/live/test/1": "DELETE, GET, HEAD", "/api/v1/viewers": "GET, HEAD", "/api/v1/viewers/1": "DELETE",
		"/api/v1/sessions": "GET, HEAD", "/api/v1/sessions/1": "DELETE", "/api/v1/denylist": "GET, HEAD, POST", "/api/v1/denylist/1": "DELETE",
		"/api/v1/events": "GET, HEAD", "/api/v1/server": "GET, HEAD", "/api/v1/config": "GET, HEAD", "/api/v1/openapi.yaml": "GET, HEAD",
	} {
		for _, method := range []string{"PUT", "PATCH", "OPTIONS"} {
			c.problem(method, path, 405, allowed)
		}
	}
	c.problem("GET", "/api/v1/nothing", 404, "")
	c.problem("GET", "/api/v2/streams", 404, "")
}

// problem makes a request that fails, whose answer must be a problem of RFC 9457 and say in Allow what would not.
func (c *apiClient) problem(method, path string, status int, allowed string) {
	c.t.Helper()
	r, _ := http.NewRequestWithContext(c.t.Context(), method, c.server.adminURL(path), nil)
	r.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
		c.t.Errorf("%s %s: %v", method, path, err)
	}
	if resp.StatusCode != status || p.Status != status || resp.Header.Get("Content-Type") != "application/problem+json" ||
		resp.Header.Get("Allow") != allowed || p.Title != http.StatusText(status) || p.Detail == "" || !strings.HasPrefix(p.Type, "urn:headwater:problem:") {
		c.t.Errorf("%s %s: %d, %+v, %v", method, path, resp.StatusCode, p, resp.Header)
	}
}

// endings ends a viewer and publications.
func (c *apiClient) endings() {
	c.t.Helper()
	var viewers struct {
		Viewers []struct {
			ID     uint64
			Stream string
		}
		Next string
	}
	watch(c.t, c.server, "/live/test.flv?audio=0")
	c.get("/api/v1/viewers?limit=1&stream=live/test", &viewers)
	if len(viewers.Viewers) != 1 || viewers.Next == "" {
		c.t.Fatalf("%+v", viewers)
	}
	c.ask("DELETE", fmt.Sprintf("/api/v1/viewers/%d", viewers.Viewers[0].ID), 204)
	stream := c.server.hub.Stream("live/test")
	eventually(c.t, "one viewer has left", func() bool { return stream.Viewers() == 2 })
	c.ask("DELETE", "/api/v1/publications/live/test/1", 204)
	c.ask("DELETE", "/api/v1/publications/live/test/1", 409)
	c.ask("DELETE", "/api/v1/streams/live/test", 409)
	publishSample(c.t, c.server, "live/test", 1)
	c.ask("DELETE", "/api/v1/publications/live/test/1", 404)
	c.ask("DELETE", "/api/v1/streams/live/test", 204)
	c.get("/api/v1/streams/live/test", &struct{}{})
	for _, path := range []string{"/api/v1/streams", "/api/v1/publications", "/api/v1/publications/live/test/2"} {
		c.settles(path)
	}
}

// settles waits until a path answers 304 to who has its last answer.
func (c *apiClient) settles(path string) {
	c.t.Helper()
	etag := ""
	eventually(c.t, path+" changes no more", func() bool {
		status, h, body := c.exchange("GET", path, "", "If-None-Match", `"other", W/`+etag)
		if etag = h.Get("Etag"); etag == "" {
			c.t.Fatalf("%s has no entity tag", path)
		}
		if status == http.StatusNotModified && len(body) > 0 {
			c.t.Errorf("%s: 304 with a body", path)
		}
		return status == http.StatusNotModified
	})
}
