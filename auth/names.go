package auth

// Names knows secret names: who has one publishes under it, and is seen under another. [Keys] and [Swap] are Names.
//
// A Gate resolves a secret name before any rule is looked for and any policy is asked. So no order of rules or policies
// can publish under a secret name, and rules are about the name that viewers see.
//
// The stream that a secret name stands for is reserved: it belongs to whoever has that name. What lets somebody publish
// many streams, or every one (an open or loopback rule, a key or a token for a pattern, a backend that does not answer),
// does not let them publish that one; what names it does.
type Names interface {
	// Public returns the stream that a secret name "APP/NAME" stands for, "" if it is none.
	Public(name string) string
	// Reserved reports whether a secret name stands for a stream.
	Reserved(stream string) bool
}

// resolve replaces a secret name by the public one.
func resolve(names Names, r Request) Request {
	r.Secret, r.Reserved = "", false
	if names == nil || r.Action != Publish {
		return r
	}
	if public := names.Public(r.Stream); public != "" {
		r.Secret, r.Stream = r.Stream, public
	}
	r.Reserved = names.Reserved(r.Stream)
	return r
}

// reserved refuses a name that only its own key opens.
func reserved() Decision {
	return refuse(NotAllowed, "this name is published with a stream key of its own: check the stream key in the encoder")
}

// Public implements Names, if the policy does.
func (s *Swap) Public(name string) string {
	if n, ok := (*s.policy.Load()).(Names); ok {
		return n.Public(name)
	}
	return ""
}

// Reserved implements Names, if the policy does.
func (s *Swap) Reserved(stream string) bool {
	n, ok := (*s.policy.Load()).(Names)
	return ok && n.Reserved(stream)
}
