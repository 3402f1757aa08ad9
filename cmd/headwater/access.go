package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/headwater-live/headwater/admin"
	"github.com/headwater-live/headwater/auth"
	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/edge"
	"github.com/headwater-live/headwater/hls"
	"github.com/headwater-live/headwater/ingest"
	"github.com/headwater-live/headwater/remux"
)

// access is the gate, and what feeds it: files that may change, keys that are fetched, a backend that is asked. It
// translates between package auth and those who ask it.
type access struct {
	*auth.Gate
	cfg    config.Config
	logger *slog.Logger
	ctx    context.Context // ends waiting for a backend when the server stops
	cancel context.CancelFunc

	files    *fileWatch
	swaps    map[config.Policy]*auth.Swap // those that files are behind
	stale    *staleness
	jwks     *auth.JWKS     // nil if there is none
	callback *auth.Callback // nil if there is none
	// exists reports whether there is such a stream.
	exists func(remux.StreamName) bool
}

// Who watches HLS has left when nothing was asked for within some segments, which may be longer than they should.
const (
	lapseSegments = 6
	minLapse      = 30 * time.Second
)

func newAccess(cfg config.Config, logger *slog.Logger) (*access, error) {
	a := &access{cfg: cfg, logger: logger, swaps: map[config.Policy]*auth.Swap{}, stale: &staleness{}}
	a.exists = func(remux.StreamName) bool { return true }
	a.files = newFileWatch(cfg.Auth.SecretFiles()...)
	a.ctx, a.cancel = context.WithCancel(context.Background())
	if cfg.Auth.JWKSURL != "" {
		a.jwks = auth.NewJWKS(cfg.Auth.JWKSURL, cfg.Auth.JWKSRefresh, logger)
	}
	for _, p := range []config.Policy{config.PolicyKeys, config.PolicySigned, config.PolicyJWT} {
		if cfg.Auth.Publish.Uses(p) || cfg.Auth.Watch.Uses(p) {
			policy, err := a.read(p)
			if err != nil {
				return nil, err
			}
			a.swaps[p] = auth.NewSwap(policy)
			a.stale.set(staleName(p), false)
		}
	}
	if cfg.Auth.CallbackURL != "" {
		a.callback = auth.NewCallback(auth.CallbackConfig{
			URL: cfg.Auth.CallbackURL, Timeout: cfg.Auth.CallbackTimeout,
			AllowOnFailure: cfg.Auth.CallbackOnFailure == config.FailureAllow,
			ValidStream: func(name string) bool {
				app, name, _ := strings.Cut(name, "/")
				_, err := remux.ParseStreamName(app, name)
				return err == nil
			},
			Logger: logger,
		})
	}
	var names auth.Names
	if keys := a.swaps[config.PolicyKeys]; keys != nil {
		names = keys
	}
	a.Gate = auth.NewGate(auth.GateConfig{
		Publish: a.rules(cfg.Auth.Publish), Play: a.rules(cfg.Auth.Watch), Names: names,
		Limits: auth.Limits{
			Publishers: cfg.Stream.MaxPublishers, Viewers: cfg.Stream.MaxViewers, ViewersPerStream: cfg.Stream.MaxViewersPerStream,
		},
		KeepAtExpiry: !cfg.Auth.EndAtExpiry,
		KeepRemoved:  !cfg.Auth.EndOnRemoval,
		Lapse:        max(minLapse, lapseSegments*cfg.HLS.Segment),
	})
	return a, nil
}

// read makes a policy of what the files say now.
func (a *access) read(p config.Policy) (auth.Policy, error) {
	switch p {
	case config.PolicyKeys:
		keys, err := a.cfg.Auth.Keys()
		if err != nil {
			return nil, fmt.Errorf("read publish keys: %w", err)
		}
		return keys, nil
	case config.PolicySigned:
		secrets, err := a.cfg.Auth.Secrets()
		if err != nil {
			return nil, fmt.Errorf("read secrets: %w", err)
		}
		return auth.NewSigned(secrets)
	default:
		keys, err := a.cfg.Auth.JWTKeys()
		if err != nil {
			return nil, fmt.Errorf("read keys of tokens: %w", err)
		}
		return auth.NewJWT(auth.JWTConfig{
			Keys: keys, Remote: a.jwks, Issuer: a.cfg.Auth.JWTIssuer, Audience: a.cfg.Auth.JWTAudience,
		}), nil
	}
}

// reload reads the files again. What is not right leaves that policy as it was.
func (a *access) reload() {
	for p, swap := range a.swaps {
		policy, err := a.read(p)
		if err != nil {
			a.logger.Error("keys were not read again, the old ones stay", "policy", string(p), "error", err)
			a.stale.set(staleName(p), true)
			continue
		}
		a.stale.set(staleName(p), false)
		swap.Replace(policy)
		a.Forget()
		a.logger.Info("keys were read again", "policy", string(p), "ended", a.Recheck(swap))
	}
}

func (a *access) rules(rules config.Rules) auth.Rules {
	var list auth.Rules
	for _, r := range rules {
		rule := auth.Rule{Pattern: auth.Pattern(r.Pattern)}
		for _, p := range r.Policies {
			rule.Policies = append(rule.Policies, a.policy(p))
		}
		list = append(list, rule)
	}
	return list
}

func (a *access) policy(p config.Policy) auth.Policy {
	switch p {
	case config.PolicyOpen:
		return auth.Open{}
	case config.PolicyLoopback:
		return auth.Loopback{}
	case config.PolicyCallback:
		return a.callback
	case config.PolicyKeys, config.PolicySigned, config.PolicyJWT:
		return a.swaps[p]
	}
	return auth.Deny{}
}

// run keeps everything up to date until the server stops.
func (a *access) run() {
	var wg sync.WaitGroup
	if a.jwks != nil {
		wg.Go(func() { a.jwks.Run(a.ctx) })
	}
	wg.Go(func() { a.files.run(a.ctx, a.logger, a.reload) })
	wg.Wait()
	if a.callback != nil {
		a.callback.Close()
	}
}

// mayPublish and mayPlay are what ingest asks.
func (a *access) mayPublish(r ingest.Request) ingest.Decision { return a.ingest(auth.Publish, r) }
func (a *access) mayPlay(r ingest.Request) ingest.Decision    { return a.ingest(auth.Play, r) }

func (a *access) ingest(action auth.Action, asked ingest.Request) ingest.Decision {
	r := auth.Request{
		Action: action, Stream: string(asked.Stream), Query: asked.Query, Remote: asked.Remote, Protocol: asked.Protocol,
	}
	d := a.Decide(a.ctx, r)
	if !d.Allowed {
		return ingestRefusal(d)
	}
	return ingest.Decision{
		Allowed: true, Credential: d.Credential, Stream: remux.StreamName(d.Stream), MaxBitrate: d.MaxBitrate,
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

func ingestRefusal(d auth.Decision) ingest.Decision {
	return ingest.Decision{Code: string(d.Code), Reason: d.Reason}
}

// MayWatch implements edge.Access.
func (a *access) MayWatch(hr *http.Request, ask edge.Ask) edge.Verdict {
	isHLS := ask.Protocol == "hls"
	if ask.Segment && !a.cfg.Auth.CheckSegments {
		return edge.Verdict{}
	}
	r := auth.Request{Action: auth.Play, Stream: string(ask.Name), Query: hr.URL.RawQuery, Protocol: ask.Protocol}
	r.Remote, _ = netip.ParseAddrPort(hr.RemoteAddr)
	r.Relayed = r.Remote.Addr().Unmap().IsLoopback() && relayed(hr)
	inPath := isHLS && a.cfg.Auth.HLSToken == config.TokenPath
	if inPath {
		r.Query = "" // what a playlist names would not have it
	}
	if ask.Token != "" {
		r.Query = auth.WithToken(r.Query, ask.Token)
	}
	d := a.Decide(a.ctx, r)
	switch {
	case !d.Allowed && inPath && d.Code == auth.NoToken:
		d.Reason = "watching this stream needs a token in the path of its URL: /t/TOKEN/APP/NAME/index.m3u8"
		return a.refused(d)
	case !d.Allowed:
		return a.refused(d)
	case isHLS && a.exists(ask.Name):
		if refusal := a.Visit(r, d, auth.Visitor{Client: hr.UserAgent(), Begins: ask.Index}); refusal != nil {
			return a.refused(*refusal)
		}
		return edge.Verdict{Local: d.Local}
	case isHLS: // nobody watches what is not there
		return edge.Verdict{Local: d.Local}
	}
	return edge.Verdict{Local: d.Local, Enter: func(end func()) (func(), *edge.Verdict) {
		leave, refusal := a.Enter(r, d, func(cause auth.EndCause) {
			a.Count(auth.Code("permission-" + string(cause)))
			end()
		})
		if refusal != nil {
			v := a.refused(*refusal)
			return nil, &v
		}
		return leave, nil
	}}
}

// carry says how tokens get from playlists to what they name.
func (a *access) carry() hls.Carry {
	switch {
	case a.cfg.Auth.Watch.Only(config.PolicyOpen) || a.cfg.Auth.HLSToken == config.TokenPath:
		return hls.CarryNothing
	case a.cfg.Auth.CheckSegments:
		return hls.CarryToAll
	}
	return hls.CarryToPlaylists
}

// refused counts a refusal and says it in HTTP.
func (a *access) refused(d auth.Decision) edge.Verdict {
	a.Count(d.Code)
	status := http.StatusForbidden
	switch d.Code {
	case auth.TooManyViewers, auth.TooManyViewersOfOne, auth.CallbackFailed, auth.CallbackBusy, auth.KeysMissing:
		status = http.StatusServiceUnavailable
	}
	return edge.Verdict{Status: status, Reason: d.Reason}
}

// adminAccess is the gate as package admin wants it.
type adminAccess struct{ *access }

func (a adminAccess) EndSession(id string) bool { return a.End(id) }

func (a adminAccess) Denylist(after uint64, limit int) (any, uint64) {
	list := a.Gate.Denylist()
	for len(list) > 0 && number(list[0].ID) <= after {
		list = list[1:]
	}
	if len(list) <= limit {
		return list, 0
	}
	return list[:limit], number(list[limit-1].ID)
}

// number reads an ID that this server made.
func number(id string) uint64 {
	n, _ := strconv.ParseUint(id, 10, 64)
	return n
}

// Sessions does not show the names of streams that nobody publishes, for which viewers wait.
func (a adminAccess) Sessions(stream string, after uint64, limit int) (any, uint64) {
	list, next := a.SessionsAfter(stream, after, limit+1), uint64(0)
	if len(list) > limit {
		list = list[:limit]
		next = number(list[limit-1].ID)
	}
	for i, s := range list {
		if name := remux.StreamName(s.Stream); s.Action == auth.Play && !a.exists(name) {
			list[i].Stream = name.Redacted()
		}
	}
	return list, next
}

func (a adminAccess) Deny(d admin.Denial, ttl time.Duration) (any, int, error) {
	e, ended, err := a.Gate.Deny(auth.Entry{Token: d.Token, Stream: auth.Pattern(d.Stream), Action: auth.Action(d.Action)}, ttl)
	if errors.Is(err, auth.ErrEntry) || errors.Is(err, auth.ErrTTL) {
		err = fmt.Errorf("%w: %w", admin.ErrInvalid, err)
	}
	return e, ended, err
}
