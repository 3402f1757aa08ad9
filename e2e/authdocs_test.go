package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTheDocumentedProgramsSign runs the programs of docs/auth.md with the documented vectors.
func TestTheDocumentedProgramsSign(t *testing.T) {
	t.Parallel()
	ctx := limit(t, 2*time.Minute)
	page, err := os.ReadFile("../docs/auth.md")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("../auth/testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Secret, Action, Stream, Address, Token string
		Expires                                int64
	}
	if err := json.Unmarshal(raw, &vectors); err != nil || len(vectors) == 0 {
		t.Fatalf("%d vectors, %v", len(vectors), err)
	}
	dir := t.TempDir()
	for language, tool := range map[string][]string{
		"go": {filepath.Join(dir, "sign")}, "js": {"node", filepath.Join(dir, "sign.js")}, "python": {"python3", filepath.Join(dir, "sign.python")},
	} {
		_, after, found := strings.Cut(string(page), "```"+language+"\n")
		program, _, closed := strings.Cut(after, "\n```")
		if !found || !closed {
			t.Errorf("docs/auth.md has no program in %s", language)
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, "sign."+language), []byte(program), 0o600); err != nil {
			t.Fatal(err)
		}
		if language == "go" {
			if err := run(command(ctx, t, "go", "build", "-o", tool[0], filepath.Join(dir, "sign.go"))).clean(); err != nil {
				t.Fatal(err)
			}
		}
		for _, v := range vectors {
			o := run(command(ctx, t, tool[0], append(tool[1:], v.Secret, v.Action, v.Stream, fmt.Sprint(v.Expires), v.Address)...))
			if err := o.clean(); err != nil || strings.TrimSpace(o.stdout) != v.Token {
				t.Errorf("%s: %s, want %s (%v)", language, o.stdout, v.Token, err)
			}
			if !strings.Contains(string(page), v.Token) {
				t.Errorf("docs/auth.md does not have the vector %s", v.Token)
			}
		}
	}
}
