package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"go.yaml.in/yaml/v3"

	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/events"
	"github.com/headwater-live/headwater/remux"
)

const openAPIFile = "../../admin/openapi.yaml"

// apiClient asks the API, and has a validator of others judge every answer by the OpenAPI document.
type apiClient struct {
	t         *testing.T
	server    *server
	validator validator.Validator
	token     string
	// seen are the names of all properties in answers, and answered every "METHOD path status" of the document.
	seen, answered map[string]bool
}

func newAPIClient(t *testing.T, s *server) *apiClient {
	t.Helper()
	text, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	document, err := libopenapi.NewDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(document)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if ok, errs := v.ValidateDocument(); !ok {
		t.Fatalf("the document is not OpenAPI: %v", errs)
	}
	return &apiClient{t: t, server: s, validator: v, seen: map[string]bool{}, answered: map[string]bool{}}
}

// ask makes a request whose answer must have a status and fit the document. Headers are pairs.
func (c *apiClient) ask(method, path string, status int, headers ...string) (http.Header, []byte) {
	c.t.Helper()
	return c.send(method, path, "", status, headers...)
}

// send is ask with a body.
func (c *apiClient) send(method, path, body string, status int, headers ...string) (http.Header, []byte) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.server.adminURL(path), strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Accept", "application/json")
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if resp.StatusCode != status {
		c.t.Fatalf("%s %s: %d, want %d: %s", method, path, resp.StatusCode, status, answer)
	}
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	if ok, errs := c.validator.ValidateHttpResponse(r, resp); !ok {
		for _, e := range errs {
			c.t.Errorf("%s %s: %d: %s: %s %+v\n%s", method, path, status, e.Message, e.Reason, e.SchemaValidationErrors, answer)
		}
	}
	if origin := resp.Header.Get("Access-Control-Allow-Origin"); origin != "" {
		c.t.Errorf("%s %s sends CORS headers", method, path)
	}
	var value any
	if json.Unmarshal(answer, &value) == nil {
		c.note(value)
	}
	c.answered[fmt.Sprintf("%s %s %d", strings.ToLower(method), c.template(path), status)] = true
	return resp.Header, answer
}

// template returns the path of the document that a request's path fits.
func (c *apiClient) template(path string) string {
	u, _ := url.Parse(path)
	parts := strings.Split(strings.TrimPrefix(u.Path, "/api/v1/"), "/")
	names := map[string][]string{
		"streams": {"", "{app}", "{name}"}, "publications": {"", "{app}", "{name}", "{generation}"}, "viewers": {"", "{id}"},
		"sessions": {"", "{id}"}, "denylist": {"", "{id}"},
	}[parts[0]]
	for i := 1; i < len(parts) && i < len(names); i++ {
		parts[i] = names[i]
	}
	return "/api/v1/" + strings.Join(parts, "/")
}

func (c *apiClient) note(value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			c.seen[key] = true
			c.note(inner)
		}
	case []any:
		for _, inner := range v {
			c.note(inner)
		}
	}
}

// get decodes the answer of a path.
func (c *apiClient) get(path string, into any) {
	c.t.Helper()
	_, body := c.ask("GET", path, 200)
	if err := json.Unmarshal(body, into); err != nil {
		c.t.Fatalf("%s: %v: %s", path, err, body)
	}
}

// TestTheAPIIsWhatItsDocumentSays asks for everything that the document has, of a server with streams,
// viewers, findings and a history, and sees to it that no path, status or field is left out.
func TestTheAPIIsWhatItsDocumentSays(t *testing.T) {
	s := runServer(t, func(c *config.Config) {
		c.Admin.Token, c.HTTP.PublicURL = "sesame", "https://cdn.example.com"
		c.Hooks.URLs, c.Hooks.Secret, c.Hooks.Dir = "http://127.0.0.1:1/?key=hush", "sixteen characters", t.TempDir()
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
	if urls["hls"] != "https://cdn.example.com/live/test/index.m3u8" || urls["rtmp"] != "rtmp://"+addr(c.server.listeners.rtmp)+"/live/test" {
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
		h, _ := c.ask("GET", path, 200)
		etag := h.Get("Etag")
		if etag == "" {
			c.t.Errorf("%s has no entity tag", path)
		}
		if _, body := c.ask("GET", path, 304, "If-None-Match", `"other", W/`+etag); len(body) > 0 {
			c.t.Errorf("%s: 304 with a body", path)
		}
		c.ask("GET", path, 200, "If-None-Match", `"other"`)
	}
}

// refusals asks for what is not there, or wrongly.
func (c *apiClient) refusals() {
	c.t.Helper()
	for _, path := range []string{
		"/api/v1/streams?limit=0", "/api/v1/streams?limit=1001", "/api/v1/streams?cursor=%21", "/api/v1/publications?limit=x",
		"/api/v1/viewers?cursor=eA", "/api/v1/events?after=x", "/api/v1/events?types=no.such",
	} {
		c.ask("GET", path, 400)
	}
	for _, path := range []string{"/api/v1/streams/live/other", "/api/v1/publications/live/other/1", "/api/v1/publications/live/test/2"} {
		c.ask("GET", path, 404)
		c.ask("DELETE", path, 404)
	}
	c.ask("DELETE", "/api/v1/viewers/77", 404)
	for method, want := range map[string]int{"POST": 405, "PUT": 405, "OPTIONS": 405} {
		r, _ := http.NewRequestWithContext(c.t.Context(), method, c.server.adminURL("/api/v1/streams"), nil)
		r.Header.Set("Authorization", "Bearer "+c.token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			c.t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want || resp.Header.Get("Content-Type") != "application/problem+json" || resp.Header.Get("Allow") != "GET, HEAD" {
			c.t.Errorf("%s: %d, %v", method, resp.StatusCode, resp.Header)
		}
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
}

// Not seen here: properties of what this server does not have.
var unseenProperties = []string{
	"further_tracks", "id", "kind", // a multitrack publication
	"since", // a storage that fails
}

// Not asked for here: answers that change with every request, so that no entity tag fits, and what takes
// too many clients.
var unasked = []string{
	"get /api/v1/streams 304", "get /api/v1/publications 304", "get /api/v1/publications/{app}/{name}/{generation} 304",
	"get /api/v1/server 304", "get /api/v1/events 503",
}

// complete checks that the document has nothing that was not seen.
func (c *apiClient) complete() {
	c.t.Helper()
	text, err := os.ReadFile(openAPIFile)
	if err != nil {
		c.t.Fatal(err)
	}
	var document struct {
		Paths      map[string]map[string]any
		Components struct{ Schemas map[string]any }
	}
	if err := yaml.Unmarshal(text, &document); err != nil {
		c.t.Fatal(err)
	}
	for path, operations := range document.Paths {
		for method, operation := range operations {
			if method == "parameters" {
				continue
			}
			for status := range operation.(map[string]any)["responses"].(map[string]any) {
				key := method + " " + path + " " + status
				if !c.answered[key] && !slices.Contains(unasked, key) {
					c.t.Errorf("never answered: %s", key)
				}
			}
		}
	}
	for name := range properties(document.Components.Schemas) {
		if !c.seen[name] && !slices.Contains(unseenProperties, name) {
			c.t.Errorf("no answer has %q", name)
		}
	}
}

// properties collects the names of all properties in schemas.
func properties(schema any) map[string]bool {
	found := map[string]bool{}
	switch v := schema.(type) {
	case map[string]any:
		for key, inner := range v {
			if named, ok := inner.(map[string]any); ok && key == "properties" {
				for name := range named {
					found[name] = true
				}
			}
			for name := range properties(inner) {
				found[name] = true
			}
		}
	case []any:
		for _, inner := range v {
			for name := range properties(inner) {
				found[name] = true
			}
		}
	}
	return found
}
