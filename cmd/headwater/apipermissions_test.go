package main

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/headwater-live/headwater/auth"
)

// letIn lets a viewer in, as an output would, and returns a channel that is closed when it is sent away.
func letIn(t *testing.T, s *server, token string) <-chan struct{} {
	t.Helper()
	gone := make(chan struct{})
	_, refusal := s.access.Enter(
		auth.Request{Action: auth.Play, Stream: "live/test", Protocol: "flv", Remote: netip.MustParseAddrPort("192.0.2.7:4000")},
		auth.Decision{Allowed: true, TokenID: token, Expires: time.Now().Add(time.Hour)},
		func(auth.EndCause) { close(gone) })
	if refusal != nil {
		t.Fatal(refusal.Reason)
	}
	return gone
}

func (c *apiClient) wait(what string, gone <-chan struct{}) {
	c.t.Helper()
	select {
	case <-gone:
	case <-time.After(30 * time.Second):
		c.t.Fatalf("%s was not sent away", what)
	}
}

// permissions takes some back.
func (c *apiClient) permissions() {
	c.t.Helper()
	type session struct {
		ID      string
		TokenID string `json:"token_id"`
	}
	var list struct{ Sessions []session }
	one, two := letIn(c.t, c.server, "ticket-1"), letIn(c.t, c.server, "ticket-2")
	c.get("/api/v1/sessions?stream=live/test", &list)
	var page struct {
		Sessions []session
		Next     string
	}
	c.get("/api/v1/sessions?limit=1", &page)
	if len(page.Sessions) != 1 || page.Next == "" {
		c.t.Fatalf("the first page: %+v", page)
	}
	oldest := page.Sessions[0].ID
	c.get("/api/v1/sessions?limit=1&cursor="+page.Next, &page)
	if len(page.Sessions) != 1 || page.Sessions[0].ID == oldest {
		c.t.Errorf("behind session %s comes %+v", oldest, page)
	}
	ids := map[string]string{}
	for _, s := range list.Sessions {
		ids[s.TokenID] = s.ID
	}
	c.ask("DELETE", "/api/v1/sessions/"+ids["ticket-1"], 204)
	c.wait("ticket-1", one)
	c.ask("DELETE", "/api/v1/sessions/none", 404)

	if _, body := c.send("POST", "/api/v1/denylist", `{"token":"ticket-2","action":"play","ttl":"1h"}`, 201); !strings.Contains(string(body), `"ended":1`) {
		c.t.Errorf("%s", body)
	}
	c.wait("ticket-2", two)
	c.send("POST", "/api/v1/denylist", `{"stream":"other/*","ttl":"1h"}`, 201)
	for _, wrong := range []string{``, `{"ttl":"1h"}`, `{"token":"a","ttl":"soon"}`, `{"token":"a","stream":"live/*","ttl":"1h"}`, `{"token":"a","ttl":"-1h"}`} {
		c.send("POST", "/api/v1/denylist", wrong, 400)
	}
	c.send("POST", "/api/v1/denylist", `{"token":"`+strings.Repeat("x", 5_000)+`","ttl":"1h"}`, 413)
	c.send("POST", "/api/v1/denylist", `{"token":"x","ttl":"1h"}`, 403, "Origin", "http://elsewhere.example")
	for _, path := range []string{"/api/v1/sessions", "/api/v1/denylist"} {
		h, _ := c.ask("GET", path, 200)
		c.ask("GET", path, 304, "If-None-Match", h.Get("Etag"))
	}
	var denied struct {
		Denylist []struct{ ID string }
		Next     string
	}
	c.get("/api/v1/denylist?limit=1", &denied)
	if len(denied.Denylist) != 1 || denied.Next == "" {
		c.t.Fatalf("the first page: %+v", denied)
	}
	first, cursor := denied.Denylist[0].ID, denied.Next
	denied.Next = ""
	c.get("/api/v1/denylist?limit=1&cursor="+cursor, &denied)
	if len(denied.Denylist) != 1 || denied.Denylist[0].ID == first || denied.Next != "" {
		c.t.Errorf("the second page: %+v", denied)
	}
	c.fillDenylist()
	c.ask("DELETE", "/api/v1/denylist/"+first, 204)
	c.ask("DELETE", "/api/v1/denylist/"+first, 404)
}

// fillDenylist leaves no room on it, as only who has the admin token can.
func (c *apiClient) fillDenylist() {
	c.t.Helper()
	for i := 0; ; i++ {
		if _, _, err := c.server.access.Deny(auth.Entry{Token: fmt.Sprint("filler-", i)}, time.Hour); err != nil {
			break
		}
	}
	c.send("POST", "/api/v1/denylist", `{"token":"one-more","ttl":"1h"}`, 409)
}

// nothingMore finds the denylist as a server that ends, or has handed over, leaves it to the next.
func (c *apiClient) nothingMore() {
	c.t.Helper()
	c.server.denyFile.close(c.t.Context())
	c.send("POST", "/api/v1/denylist", `{"token":"too-late","ttl":"1h"}`, 503)
	c.ask("DELETE", "/api/v1/denylist/1", 503)
}

// guesses shows wrong tokens until nobody listens any more.
func (c *apiClient) guesses() {
	c.t.Helper()
	c.token = "open-sesame"
	for range 10 {
		c.ask("GET", "/api/v1/sessions", 401)
	}
	c.token = "sesame"
	c.ask("GET", "/api/v1/sessions", 429)
}
