package auth

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Limits bound how many may be let in at one time. 0 is no limit.
type Limits struct {
	// Publishers are counted by the streams they publish: one that takes its own stream over counts once.
	Publishers int
	// Viewers are connections of outputs that last, FLV, RTMP and the like, and those that Visit tells apart.
	Viewers, ViewersPerStream int
}

// GateConfig configures a Gate.
type GateConfig struct {
	Publish, Play Policy
	// Names are the secret names of publishers; nil is none.
	Names  Names
	Limits Limits
	// KeepAtExpiry lets publishers and viewers stay whose permission expires; it then counts when they come only.
	KeepAtExpiry bool
	// KeepRemoved lets those stay whose key, or the secret of whose token, is replaced by Recheck's policy.
	KeepRemoved bool
	// Lapse is after what silence a viewer without a connection has left (30 s).
	Lapse  time.Duration
	Logger *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Gate lets publishers and viewers in, and sends them away when their permission ends. It has one rule chain for each
// action, and adds what holds for all policies: kept decisions, revocation, expiry, and limits.
//
// Deciding takes no lock that anybody holds during I/O. What is open to everybody costs a few atomic loads.
type Gate struct {
	config   GateConfig                 // as it was made: only Now and Logger are looked at
	rules    atomic.Pointer[GateConfig] // in force: the rest
	cache    decisionCache
	denylist denylist
	refusals refusals
	failed   atomic.Uint64 // requests that were allowed though the backend failed

	// mu guards all below.
	mu         sync.Mutex
	sessions   map[uint64]*Session
	visits     visits
	lastID     uint64
	viewers    map[string]int // by stream
	publishers map[string]int // by stream
	allViewers int
}

// NewGate returns a gate with nobody inside.
func NewGate(config GateConfig) *Gate {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	g := &Gate{
		config:     config,
		sessions:   make(map[uint64]*Session),
		viewers:    make(map[string]int),
		publishers: make(map[string]int),
		visits: visits{
			seed: maphash.MakeSeed(), byKey: make(map[uint64]*Session), anonymous: make(map[netip.Prefix]int),
		},
	}
	g.cache.now, g.denylist.now = config.Now, config.Now
	g.Change(config)
	return g
}

// Change puts the policies and limits of a configuration in force, for all who come from now on, and drops the
// decisions that are kept. Who is inside stays, with the expiry that it came in with. Logger and Now are not looked at.
func (g *Gate) Change(config GateConfig) {
	if config.Lapse <= 0 {
		config.Lapse = defaultLapse
	}
	g.rules.Store(&config)
	g.Forget()
}

// errPolicy reports a gate without rules for an action.
var errPolicy = errors.New("there is no policy for the action")

// Decide says whether a request is allowed. The answer of a policy that takes its time may come late, at the latest
// when ctx ends.
func (g *Gate) Decide(ctx context.Context, r Request) Decision {
	asked := r
	names := g.rules.Load().Names
	r = resolve(names, asked)
	d := g.decide(ctx, asked, r)
	if d.Allowed && r.Secret != "" && d.Stream == "" {
		d.Stream = r.Stream
	}
	if d.Allowed && names != nil && names.Public(d.Stream) != "" {
		return refuse(NotAllowed, "the authorisation backend gave this stream a name that is secret: tell the operator of the server")
	}
	if d.Allowed && !d.Expires.IsZero() && !g.config.Now().Before(d.Expires) {
		return refuse(Expired, "the permission for this stream has expired: ask for a new one")
	}
	if d.Code == CallbackFailed && d.Allowed {
		g.failed.Add(1)
	}
	if d.Allowed && g.denylist.has(r.Action, public(r, d), d.TokenID) {
		return revoked(r.Action)
	}
	return d
}

// decide asks the policies about a request, unless the answer to what was asked is kept.
func (g *Gate) decide(ctx context.Context, asked, r Request) Decision {
	if len(r.Query) > maxQuery {
		return refuse(BadToken, "what stands behind the question mark of the URL is too long")
	}
	era := g.cache.era.Load() // before the rules: what an older rule says is not kept for a newer one
	rules := g.rules.Load()
	policy := rules.Publish
	switch r.Action {
	case Publish:
	case Play:
		policy = rules.Play
	default:
		policy = nil
	}
	if policy == nil {
		return refuse(NotAllowed, errPolicy.Error())
	}
	if d, ok := g.cache.get(asked); ok {
		return d
	}
	d := policy.Decide(ctx, r)
	if d.CacheFor > 0 {
		g.cache.put(asked, d, era)
	}
	return d
}

// public is the name that a decided request is about.
func public(r Request, d Decision) string {
	if d.Stream != "" {
		return d.Stream
	}
	return r.Stream
}

func revoked(a Action) Decision {
	if a == Publish {
		return refuse(Revoked, "the permission to publish this stream was taken back by the operator")
	}
	return refuse(Revoked, "the permission to watch this stream was taken back by the operator")
}

// Forget drops all decisions that are kept: what they were made by has changed.
func (g *Gate) Forget() { g.cache.clear() }

// Count counts a refusal; whoever tells the peer calls it, once.
func (g *Gate) Count(c Code) { g.refusals.count(c) }

// Refusals returns how many were refused by code, and under "callback-failed-allowed" how many were let in because the
// backend failed.
func (g *Gate) Refusals() map[string]uint64 {
	all := g.refusals.snapshot()
	if n := g.failed.Load(); n > 0 {
		all["callback-failed-allowed"] = n
	}
	return all
}

// refusals counts by code.
type refusals struct{ byCode sync.Map }

func (r *refusals) count(c Code) {
	n, ok := r.byCode.Load(c)
	if !ok {
		n, _ = r.byCode.LoadOrStore(c, new(atomic.Uint64))
	}
	n.(*atomic.Uint64).Add(1)
}

func (r *refusals) snapshot() map[string]uint64 {
	all := make(map[string]uint64)
	r.byCode.Range(func(code, n any) bool {
		all[string(code.(Code))] = n.(*atomic.Uint64).Load()
		return true
	})
	return all
}
