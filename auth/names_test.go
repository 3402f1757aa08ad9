package auth

import (
	"errors"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TestASecretNameIsNeverSeen asks whatever lets many in before the keys: it lets in nobody under a secret name.
func TestASecretNameIsNeverSeen(t *testing.T) {
	dead := newBackend(t, says(http.StatusOK, ""))
	dead.Close()
	yes := newBackend(t, says(http.StatusOK, `{"allow":true,"cache":60}`))
	s := signers()[algEdDSA]
	token := s.sign(t, ticket(jwt.MapClaims{"action": "publish"}), nil)
	for name, first := range map[string]Policy{
		"loopback": Loopback{}, "open": Open{}, "nothing": Deny{}, "a token for a pattern": jwtPolicy(s.key(t)), "a backend that says yes": callback(yes.URL),
		"a backend that fails": callback(dead.URL, func(c *CallbackConfig) { c.AllowOnFailure = true }),
	} {
		t.Run(name, func(t *testing.T) {
			k := NewSwap(keys(t, "live/alice name:sk_8d2f9c11", "live/other an-ordinary-key"))
			g := NewGate(GateConfig{Names: k, Publish: Rules{
				{Pattern: "live/sk_*", Policies: []Policy{Open{}}}, // rules are about names that are seen
				{Pattern: "live/*", Policies: []Policy{first, k}},
			}})
			for _, asked := range []string{"live/sk_8d2f9c11", "live/sk_8d2f9c11"} { // the second may be a kept decision
				r := asking(Publish, asked, "token="+token)
				r.Remote = netip.MustParseAddrPort("127.0.0.1:4000")
				if d := expect(t, g, r, ""); d.Stream != "live/alice" {
					t.Errorf("%s is seen as %q", asked, d.Stream)
				}
			}
		})
	}
}

// TestAReservedStreamIsItsOwners: what lets somebody publish many streams does not open one that has a secret name.
func TestAReservedStreamIsItsOwners(t *testing.T) {
	dead := newBackend(t, says(http.StatusOK, ""))
	dead.Close()
	s := signers()[algEdDSA]
	signed, err := NewSigned([]string{testSecret})
	if err != nil {
		t.Fatal(err)
	}
	signed.Now = at(jwtNow).now
	k := keys(t, "* the-key-of-all", "live/* key-of-live", "live/alice name:sk_8d2f9c11", "live/alice key-of-alice")
	signedFor := Sign([]byte(testSecret), Grant{Action: Publish, Stream: "live/alice", Expires: time.Unix(jwtNow+60, 0)})
	jwtFor := func(stream any) string {
		return "token=" + s.sign(t, ticket(jwt.MapClaims{"action": "publish", "stream": stream}), nil)
	}
	for _, test := range []struct {
		name   string
		policy Policy
		query  string
		want   bool
	}{
		{"loopback", Loopback{}, "", false}, {"open", Open{}, "", false},
		{"a failing backend", callback(dead.URL, func(c *CallbackConfig) { c.AllowOnFailure = true }), "", false},
		{"the key of all", k, "key=the-key-of-all", false}, {"the key of an application", k, "key=key-of-live", false},
		{"a ticket for an application", jwtPolicy(s.key(t)), jwtFor("live/*"), false},
		{"its own key", k, "key=key-of-alice", true}, {"its own ticket", jwtPolicy(s.key(t)), jwtFor([]string{"live/*", "live/alice"}), true},
		{"a URL that is signed for it", signed, "token=" + signedFor, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := NewGate(GateConfig{Names: k, Publish: test.policy})
			r := asking(Publish, "live/alice", test.query)
			r.Remote = netip.MustParseAddrPort("127.0.0.1:4000")
			if d := decide(t, g, r); d.Allowed != test.want {
				t.Errorf("%+v", d)
			}
			if r.Stream = "live/bob"; test.want {
				return
			}
			if d := decide(t, g, r); !d.Allowed {
				t.Errorf("another stream: %+v", d)
			}
		})
	}
}

func TestABackendCannotGiveAStreamASecretName(t *testing.T) {
	b := newBackend(t, says(http.StatusOK, `{"allow":true,"stream":"live/sk_8d2f9c11"}`))
	k := keys(t, "live/alice name:sk_8d2f9c11")
	g := NewGate(GateConfig{Names: k, Publish: callback(b.URL)})
	expect(t, g, asking(Publish, "live/anything", ""), NotAllowed)
}

func TestAStreamIsNotCalledLikeASecretName(t *testing.T) {
	if _, err := ParseKeys([]string{"live/sk_8d2f9c11 another-key", "live/alice name:sk_8d2f9c11"}); !errors.Is(err, errNameTaken) {
		t.Errorf("error %v", err)
	}
}

func TestADecisionOfBeforeIsNotKept(t *testing.T) {
	var g *Gate
	g = NewGate(GateConfig{Play: policyOf(func(r Request) Decision {
		g.Forget() // what it is decided by changes meanwhile
		return Decision{Allowed: true, CacheFor: time.Hour}
	})})
	expect(t, g, asking(Play, "live/test", ""), "")
	if n := g.cache.size.Load(); n != 0 {
		t.Errorf("%d decisions are kept", n)
	}
}
