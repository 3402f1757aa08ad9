package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
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
	got, header, answer := c.exchange(method, path, body, headers...)
	if got != status {
		c.t.Fatalf("%s %s: %d, want %d: %s", method, path, got, status, answer)
	}
	return header, answer
}

// exchange makes a request whose answer must fit the document, whatever its status.
func (c *apiClient) exchange(method, path, body string, headers ...string) (status int, header http.Header, answer []byte) {
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
	if answer, err = io.ReadAll(resp.Body); err != nil {
		c.t.Fatal(err)
	}
	status = resp.StatusCode
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
	return status, resp.Header, answer
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
