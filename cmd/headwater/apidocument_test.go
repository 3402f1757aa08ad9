package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Not seen here: properties of what this server does not have.
var unseenProperties = []string{
	"further_tracks", "id", "kind", // a multitrack publication
	"since", // a storage that fails
}

// Not asked for here: an answer that says how long the server runs, so that no entity tag fits twice, and what takes
// too many clients.
var unasked = []string{"get /api/v1/server 304", "get /api/v1/events 503"}

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
				if status == "default" { // see TestEveryProblemIsInTheDocument
					continue
				}
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

// TestEveryProblemIsInTheDocument reads the codes of problems where they are made: not all can be provoked.
func TestEveryProblemIsInTheDocument(t *testing.T) {
	text, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]bool{}
	files, err := filepath.Glob("../../admin/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`problem\(w, [\w.]+, "([a-z-]+)"`).FindAllSubmatch(source, -1) {
			made[string(m[1])] = true
		}
	}
	for _, m := range regexp.MustCompile(`urn:headwater:problem:([a-z-]+)\n`).FindAllSubmatch(text, -1) {
		if code := string(m[1]); !made[code] {
			t.Errorf("the document has %s, which no answer has", code)
		}
		delete(made, string(m[1]))
	}
	for code := range made {
		t.Errorf("the document does not have %s", code)
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
