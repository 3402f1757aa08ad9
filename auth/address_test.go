package auth

import (
	"strings"
	"testing"
)

func TestWithoutConfigurationOnlyThisMachinePublishes(t *testing.T) {
	for remote, want := range map[string]bool{
		"127.0.0.1:4000":          true,
		"127.9.9.9:4000":          true,
		"[::1]:4000":              true,
		"[::ffff:127.0.0.1]:4000": true,
		"192.0.2.7:4000":          false,
		"[2001:db8::1]:4000":      false,
		"[::ffff:192.0.2.7]:4000": false,
	} {
		d := decide(t, Loopback{}, request(remote, "token=abcdef"))
		if d.Allowed != want {
			t.Errorf("%s: allowed %v, want %v", remote, d.Allowed, want)
		}
		if !d.Allowed && !strings.Contains(d.Reason, "auth.publish") {
			t.Errorf("%s: the refusal does not say what to set: %q", remote, d.Reason)
		}
	}
}

func TestTheSamePublisherHasTheSameCredential(t *testing.T) {
	first := decide(t, Open{}, request("192.0.2.7:4000", "token=abc"))
	again := decide(t, Open{}, request("192.0.2.7:4001", "token=abc"))
	if first.Credential != again.Credential {
		t.Error("a reconnecting publisher is not known again")
	}
	for _, other := range []Request{request("192.0.2.8:4000", "token=abc"), request("192.0.2.7:4000", "token=abd")} {
		if decide(t, Open{}, other).Credential == first.Credential {
			t.Errorf("%v is taken for somebody else", other.Remote)
		}
	}
}

func TestNobodyPassesDeny(t *testing.T) {
	expect(t, Deny{}, asking(Publish, "live/test", "token=x"), NotAllowed)
	expect(t, Deny{}, asking(Play, "live/test", "token=x"), NotAllowed)
}
