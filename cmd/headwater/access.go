package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/admin"
	"github.com/headwater-live/headwater/auth"
	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/edge"
	"github.com/headwater-live/headwater/hls"
	"github.com/headwater-live/headwater/ingest"
	"github.com/headwater-live/headwater/remux"
)

// access is the gate, and what feeds it: see policies. It translates between package auth and those who ask it.
type access struct {
	*auth.Gate
	logger *slog.Logger
	ctx    context.Context // ends waiting for a backend when the server stops
	cancel context.CancelFunc

	// changing is held while policies are replaced, by a reload of the configuration or of their files: what an older one
	// has read must not come after what a newer one has.
	changing sync.Mutex
	current  atomic.Pointer[policies]
	// feeding waits for what keeps policies up to date.
	feeding sync.WaitGroup
	stale   *staleness
	// exists reports whether there is such a stream.
	exists func(remux.StreamName) bool
}

// Who watches HLS has left when nothing was asked for within some segments, which may be longer than they should.
const (
	lapseSegments = 6
	minLapse      = 30 * time.Second
)

func newAccess(cfg config.Config, logger *slog.Logger) (*access, error) {
	a := &access{logger: logger, stale: &staleness{}}
	a.exists = func(remux.StreamName) bool { return true }
	a.ctx, a.cancel = context.WithCancel(context.Background())
	p, err := a.newPolicies(cfg.Auth, nil)
	if err != nil {
		return nil, err
	}
	a.current.Store(p)
	for kind := range p.swaps {
		a.stale.set(staleName(kind), false)
	}
	a.Gate = auth.NewGate(p.gate(&cfg))
	return a, nil
}

// start begins to keep everything up to date, until the server stops; wait waits for that.
func (a *access) start() { a.follow(a.current.Load()) }

func (a *access) wait() {
	<-a.ctx.Done()
	a.feeding.Wait()
}

// change has other policies decide, which may be those there are, under the limits of a configuration. Who is inside
// stays, but for those whose key or secret is gone, unless they may.
func (a *access) change(p *policies, cfg *config.Config) {
	a.changing.Lock()
	defer a.changing.Unlock()
	old := a.current.Load()
	if p != old {
		a.follow(p)
		a.current.Store(p)
	}
	a.Change(p.gate(cfg))
	if p == old {
		return
	}
	if p.jwks != nil {
		p.jwks.SetRefresh(p.settings.JWKSRefresh)
	}
	p.succeed(old)
	for kind, swap := range old.swaps {
		a.stale.forget(staleName(kind))
		if p.swaps[kind] == nil { // with it went all that it let in
			swap.Replace(auth.Deny{})
			a.logger.Info("keys count no more", "policy", string(kind), "ended", a.Recheck(swap))
		}
	}
	for kind, swap := range p.swaps {
		a.replace(kind, swap, p.read[kind])
	}
}

// replace has another policy decide where one of its kind did.
func (a *access) replace(kind config.Policy, swap *auth.Swap, policy auth.Policy) {
	a.stale.set(staleName(kind), false)
	swap.Replace(policy)
	a.Forget()
	a.logger.Info("keys were read again", "policy", string(kind), "ended", a.Recheck(swap))
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
	var carried json.RawMessage
	if action == auth.Publish {
		carried = a.carried(r, d)
	}
	return a.admitted(r, d, carried)
}

func ingestRefusal(d auth.Decision) ingest.Decision {
	return ingest.Decision{Code: string(d.Code), Reason: d.Reason}
}

// MayWatch implements edge.Access.
func (a *access) MayWatch(hr *http.Request, ask edge.Ask) edge.Verdict {
	isHLS := ask.Protocol == "hls"
	if ask.Segment && !a.current.Load().settings.CheckSegments {
		return edge.Verdict{}
	}
	r := auth.Request{Action: auth.Play, Stream: string(ask.Name), Query: hr.URL.RawQuery, Protocol: ask.Protocol}
	r.Remote, _ = netip.ParseAddrPort(hr.RemoteAddr)
	r.Relayed = r.Remote.Addr().Unmap().IsLoopback() && relayed(hr)
	inPath := isHLS && a.current.Load().settings.HLSToken == config.TokenPath
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
	case isHLS && a.Visits(&d) && a.exists(ask.Name):
		if refusal := a.Visit(r, d, auth.Visitor{Client: hr.UserAgent(), Begins: ask.Index}); refusal != nil {
			return a.refused(*refusal)
		}
		return edge.Verdict{Local: d.Local}
	case isHLS: // nothing depends on it, or nobody can watch what is not there
		return edge.Verdict{Local: d.Local}
	}
	return a.lasting(r, d)
}

// lasting is the verdict on a viewer that stays.
func (a *access) lasting(r auth.Request, d auth.Decision) edge.Verdict {
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
func carry(settings config.Auth) hls.Carry {
	switch {
	case settings.Watch.Only(config.PolicyOpen) || settings.HLSToken == config.TokenPath:
		return hls.CarryNothing
	case settings.CheckSegments:
		return hls.CarryToAll
	}
	return hls.CarryToPlaylists
}

// refused counts a refusal and says it in HTTP.
func (a *access) refused(d auth.Decision) edge.Verdict {
	a.Count(d.Code)
	return edge.Verdict{Status: refusalStatus(d.Code), Reason: d.Reason}
}

// refusalStatus is what HTTP says for a refusal.
func refusalStatus(code auth.Code) int {
	switch code {
	case auth.TooManyViewers, auth.TooManyViewersOfOne, auth.CallbackFailed, auth.CallbackBusy, auth.KeysMissing:
		return http.StatusServiceUnavailable
	}
	return http.StatusForbidden
}

// adminAccess is the gate as package admin wants it.
type adminAccess struct {
	*access
	denials *denials
	file    *denyFile
}

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

func (a adminAccess) Deny(d admin.Denial, ttl time.Duration) (admin.Denied, error) {
	var denied admin.Denied
	var err error
	denied.Durable, err = a.file.change(func() error {
		e, ended, err := a.Gate.Deny(auth.Entry{Token: d.Token, Stream: auth.Pattern(d.Stream), Action: auth.Action(d.Action)}, ttl)
		if err == nil {
			denied.Entry, denied.Ended = e, ended
			a.denials.tell(e)
		}
		return err
	})
	switch {
	case errors.Is(err, auth.ErrEntry) || errors.Is(err, auth.ErrTTL):
		err = fmt.Errorf("%w: %w", admin.ErrInvalid, err)
	case errors.Is(err, errDenyClosed):
		err = fmt.Errorf("%w: %w", admin.ErrEnding, err)
	}
	return denied, err
}

// errNoEntry reports an ID that no entry has.
var errNoEntry = errors.New("no such entry")

func (a adminAccess) Allow(id string) (bool, error) {
	_, err := a.file.change(func() error {
		if !a.Gate.Allow(id) {
			return errNoEntry
		}
		return nil
	})
	if errors.Is(err, errDenyClosed) {
		return false, fmt.Errorf("%w: %w", admin.ErrEnding, err)
	}
	return err == nil, nil
}

func (a adminAccess) Durable() bool { return a.file.durable() }
