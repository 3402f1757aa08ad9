package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/headwater-live/headwater/auth"
)

// Policy names a policy of auth.publish and auth.watch.
type Policy string

// The policies.
const (
	PolicyOpen     Policy = "open"     // everybody
	PolicyLoopback Policy = "loopback" // programs on this machine
	PolicyDeny     Policy = "deny"     // nobody
	PolicyKeys     Policy = "keys"     // auth.key and auth.keys_file; for publishing only
	PolicySigned   Policy = "signed"   // URLs signed with auth.secret
	PolicyJWT      Policy = "jwt"      // JSON Web Tokens
	PolicyCallback Policy = "callback" // auth.callback_url
)

var policies = []Policy{PolicyOpen, PolicyLoopback, PolicyDeny, PolicyKeys, PolicySigned, PolicyJWT, PolicyCallback}

// Rule says which policies are asked about the streams of a pattern, in turn: the first that allows wins.
type Rule struct {
	Pattern  string // "*", or APP/NAME in which either part may be or end with "*"
	Policies []Policy
}

// Rules are tried from the first: the first whose pattern matches decides.
type Rules []Rule

// Uses says whether any rule asks a policy.
func (r Rules) Uses(p Policy) bool {
	return slices.ContainsFunc(r, func(rule Rule) bool { return slices.Contains(rule.Policies, p) })
}

// Ask says whether a policy is asked about a stream, "APP/NAME".
func (r Rules) Ask(stream string, p Policy) bool {
	for _, rule := range r {
		if auth.Pattern(rule.Pattern).Match(stream) {
			return slices.Contains(rule.Policies, p)
		}
	}
	return false
}

// Only says whether there is nothing but this policy, for all streams.
func (r Rules) Only(p Policy) bool {
	return len(r) == 1 && r[0].Pattern == "*" && slices.Equal(r[0].Policies, []Policy{p})
}

// String writes rules as they are read.
func (r Rules) String() string {
	parts := make([]string, len(r))
	for i, rule := range r {
		names := make([]string, len(rule.Policies))
		for j, p := range rule.Policies {
			names[j] = string(p)
		}
		parts[i] = strings.Join(names, ", ")
		if rule.Pattern != "*" || i < len(r)-1 {
			parts[i] = rule.Pattern + " = " + parts[i]
		}
	}
	return strings.Join(parts, "; ")
}

// maxRules bounds the rules: each is tried for each request until one matches.
const maxRules = 1000

// rules is a list of policies, such as "keys, signed", or one for each pattern of streams, such as
// "members/* = jwt; studio/* = keys, loopback; open". None may have a policy of but.
func rules(p *Rules, but ...Policy) value {
	set := func(s string) error {
		var list Rules
		for part := range strings.SplitSeq(s, ";") {
			rule, err := parseRule(part, but)
			if err != nil {
				return err
			}
			if n := len(list); n > 0 && list[n-1].Pattern == "*" {
				return errors.New("a rule behind one for all streams would never be asked")
			}
			list = append(list, rule)
		}
		if len(list) > maxRules {
			return fmt.Errorf("has more than %d rules", maxRules)
		}
		*p = list
		return nil
	}
	return value{kind: "rules", set: set, get: func() string { return p.String() }}
}

func parseRule(part string, but []Policy) (Rule, error) {
	rule := Rule{Pattern: "*"}
	if pattern, rest, ok := strings.Cut(part, "="); ok {
		rule.Pattern, part = strings.TrimSpace(pattern), rest
	}
	if !auth.Pattern(rule.Pattern).Valid() {
		return rule, fmt.Errorf(`%q is not a pattern, such as live/test, live/* or "*"`, rule.Pattern)
	}
	for name := range strings.SplitSeq(part, ",") {
		policy := Policy(strings.TrimSpace(name))
		switch {
		case !slices.Contains(policies, policy) || slices.Contains(but, policy):
			var names []string
			for _, p := range policies {
				if !slices.Contains(but, p) {
					names = append(names, string(p))
				}
			}
			return rule, fmt.Errorf("%q is not one of %s", string(policy), strings.Join(names, ", "))
		case slices.Contains(rule.Policies, policy):
			return rule, fmt.Errorf("%q is named twice", string(policy))
		}
		rule.Policies = append(rule.Policies, policy)
	}
	return rule, nil
}
