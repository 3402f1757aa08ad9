package auth

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestPatternsMatchWhatTheySay(t *testing.T) {
	for _, test := range []struct {
		pattern, stream string
		want            bool
	}{
		{"*", "live/test", true}, {"live/*", "live/test", true}, {"live/test", "live/test", true},
		{"*/test", "live/test", true}, {"live/cam-*", "live/cam-1", true}, {"li*/t*", "live/test", true},
		{"live/cam-*", "live/cam-", true}, {"live/*", "liver/test", false}, {"live/test", "live/test2", false},
		{"live/cam-*", "live/camera", false}, {"live/*", "live/", false}, {"*", "", false}, {"", "live/test", false},
		{"live", "live/test", false}, {"live/", "live/", false}, {"/test", "/test", false},
		{"live/te*t", "live/test", false}, {"live/*/x", "live/a/x", false}, {"live/*", "", false},
	} {
		if got := Pattern(test.pattern).Match(test.stream); got != test.want {
			t.Errorf("%q matches %q: %v, want %v", test.pattern, test.stream, got, test.want)
		}
	}
}

func TestOnlyPatternsThatCanMatchAreValid(t *testing.T) {
	for _, p := range []Pattern{"*", "live/*", "*/*", "live/test", "live/cam-*", "a.b/c_d-*"} {
		if !p.Valid() {
			t.Errorf("%q is not valid", p)
		}
	}
	for _, p := range []Pattern{"", "live", "live/", "/x", "live/te*t", "live/.x", "live/a b", "live/x/y", "**", "live/**", "live/ü"} {
		if p.Valid() {
			t.Errorf("%q is valid", p)
		}
	}
}

func answering(d Decision) Policy {
	return PolicyFunc(func(context.Context, Request) Decision { return d })
}

func TestTheFirstRuleThatMatchesDecides(t *testing.T) {
	rules := Rules{
		{Pattern: "members/*", Policies: []Policy{Deny{}}},
		{Pattern: "*", Policies: []Policy{Open{}}},
	}
	expect(t, rules, asking(Play, "members/x", ""), NotAllowed)
	expect(t, rules, asking(Play, "live/x", ""), "")
	expect(t, rules[:1], asking(Play, "live/x", ""), NotAllowed)
	expect(t, Rules{{Pattern: "*"}}, asking(Play, "live/x", ""), NotAllowed)
}

func TestTheFirstPolicyThatAllowsWins(t *testing.T) {
	rules := Rules{{Pattern: "*", Policies: []Policy{
		answering(refuse(BadToken, "no")), answering(Decision{Allowed: true, TokenID: "second"}), answering(Decision{Allowed: true, TokenID: "third"}),
	}}}
	if d := expect(t, rules, asking(Publish, "live/x", ""), ""); d.TokenID != "second" {
		t.Errorf("%q decided", d.TokenID)
	}
}

func TestTheRefusalThatTellsMostIsGiven(t *testing.T) {
	no, missing, bad, expired := refuse(NotAllowed, "no"), refuse(NoToken, "missing"), refuse(BadToken, "bad"), refuse(Expired, "expired")
	for _, test := range []struct {
		of   []Decision
		want Code
	}{
		{[]Decision{no, missing}, NoToken}, {[]Decision{missing, no}, NoToken}, {[]Decision{bad, missing, no}, BadToken},
		{[]Decision{expired, bad}, Expired}, {[]Decision{bad, expired}, Expired}, {[]Decision{no}, NotAllowed},
	} {
		var rule Rule
		rule.Pattern = "*"
		for _, d := range test.of {
			rule.Policies = append(rule.Policies, answering(d))
		}
		expect(t, Rules{rule}, asking(Publish, "live/x", ""), test.want)
	}
}

func TestARefusalIsKeptNoLongerThanEachOfThemMay(t *testing.T) {
	long, short := refuse(CallbackRefused, "no"), refuse(BadToken, "no")
	long.CacheFor = time.Minute
	rules := Rules{{Pattern: "*", Policies: []Policy{answering(long), answering(short)}}}
	if d := expect(t, rules, asking(Publish, "live/x", ""), CallbackRefused); d.CacheFor != 0 {
		t.Errorf("it is kept for %v", d.CacheFor)
	}
}

func TestParametersAreFoundInRawQueries(t *testing.T) {
	for query, want := range map[string]string{
		"token=abc": "abc", "a=b&token=abc": "abc", "token=abc&token=def": "abc", "xtoken=abc": "", "token": "", "": "",
		"token=a%2Bb": "a+b", "token=a+b": "a b", "token=%zz": "", "&&token=abc&": "abc", "token=a=b": "a=b", "TOKEN=abc": "",
	} {
		if got := Token(query); got != want {
			t.Errorf("the token of %q is %q, want %q", query, got, want)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, q := range []string{"token=abc", "a=b&token=%41&key=x", "token=%", "&=&token==", strings.Repeat("&", 99)} {
		f.Add(q, "hw1.1.x")
	}
	f.Fuzz(func(t *testing.T, query, token string) {
		if got := Token(WithToken(query, token)); got != token {
			t.Errorf("the token %q is read as %q", token, got)
		}
		if key := Parameter(query, keyParameter); len(key) > len(query) {
			t.Errorf("%q has the key %q", query, key)
		}
	})
}

func FuzzPattern(f *testing.F) {
	f.Add("live/*", "live/test")
	f.Add("*", "a/b")
	f.Add("a/b*", "a/bc")
	f.Fuzz(func(t *testing.T, pattern, stream string) {
		p := Pattern(pattern)
		if p.Match(stream) && p.Valid() && !strings.Contains(pattern, "*") && pattern != stream {
			t.Errorf("%q matches %q", pattern, stream)
		}
		if p.Valid() && !strings.Contains(pattern, "*") && !p.Match(pattern) {
			t.Errorf("%q does not match itself", pattern)
		}
	})
}
