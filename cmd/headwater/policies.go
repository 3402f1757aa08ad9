package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/headwater-live/headwater/auth"
	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/remux"
)

// policies are who may publish and watch by one configuration, and what they are made of: files that may change, keys
// that are fetched, a backend that is asked.
type policies struct {
	settings config.Auth
	logger   *slog.Logger
	ctx      context.Context // ends the following of files
	end      context.CancelFunc

	files    *fileWatch
	swaps    map[config.Policy]*auth.Swap  // those that files are behind; who was let in is known by them
	read     map[config.Policy]auth.Policy // what is to be in them
	jwks     *keySet                       // nil if there is none
	callback *auth.Callback                // nil if there is none
}

// keySet is a JWKS. Policies hand it on to those that take their place, so that its keys need not be fetched again.
type keySet struct {
	*auth.JWKS
	ctx context.Context
	end context.CancelFunc
}

// newPolicies makes policies, which nobody asks and nothing feeds yet. What does not differ from older ones is theirs.
func (a *access) newPolicies(settings config.Auth, old *policies) (*policies, error) {
	p := &policies{
		settings: settings, logger: a.logger,
		swaps: map[config.Policy]*auth.Swap{}, read: map[config.Policy]auth.Policy{},
	}
	p.files = newFileWatch(settings.SecretFiles()...)
	p.ctx, p.end = context.WithCancel(a.ctx)
	switch {
	case settings.JWKSURL == "":
	case old != nil && old.settings.JWKSURL == settings.JWKSURL:
		p.jwks = old.jwks
	default:
		p.jwks = &keySet{JWKS: auth.NewJWKS(settings.JWKSURL, settings.JWKSRefresh, a.logger)}
	}
	for _, kind := range []config.Policy{config.PolicyKeys, config.PolicySigned, config.PolicyJWT} {
		if settings.Publish.Uses(kind) || settings.Watch.Uses(kind) {
			policy, err := p.make(kind)
			if err != nil {
				p.end()
				return nil, err
			}
			p.read[kind] = policy
			if old != nil && old.swaps[kind] != nil {
				p.swaps[kind] = old.swaps[kind]
			} else {
				p.swaps[kind] = auth.NewSwap(policy)
			}
		}
	}
	if settings.CallbackURL != "" {
		p.callback = auth.NewCallback(auth.CallbackConfig{
			URL: settings.CallbackURL, Timeout: settings.CallbackTimeout,
			AllowOnFailure: settings.CallbackOnFailure == config.FailureAllow,
			ValidStream: func(name string) bool {
				app, name, _ := strings.Cut(name, "/")
				_, err := remux.ParseStreamName(app, name)
				return err == nil
			},
			Logger: a.logger,
		})
	}
	return p, nil
}

// gate configures the gate that asks the policies.
func (p *policies) gate(cfg *config.Config) auth.GateConfig {
	var names auth.Names
	if keys := p.swaps[config.PolicyKeys]; keys != nil {
		names = keys
	}
	return auth.GateConfig{
		Publish: p.rules(p.settings.Publish), Play: p.rules(p.settings.Watch), Names: names,
		Limits: auth.Limits{
			Publishers: cfg.Stream.MaxPublishers, Viewers: cfg.Stream.MaxViewers, ViewersPerStream: cfg.Stream.MaxViewersPerStream,
		},
		KeepAtExpiry: !p.settings.EndAtExpiry,
		KeepRemoved:  !p.settings.EndOnRemoval,
		Lapse:        max(minLapse, lapseSegments*cfg.HLS.Segment),
	}
}

// follow begins to keep policies up to date, until succeed ends that or the server stops.
func (a *access) follow(p *policies) {
	if p.jwks != nil && p.jwks.ctx == nil {
		p.jwks.ctx, p.jwks.end = context.WithCancel(a.ctx)
		a.feeding.Go(func() { p.jwks.Run(p.jwks.ctx) })
		a.feeding.Go(func() { a.recheckFetched(p.jwks) })
	}
	a.feeding.Go(func() {
		p.files.run(p.ctx, a.logger, func() { a.reload(p) })
		if p.callback != nil {
			<-p.ctx.Done()
			p.callback.Close()
		}
	})
}

// recheckFetched asks about those inside again whenever the keys of a URL are others: whose key is gone is out, as if it
// had gone from a file. Until they are there for the first time nobody knows whether those inside are still let in.
func (a *access) recheckFetched(set *keySet) {
	for {
		select {
		case <-set.Changed():
			a.renew(set)
		case <-set.ctx.Done():
			return
		}
	}
}

// renew has the keys of a URL decide that were fetched.
func (a *access) renew(set *keySet) {
	a.changing.Lock()
	defer a.changing.Unlock()
	p := a.current.Load()
	swap := p.swaps[config.PolicyJWT]
	if p.jwks != set || swap == nil {
		return
	}
	swap.Renew()
	a.Forget()
	a.logger.Info("keys of tokens were fetched, and are others", "ended", a.Recheck(swap))
}

// succeed ends older policies but for what is handed on. Who asks one of them at this moment still gets its answer.
func (p *policies) succeed(old *policies) {
	old.end()
	if old.jwks != nil && old.jwks != p.jwks && old.jwks.end != nil {
		old.jwks.end()
	}
}

// make makes a policy of what the files say now.
func (p *policies) make(kind config.Policy) (auth.Policy, error) {
	switch kind {
	case config.PolicyKeys:
		keys, err := p.settings.Keys()
		if err != nil {
			return nil, fmt.Errorf("read publish keys: %w", err)
		}
		return keys, nil
	case config.PolicySigned:
		secrets, err := p.settings.Secrets()
		if err != nil {
			return nil, fmt.Errorf("read secrets: %w", err)
		}
		return auth.NewSigned(secrets)
	default:
		keys, err := p.settings.JWTKeys()
		if err != nil {
			return nil, fmt.Errorf("read keys of tokens: %w", err)
		}
		c := auth.JWTConfig{Keys: keys, Issuer: p.settings.JWTIssuer, Audience: p.settings.JWTAudience}
		if p.jwks != nil {
			c.Remote = p.jwks.JWKS
		}
		return auth.NewJWT(c), nil
	}
}

// reload reads the files of policies again, unless others have taken their place. What is not right leaves that policy as
// it was.
func (a *access) reload(p *policies) {
	a.changing.Lock()
	defer a.changing.Unlock()
	if p.ctx.Err() != nil || a.current.Load() != p {
		return
	}
	for kind, swap := range p.swaps {
		policy, err := p.make(kind)
		if err != nil {
			a.logger.Error("keys were not read again, the old ones stay", "policy", string(kind), "error", err)
			a.stale.set(staleName(kind), true)
			continue
		}
		a.replace(kind, swap, policy)
	}
}

func (p *policies) rules(rules config.Rules) auth.Rules {
	var list auth.Rules
	for _, r := range rules {
		rule := auth.Rule{Pattern: auth.Pattern(r.Pattern)}
		for _, kind := range r.Policies {
			rule.Policies = append(rule.Policies, p.policy(kind))
		}
		list = append(list, rule)
	}
	return list
}

func (p *policies) policy(kind config.Policy) auth.Policy {
	switch kind {
	case config.PolicyOpen:
		return auth.Open{}
	case config.PolicyLoopback:
		return auth.Loopback{}
	case config.PolicyCallback:
		return p.callback
	case config.PolicyKeys, config.PolicySigned, config.PolicyJWT:
		return p.swaps[kind]
	}
	return auth.Deny{}
}
