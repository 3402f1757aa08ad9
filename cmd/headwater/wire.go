package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/admin"
	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/cmd/headwater/systemd"
	"github.com/headwater-live/headwater/edge"
	"github.com/headwater-live/headwater/edge/accesslog"
	"github.com/headwater-live/headwater/events"
	"github.com/headwater-live/headwater/flv"
	"github.com/headwater-live/headwater/hls"
	"github.com/headwater-live/headwater/hooks"
	"github.com/headwater-live/headwater/ingest"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/storage"
	"github.com/headwater-live/headwater/ts"
	"github.com/headwater-live/headwater/web"
)

// server is everything that serve runs. This file, tune.go and sources.go are the only ones that know
// all rooms.
type server struct {
	running atomic.Pointer[config.Config] // what is in force
	logger  *slog.Logger
	started time.Time

	hub     *remux.Hub
	hls     *hls.Server // nil if it is off
	flv     *flv.Server // nil if it is off
	ts      *ts.Server  // nil if it is off
	ingest  *ingest.Server
	access  *access
	store   interface{ Close() error }
	public  handoff
	private *http.Server

	listeners    listeners
	limiter      *edge.Limiter // of the public HTTP listeners
	adminLimiter *edge.Limiter // of the private one
	certificates certificates
	// edge and admin answer the public and the private listeners.
	edge, admin swapHandler
	guard       *admin.Guard // of the private listener, for as long as this runs
	permit      adminPermit
	pages       *web.Files
	draining    atomic.Bool
	findings    *findingLog
	accessLog   accesslog.Switch
	events      *events.Bus
	hooks       *hooks.Dispatcher
	reloads     *reloader       // nil if nobody reloads
	upgrades    *upgrader       // nil if nobody upgrades
	before      *systemd.Before // the process that hands over to this one; nil if there is none
	relayed     *relayServer    // answers that; nil if there is none
	denials     denials
	denyFile    *denyFile
	retired     atomic.Bool // another process has taken over

	// serving waits for the listeners that are served, and fail ends everything when one fails.
	serving sync.WaitGroup
	fail    context.CancelCauseFunc
	asked   context.Context // ends when the server is to end
	unheard time.Time       // since when nobody accepts, while another process takes over
}

// cfg is the configuration in force.
func (s *server) cfg() *config.Config { return s.running.Load() }

// swapHandler is a handler that can be replaced while it answers.
type swapHandler struct{ current atomic.Pointer[http.Handler] }

func (h *swapHandler) use(next http.Handler) { h.current.Store(&next) }

// ServeHTTP implements http.Handler.
func (h *swapHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*h.current.Load()).ServeHTTP(w, r)
}

// wire puts the rooms together and binds every listener.
func wire(cfg config.Config, logger *slog.Logger) (*server, error) {
	s := &server{
		logger: logger, started: time.Now(), findings: newFindingLog(logger), events: events.NewBus(0),
		limiter:      edge.NewLimiter("http", httpCrowd(&cfg)),
		adminLimiter: edge.NewPrivateLimiter("admin", adminCrowd(&cfg)), guard: admin.NewGuard(),
	}
	s.running.Store(&cfg)
	var err error
	if s.before, err = systemd.FromBefore(); err != nil {
		return nil, failure{err}
	}
	sockets, err := systemd.Inherit(listenerNames...)
	if err != nil {
		return nil, failure{err}
	}
	defer sockets.Close()
	if err := s.listen(sockets); err != nil {
		s.listeners.close()
		return nil, failure{err}
	}
	if err := s.build(); err != nil {
		s.listeners.close()
		return nil, failure{err}
	}
	return s, nil
}

// build makes the rooms, outputs first: the hub gives each new stream their sinks.
func (s *server) build() error {
	cfg := s.cfg()
	var sinks []remux.SinkFactory
	var err error
	if s.access, err = newAccess(*cfg, s.logger); err != nil {
		return err
	}
	accessLog, err := s.openAccessLog(cfg)
	if err != nil {
		return fmt.Errorf("http.access_log: %w", err)
	}
	if s.pages, err = web.New(); err != nil {
		return fmt.Errorf("read web pages: %w", err)
	}
	// All that can be wrong has been read, and nothing opened yet that one process alone can have. From here on everybody
	// waits, so what takes its time stands above.
	if err := s.before.TakeOver(); err != nil {
		return err
	}
	blobs, err := s.openStorage()
	if err != nil && cfg.HLS.Enabled {
		return fmt.Errorf("open storage: %w", err)
	}
	if err != nil {
		s.logger.Warn("the denylist is in memory only", "err", err)
	}
	private, _ := s.store.(denyStore) // memory is none
	s.denyFile = openDenyFile(s.access.Gate, private, s.logger)
	if cfg.HLS.Enabled {
		c := hlsConfig(cfg)
		c.Storage, c.Listed, c.Logger = blobs, s.segmentListed, s.logger
		s.hls = hls.NewServer(c)
		if err := s.hls.Restore(); err != nil {
			return err
		}
		sinks = append(sinks, s.hls)
	}
	c := hubConfig(cfg)
	c.Sinks, c.Events, c.CannotCarry = sinks, s.hubEvents(), cannotCarry(cfg.HLS.Enabled)
	s.hub = remux.NewHub(c)
	s.access.exists = func(name remux.StreamName) bool { return s.hub.Stream(name) != nil }
	live := liveConfig(cfg)
	s.flv = flv.NewServer(flv.Config{
		Hub: s.hub, Latency: live.Latency, Wait: live.Wait, MaxBacklog: live.MaxBacklog, Logger: s.logger,
	})
	s.ts = ts.NewServer(ts.Config{
		Hub: s.hub, Latency: live.Latency, Wait: live.Wait, MaxBacklog: live.MaxBacklog, Logger: s.logger,
	})
	in := ingestConfig(cfg)
	in.Hub, in.Logger = s.hub, s.logger
	in.MayPublish, in.MayPlay, in.GoOn, in.Played = s.access.mayPublish, s.access.mayPlay, s.access.goOn, s.played
	s.ingest = ingest.NewServer(in)
	s.edge.use(s.edgeHandler(cfg))
	s.public.use(s.newEdge(cfg))
	if s.hooks, err = hooks.Start(hookConfig(cfg, s.logger), s.events); err != nil {
		return err
	}
	token, err := cfg.Admin.ReadToken()
	if err != nil {
		return fmt.Errorf("read admin token: %w", err)
	}
	s.permit.renew(token, cfg.Admin.Addr)
	s.admin.use(s.adminHandler(cfg, token))
	s.private = admin.NewServer(&s.admin, s.logger)
	s.adminLimiter.Attach(s.private)
	s.accessLog.Use(accessLog)
	return nil
}

// openStorage opens what HLS keeps its segments in. Without HLS the denylist alone is kept there.
func (s *server) openStorage() (hls.Storage, error) {
	if s.cfg().Storage.Kind == config.StorageMemory {
		memory := storage.NewMemory(int64(s.cfg().Storage.MemoryLimit))
		s.store = memory
		return memory, nil
	}
	dir, err := storage.OpenDir(s.cfg().Storage.Dir, storage.Options{Sync: s.cfg().Storage.Sync})
	if err != nil {
		return nil, fmt.Errorf("storage.dir: %w", err)
	}
	switch err := dir.Lock(); {
	case errors.Is(err, errors.ErrUnsupported):
		s.logger.Warn("nothing keeps another server from using the same storage.dir", "error", err)
	case err != nil:
		return nil, errors.Join(fmt.Errorf("storage.dir: %w", err), dir.Close())
	}
	s.store = dir
	if _, err := dir.Sweep(); err != nil {
		s.logger.Warn("temporary files of an earlier run were not removed", "error", err)
	}
	return dir, nil
}

// welcomeInfo says where the server listens.
func (s *server) welcomeInfo() welcomeInfo {
	return welcomeInfo{
		version:      currentVersion(),
		host:         reachableHost(),
		loopbackOnly: s.cfg().Auth.Publish.Only(config.PolicyLoopback),
		rtmp:         s.listeners.addr("rtmp"),
		rtmps:        s.listeners.addr("rtmps"),
		http:         s.listeners.addr("http"),
		https:        s.listeners.addr("https"),
		admin:        s.listeners.addr("admin"),
		hls:          s.cfg().HLS.Enabled,
		flv:          s.cfg().FLV.Enabled,
		watch:        s.cfg().HTTP.WatchPage,
	}
}
