package main

import (
	"encoding/json"

	"github.com/headwater-live/headwater/auth"
	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/ingest"
	"github.com/headwater-live/headwater/remux"
)

// admission is what another process has to know of somebody who was let in.
type admission struct {
	auth.Admission
	// Policy is the kind of the policy that has decided, if its keys may be taken away; "" for others.
	Policy config.Policy
}

// carried is the admission of a publisher who is about to be let in.
func (a *access) carried(r auth.Request, d auth.Decision) json.RawMessage {
	carried := admission{Admission: a.Admit(r, d)}
	for kind, swap := range a.current.Load().swaps {
		if d.DecidedBy(swap) {
			carried.Policy = kind
		}
	}
	text, err := json.Marshal(carried)
	if err != nil { // a time in the far future: it cannot go on elsewhere
		a.logger.Debug("an admission cannot be carried", "err", err)
		return nil
	}
	return text
}

// goOn is what ingest asks about publishers of the process before this one.
func (a *access) goOn(text json.RawMessage) ingest.Decision {
	var carried admission
	if json.Unmarshal(text, &carried) != nil { // whose error might quote what is secret
		return ingestRefusal(auth.Decision{Code: auth.NotAllowed, Reason: "the process before has not said what its permission is"})
	}
	p := a.current.Load()
	by := p.swaps[carried.Policy]
	if carried.Policy != "" && by == nil && p.settings.EndOnRemoval {
		return ingestRefusal(auth.Decision{Code: auth.Revoked, Reason: "what let it in counts no more by the configuration of this process"})
	}
	r, d := carried.Again(by)
	return a.admitted(r, d, text)
}

// admitted is the decision to let in who was allowed.
func (a *access) admitted(r auth.Request, d auth.Decision, carried json.RawMessage) ingest.Decision {
	return ingest.Decision{
		Allowed: true, Credential: d.Credential, Stream: remux.StreamName(d.Stream), MaxBitrate: d.MaxBitrate, Admission: carried,
		Enter: func(end func(ingest.EndCause)) (func(), *ingest.Decision) {
			leave, refusal := a.Enter(r, d, func(cause auth.EndCause) { end(ingest.EndCause(cause)) })
			if refusal != nil {
				told := ingestRefusal(*refusal)
				return nil, &told
			}
			return leave, nil
		},
	}
}
