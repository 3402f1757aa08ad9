package hlscheck

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Each rule of the catalogue has a case that breaks it, so none is only on paper.
func TestEveryRuleHasACaseThatBreaksIt(t *testing.T) {
	broken := map[string]bool{}
	for _, cases := range [][]spoiled{playlistCases, historyCases, packetCases, payloadCases} {
		for _, c := range cases {
			broken[c.rule] = true
		}
	}
	for _, c := range httpCases {
		broken[c.rule] = true
	}
	for _, c := range liveCases {
		broken[c.rule] = true
	}
	broken["empty-body"] = true // breaks with playlist-empty-body
	for id := range catalogue {
		if !broken[id] {
			t.Errorf("no case breaks %s", id)
		}
	}
	for id := range broken {
		if _, ok := catalogue[id]; !ok {
			t.Errorf("a case breaks %s, which the catalogue does not know", id)
		}
	}
}

// Each id in the code stands in the catalogue, and the other way round.
func TestCatalogueAndCodeAgree(t *testing.T) {
	id := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$|^(range|gzip|vary|cookie|redirect|preflight)$`)
	used := map[string]bool{}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 3 {
				return true
			}
			literal, ok := call.Args[0].(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			if s, err := strconv.Unquote(literal.Value); err == nil && id.MatchString(s) {
				used[s] = true
			}
			return true
		})
	}
	for s := range used {
		if _, ok := catalogue[s]; !ok {
			t.Errorf("the code reports %s, which the catalogue does not know", s)
		}
	}
	for s := range catalogue {
		if !used[s] {
			t.Errorf("nothing reports %s", s)
		}
	}
}
