package requestid

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestASaneNameIsTakenOverAndNothingElse(t *testing.T) {
	for given, taken := range map[string]bool{
		"7b1b7a0e-8b0b-4e4e-9d51-0c1c35a1c2a5": true, "Root=1-67891233-abcdef012345678912345678": true, "a": true,
		strings.Repeat("x", 64): true, strings.Repeat("x", 65): false, "": false,
		"two words": false, "line\nbreak": false, `quo"te`: false, "ünicode": false, "semi;colon": false, "<tag>": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header[Header] = []string{given}
		if got := Of(r); (got == given) != taken || !Sane(got) {
			t.Errorf("%q became %q", given, got)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header[Header] = []string{"one", "two"}
	if got := Of(r); got == "one" || got == "two" {
		t.Errorf("of two names %q was taken", got)
	}
}

func TestNewNamesDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 10_000 {
		name := New()
		if len(name) != 16 || seen[name] {
			t.Fatalf("%q, again: %t", name, seen[name])
		}
		seen[name] = true
	}
}
