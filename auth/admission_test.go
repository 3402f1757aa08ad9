package auth

import (
	"encoding/json"
	"testing"
	"time"
)

// admitted takes an admission to another process and enters there; it returns why somebody was sent away, "" if nobody was.
func admitted(t *testing.T, a Admission, by *Swap, config GateConfig) EndCause {
	t.Helper()
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var there Admission
	if err := json.Unmarshal(text, &there); err != nil {
		t.Fatal(err)
	}
	ended := make(chan EndCause, 2)
	r, d := there.Again(by)
	leave, refusal := NewGate(config).Enter(r, d, func(c EndCause) { ended <- c })
	if refusal != nil {
		t.Fatal(refusal.Reason)
	}
	defer leave()
	select {
	case cause := <-ended:
		return cause
	case <-time.After(50 * time.Millisecond):
		return ""
	}
}

func TestAnAdmissionLetsInWithoutAskingAgain(t *testing.T) {
	yes := Decision{Allowed: true, Credential: "c\xff", Stream: "live/public", MaxDuration: time.Hour, MaxBitrate: 7, TokenID: "id"}
	kept, gone := NewSwap(policyOf(func(Request) Decision { return yes })), NewSwap(Deny{})
	late := NewSwap(policyOf(func(Request) Decision { return refuse(Expired, "too late") }))
	now := at(jwtNow)
	r := asking(Publish, "live/asked", "token=abc\xff")
	here := NewGate(GateConfig{Publish: kept, Now: now.now})
	d := expect(t, here, r, "")
	if !d.DecidedBy(kept) || d.DecidedBy(gone) || d.DecidedBy(nil) {
		t.Error("who has decided is not known")
	}
	a := here.Admit(r, d)
	if want := now.t.Add(time.Hour); !a.Expires.Equal(want) {
		t.Errorf("it ends at %v, want %v", a.Expires, want)
	}
	if asked, got := a.Again(nil); asked != r || !got.Allowed || got.Credential != "c\xff" || got.Stream != "live/public" || got.MaxBitrate != 7 || got.TokenID != "id" {
		t.Errorf("decided %+v", got)
	}
	for name, test := range map[string]struct {
		by     *Swap
		config GateConfig
		want   EndCause
	}{
		"by a policy that would":       {kept, GateConfig{Now: now.now}, ""},
		"by one that is open":          {nil, GateConfig{Now: now.now}, ""},
		"by one whose key is gone":     {gone, GateConfig{Now: now.now}, EndRevoked},
		"and who may stay":             {gone, GateConfig{Now: now.now, KeepRemoved: true}, ""},
		"by a token that has expired":  {late, GateConfig{Now: now.now}, ""},
		"when the permission is over":  {kept, GateConfig{Now: at(jwtNow + 3600).now}, EndExpired},
		"and who may stay nonetheless": {kept, GateConfig{Now: at(jwtNow + 3600).now, KeepAtExpiry: true}, ""},
	} {
		if got := admitted(t, a, test.by, test.config); got != test.want {
			t.Errorf("%s: sent away because %q, want %q", name, got, test.want)
		}
	}
}

// TestAPermissionOfAlmostForEverCanBeSaid has what comes of a token whose time is in milliseconds.
func TestAPermissionOfAlmostForEverCanBeSaid(t *testing.T) {
	now := at(jwtNow)
	far := time.Unix(jwtNow*1000, 0)
	here := NewGate(GateConfig{Publish: policyOf(func(Request) Decision { return Decision{Allowed: true, Expires: far} }), Now: now.now})
	r := asking(Publish, "live/test", "")
	d := expect(t, here, r, "")
	if cause := admitted(t, here.Admit(r, d), nil, GateConfig{Now: now.now}); cause != "" {
		t.Errorf("it was sent away: %s", cause)
	}
	leave, refusal := here.Enter(r, d, func(EndCause) {})
	if refusal != nil {
		t.Fatal(refusal.Reason)
	}
	defer leave()
	if _, err := json.Marshal(here.Sessions("")); err != nil {
		t.Errorf("who is in cannot be listed: %v", err)
	}
}
