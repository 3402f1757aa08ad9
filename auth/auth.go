// Package auth says who may publish, and why not.
//
// A Policy answers for one kind of request. Without any configuration publishing is
// allowed from this machine only, and the refusal tells the operator what to set;
// watching is open. Keys, signed URLs, JWT and callbacks are policies too.
package auth

import (
	"fmt"
	"net/netip"
)

// Request is what somebody asks for.
type Request struct {
	// Stream is "APP/NAME".
	Stream string
	// Query is the raw query of the stream's URL, where tokens travel. It is secret:
	// no error and no log may have it.
	Query string
	// Remote is where the request comes from.
	Remote netip.AddrPort
}

// Decision is the answer to a request.
type Decision struct {
	Allowed bool
	// Reason tells the person at the encoder why not, and what to do about it.
	Reason string
	// Credential identifies the publisher when it comes back: only the same one may
	// take its stream over. It is compared, never shown.
	Credential string
}

// Policy decides on requests to publish.
type Policy interface {
	Decide(Request) Decision
}

// Loopback allows publishing from this machine only: the policy of a server that
// nobody has configured.
type Loopback struct{}

// Decide implements Policy.
func (Loopback) Decide(r Request) Decision {
	if !r.Remote.Addr().Unmap().IsLoopback() {
		return Decision{Reason: fmt.Sprintf("publishing from %s is not allowed: this server takes streams from its own "+
			"machine only, until its operator sets auth.publish", r.Remote.Addr().Unmap())}
	}
	return Decision{Allowed: true, Credential: credential(r)}
}

// Open allows everybody to publish.
type Open struct{}

// Decide implements Policy.
func (Open) Decide(r Request) Decision {
	return Decision{Allowed: true, Credential: credential(r)}
}

// credential is what makes a publisher the same one when it comes back: its address
// and the query it publishes with.
func credential(r Request) string {
	return r.Remote.Addr().Unmap().String() + "?" + r.Query
}
