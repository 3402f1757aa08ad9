package auth

import (
	"encoding/json"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

const testSecret = "an-example-secret-of-32-letters!"

// vector is a test vector of docs/auth.md: whoever signs URLs must come to the same token.
type vector struct {
	Secret  string `json:"secret"`
	Action  Action `json:"action"`
	Stream  string `json:"stream"`
	Expires int64  `json:"expires"`
	Address string `json:"address"`
	Token   string `json:"token"`
}

func vectors(t testing.TB) []vector {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []vector
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestTokensAreTheOnesOfTheDocumentedVectors(t *testing.T) {
	for _, v := range vectors(t) {
		g := Grant{Action: v.Action, Stream: v.Stream, Expires: time.Unix(v.Expires, 0)}
		if v.Address != "" {
			g.Address = netip.MustParseAddr(v.Address)
		}
		if got := Sign([]byte(v.Secret), g); got != v.Token {
			t.Errorf("%s %s: %s, want %s", v.Action, v.Stream, got, v.Token)
		}
		p := &Signed{Secrets: [][]byte{[]byte(v.Secret)}, Now: at(v.Expires - 1).now}
		r := asking(v.Action, v.Stream, "token="+v.Token)
		if v.Address != "" {
			r.Remote = netip.AddrPortFrom(netip.MustParseAddr(v.Address), 4000)
		}
		if d := expect(t, p, r, ""); !d.Expires.Equal(g.Expires) || d.TokenID == "" {
			t.Errorf("%+v", d)
		}
	}
}

func signed(secrets ...string) *Signed {
	s, err := NewSigned(secrets)
	if err != nil {
		panic(err)
	}
	s.Now = at(1_800_000_000).now
	return s
}

func signFor(g Grant) string { return "token=" + Sign([]byte(testSecret), g) }

func TestASignedTokenIsGoodForWhatItSaysOnly(t *testing.T) {
	p := signed(testSecret)
	later, earlier := time.Unix(1_800_000_060, 0), time.Unix(1_800_000_000, 0)
	home, away := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.8")
	for _, test := range []struct {
		name string
		g    Grant
		want Code
		says string
	}{
		{"good", Grant{Publish, "live/test", later, netip.Addr{}}, "", ""},
		{"expired", Grant{Publish, "live/test", earlier, netip.Addr{}}, Expired, "expired at 2027-01-15T08:00:00Z"},
		{"another action", Grant{Play, "live/test", later, netip.Addr{}}, BadToken, "for watching"},
		{"another stream", Grant{Publish, "live/test2", later, netip.Addr{}}, BadToken, "not for this stream"},
		{"its address", Grant{Publish, "live/test", later, home}, "", ""},
		{"its address in IPv6", Grant{Publish, "live/test", later, netip.MustParseAddr("::ffff:192.0.2.7")}, "", ""},
		{"another address", Grant{Publish, "live/test", later, away}, BadToken, "192.0.2.7"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := expect(t, p, asking(Publish, "live/test", signFor(test.g)), test.want)
			if !strings.Contains(d.Reason, test.says) {
				t.Errorf("the reason %q does not say %q", d.Reason, test.says)
			}
		})
	}
	expect(t, p, asking(Publish, "live/test", ""), NoToken)
}

func TestATokenIsTakenInOneSpellingOnly(t *testing.T) {
	p := signed(testSecret)
	g := Grant{Action: Play, Stream: "live/test", Expires: time.Unix(1_800_000_060, 0)}
	token := Sign([]byte(testSecret), g)
	parts := strings.Split(token, ".")
	for _, other := range []string{
		"hw1.0" + parts[1] + "." + parts[2], "hw1.+" + parts[1] + "." + parts[2], "hw1." + parts[1] + ".ip." + parts[2],
		"hw1." + parts[1] + "." + parts[2] + "=", "hw1." + parts[1] + "." + parts[2] + ".", "hw2." + parts[1] + "." + parts[2],
		"hw1." + parts[1] + "1." + parts[2], "hw1." + parts[1] + "." + parts[2][:42], "hw1.." + parts[2], "HW1." + parts[1] + "." + parts[2],
		"hw1.-1." + parts[2], "hw1.9999999999999999999." + parts[2], "hw1." + parts[1] + "." + parts[2][:42] + "!", " " + token,
	} {
		expect(t, p, asking(Play, "live/test", "token="+other), BadToken)
	}
	// The last digit of base64 carries bits that say nothing: they must be zero.
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(digits, token[len(token)-1])
	for bits := 1; bits < 4; bits++ {
		expect(t, p, asking(Play, "live/test", "token="+token[:len(token)-1]+digits[last|bits:last|bits+1]), BadToken)
	}
	expect(t, p, asking(Play, "live/test", "token="+token), "")
}

func TestASecretIsReplacedWithoutInvalidatingItsTokens(t *testing.T) {
	g := Grant{Action: Play, Stream: "live/test", Expires: time.Unix(1_800_000_060, 0)}
	expect(t, signed("a-new-secret-of-some-length", testSecret), asking(Play, "live/test", signFor(g)), "")
	expect(t, signed("a-new-secret-of-some-length"), asking(Play, "live/test", signFor(g)), BadToken)
}

func TestShortSecretsAreRefused(t *testing.T) {
	for _, secrets := range [][]string{nil, {"fifteen-letters"}, {testSecret, ""}} {
		if _, err := NewSigned(secrets); err == nil {
			t.Errorf("%d secrets were taken", len(secrets))
		}
	}
}

func FuzzSignedToken(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.Token)
	}
	f.Add("hw1.1.ip.")
	f.Add("hw1.." + strings.Repeat("A", 43))
	p := signed(testSecret)
	f.Fuzz(func(t *testing.T, token string) {
		parsed, err := parseSigned(token)
		if err != nil {
			return
		}
		g := Grant{Expires: time.Unix(parsed.expires, 0)}
		if parsed.bound {
			g.Address = netip.MustParseAddr("::1")
		}
		if again := Sign(nil, g); len(again) != len(token) || again[:len(again)-signatureSize] != token[:len(token)-signatureSize] {
			t.Errorf("%q has another spelling, %q", token, again)
		}
		if d := p.Decide(t.Context(), asking(Play, "live/fuzz", WithToken("", token))); d.Allowed {
			t.Errorf("%q was made up and is taken", token)
		}
	})
}

func BenchmarkSigned(b *testing.B) {
	p := signed(testSecret)
	r := asking(Play, "live/test", signFor(Grant{Action: Play, Stream: "live/test", Expires: time.Unix(1_800_000_060, 0)}))
	b.ReportAllocs()
	for b.Loop() {
		if !p.Decide(b.Context(), r).Allowed {
			b.Fatal("refused")
		}
	}
}
