package auth

import (
	"context"
	"fmt"
)

// Loopback allows what comes from this machine: publishing, on a server that nobody has configured. What a proxy on this
// machine passes on does not come from it, as far as the proxy says what it is.
type Loopback struct{}

// Decide implements Policy.
func (Loopback) Decide(_ context.Context, r Request) Decision {
	if r.Reserved {
		return reserved()
	}
	from := r.Remote.Addr().Unmap()
	if from.IsLoopback() && !r.Relayed {
		return Decision{Allowed: true, Local: true, Credential: addressAndQuery(r)}
	}
	if r.Action == Publish {
		return refuse(NotAllowed, fmt.Sprintf("publishing from %s is not allowed: this server takes streams from its own "+
			"machine only, until its operator sets auth.publish", from))
	}
	if from.IsLoopback() {
		return refuse(NotAllowed, "this stream can be watched by programs on the server's own machine only: at 127.0.0.1 or "+
			"localhost, not through a proxy, and not by a web page of another site")
	}
	return refuse(NotAllowed, "this stream can be watched on the server's own machine only, until its operator sets auth.watch")
}

// Open allows everybody.
type Open struct{}

// Decide implements Policy.
func (Open) Decide(_ context.Context, r Request) Decision {
	if r.Action != Publish {
		return Decision{Allowed: true} // nobody asks a viewer who it is
	}
	if r.Reserved {
		return reserved()
	}
	return Decision{Allowed: true, Credential: addressAndQuery(r)}
}

// Deny allows nobody.
type Deny struct{}

// Decide implements Policy.
func (Deny) Decide(_ context.Context, r Request) Decision {
	if r.Action == Publish {
		return refuse(NotAllowed, "nobody may publish under this name: check the server and the stream key")
	}
	return refuse(NotAllowed, "this stream is not public")
}

// addressAndQuery is what makes a publisher the same one when it comes back and nothing better is known: its address
// and the query it publishes with.
func addressAndQuery(r Request) string {
	return "address " + r.Remote.Addr().Unmap().String() + "?" + r.Query
}
