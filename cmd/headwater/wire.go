package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/admin"
	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/cmd/headwater/systemd"
	"github.com/headwater-live/headwater/edge"
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

// server is everything that serve runs. This file and sources.go are the only ones that know
// all rooms.
type server struct {
	cfg    config.Config
	logger *slog.Logger

	hub     *remux.Hub
	hls     *hls.Server // nil if it is off
	flv     *flv.Server // nil if it is off
	ts      *ts.Server  // nil if it is off
	ingest  *ingest.Server
	access  *access
	store   interface{ Close() error }
	public  *http.Server
	private *http.Server

	listeners    listeners
	limiter      *edge.Limiter // of the public HTTP listeners
	certificates []*certificate
	draining     atomic.Bool
	findings     *findingLog
	events       *events.Bus
	hooks        *hooks.Dispatcher // nil if there are none
}

// listeners are the bound sockets; nil is off.
type listeners struct{ rtmp, rtmps, http, https, admin net.Listener }

// wire puts the rooms together and binds every listener.
func wire(cfg config.Config, logger *slog.Logger) (*server, error) {
	s := &server{cfg: cfg, logger: logger, findings: newFindingLog(logger), events: events.NewBus(0)}
	s.limiter = edge.NewLimiter(edge.Limits{
		Connections: cfg.HTTP.MaxConnections, PerAddress: cfg.HTTP.MaxConnectionsPerIP, Handshakes: cfg.HTTP.MaxHandshakes,
		HeaderTimeout: cfg.HTTP.HeaderTimeout,
	})
	sockets, err := systemd.Inherit("rtmp", "rtmps", "http", "https", "admin")
	if err != nil {
		return nil, failure{err}
	}
	defer sockets.Close()
	if err := s.listen(sockets); err != nil {
		s.closeListeners()
		return nil, failure{err}
	}
	if err := s.build(); err != nil {
		s.closeListeners()
		return nil, failure{err}
	}
	return s, nil
}

// build makes the rooms, outputs first: the hub gives each new stream their sinks.
func (s *server) build() error {
	var sinks []remux.SinkFactory
	var err error
	if s.access, err = newAccess(s.cfg, s.logger); err != nil {
		return err
	}
	handler := &edge.Handler{Access: s.access}
	if s.cfg.HLS.Enabled {
		blobs, err := s.openStorage()
		if err != nil {
			return fmt.Errorf("open storage: %w", err)
		}
		s.hls = hls.NewServer(hls.Config{
			Segment:       s.cfg.HLS.Segment,
			Window:        s.cfg.HLS.Window,
			SegmentMaxAge: s.cfg.HLS.SegmentMaxAge,
			Grace:         s.cfg.Stream.Grace,
			Retain:        hls.Retention{Segments: s.cfg.HLS.RetainSegments, Age: s.cfg.HLS.Retain},
			Quota:         int64(s.cfg.Storage.Quota),
			MaxHeld:       int64(s.cfg.HLS.MaxHeld),
			Carry:         s.access.carry(),
			Storage:       blobs,
			Listed:        s.segmentListed,
			Logger:        s.logger,
		})
		if err := s.hls.Restore(); err != nil {
			return err
		}
		sinks = append(sinks, s.hls)
		handler.HLS = s.hls
	}
	s.hub = remux.NewHub(remux.Config{
		Grace:       s.cfg.Stream.Grace,
		Conflict:    remux.Conflict(s.cfg.Stream.OnConflict),
		MaxStreams:  s.cfg.Stream.MaxStreams,
		Sinks:       sinks,
		Events:      s.hubEvents(),
		CannotCarry: cannotCarry(s.cfg.HLS.Enabled),

		MaxTakeovers: maxTakeovers(s.cfg.Stream.MaxTakeovers),
	})
	if s.cfg.FLV.Enabled {
		s.flv = flv.NewServer(flv.Config{
			Hub:        s.hub,
			Latency:    s.cfg.FLV.Latency,
			Wait:       s.cfg.FLV.Wait,
			MaxBacklog: s.cfg.FLV.MaxBacklog,
			Logger:     s.logger,
		})
		handler.FLV = s.flv
	}
	if s.cfg.TS.Enabled {
		s.ts = ts.NewServer(ts.Config{
			Hub:        s.hub,
			Latency:    s.cfg.FLV.Latency,
			Wait:       s.cfg.FLV.Wait,
			MaxBacklog: s.cfg.FLV.MaxBacklog,
			Logger:     s.logger,
		})
		handler.TS = s.ts
	}
	pages, err := web.New()
	if err != nil {
		return fmt.Errorf("read web pages: %w", err)
	}
	if s.cfg.HTTP.WatchPage {
		handler.Watch = pages
	}
	s.ingest = ingest.NewServer(s.ingestConfig())
	s.public = edge.NewServer(handler, edge.ServerConfig{
		HeaderTimeout: s.cfg.HTTP.HeaderTimeout, MaxHeader: s.cfg.HTTP.MaxHeader, Limiter: s.limiter, Logger: s.logger,
	})
	token, err := s.cfg.Admin.ReadToken()
	if err != nil {
		return fmt.Errorf("read admin token: %w", err)
	}
	s.private = admin.NewServer(admin.NewHandler(admin.Config{
		Streams:   s.hub,
		Ready:     s.ready,
		HLS:       s.hlsStatus(),
		Addresses: s.addresses(),
		Settings:  s.settings,
		Events:    s.events,
		Console:   pages,
		Sources:   s.sources(),
		PerStream: s.cfg.Metrics.PerStream,
		Token:     token,
		Access:    adminAccess{s.access.Gate},
		Logger:    s.logger,
	}), s.logger)
	return s.openHooks()
}

// maxTakeovers says in the hub's way what the setting means: 0 is no limit.
func maxTakeovers(setting int) int {
	if setting == 0 {
		return -1
	}
	return setting
}

func (s *server) ingestConfig() ingest.Config {
	return ingest.Config{
		Hub:                 s.hub,
		MayPublish:          s.access.mayPublish,
		MayPlay:             s.access.mayPlay,
		MaxMessage:          s.cfg.RTMP.MaxMessage,
		MaxConnections:      s.cfg.RTMP.MaxConnections,
		MaxConnectionsPerIP: s.cfg.RTMP.MaxConnectionsPerIP,
		MaxHandshakes:       s.cfg.RTMP.MaxHandshakes,
		MaxBeforeAuth:       s.cfg.RTMP.MaxBeforeAuth,
		HandshakeTimeout:    s.cfg.RTMP.HandshakeTimeout,
		RequestTimeout:      s.cfg.RTMP.RequestTimeout,
		MediaTimeout:        s.cfg.RTMP.MediaTimeout,
		IdleTimeout:         s.cfg.RTMP.IdleTimeout,
		WriteTimeout:        s.cfg.RTMP.WriteTimeout,
		MaxPartial:          s.cfg.RTMP.MaxPartial,
		MaxPartialMessages:  s.cfg.RTMP.MaxPartialMessages,
		Latency:             s.cfg.FLV.Latency,
		Wait:                s.cfg.FLV.Wait,
		MaxBacklog:          s.cfg.FLV.MaxBacklog,
		Logger:              s.logger,
	}
}

func (s *server) openStorage() (hls.Storage, error) {
	if s.cfg.Storage.Kind == config.StorageMemory {
		memory := storage.NewMemory(int64(s.cfg.Storage.MemoryLimit))
		s.store = memory
		return memory, nil
	}
	dir, err := storage.OpenDir(s.cfg.Storage.Dir, storage.Options{Sync: s.cfg.Storage.Sync})
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

// listen binds what is configured, or takes the socket that was bound before. The error names the setting.
func (s *server) listen(sockets systemd.Sockets) error {
	var errs []error
	bind := func(key, addr string, to *net.Listener) {
		if addr == "" {
			return
		}
		l, err := sockets.Listen(strings.TrimSuffix(key, ".addr"), addr)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
			return
		}
		if key == "http.addr" || key == "https.addr" {
			l = s.limiter.Listener(l)
		}
		*to = l
	}
	bindTLS := func(key string, c config.TLSListener, to *net.Listener, protocols ...string) {
		if !c.Enabled() {
			return
		}
		cert, err := loadCertificate(key, c)
		if err != nil {
			errs = append(errs, err)
			return
		}
		s.certificates = append(s.certificates, cert)
		var plain net.Listener
		bind(key, c.Addr, &plain)
		if plain != nil {
			*to = tls.NewListener(plain, cert.config(protocols...))
		}
	}
	bind("rtmp.addr", s.cfg.RTMP.Addr, &s.listeners.rtmp)
	bindTLS("rtmps.addr", s.cfg.RTMPS, &s.listeners.rtmps)
	bind("http.addr", s.cfg.HTTP.Addr, &s.listeners.http)
	bindTLS("https.addr", s.cfg.HTTPS, &s.listeners.https, "h2", "http/1.1")
	bind("admin.addr", s.cfg.Admin.Addr, &s.listeners.admin)
	if err := s.adminIsPrivate(); err != nil {
		errs = append(errs, err)
	}
	for name := range sockets {
		errs = append(errs, fmt.Errorf("%s.addr is off, but a socket was passed for it", name))
	}
	return errors.Join(errs...)
}

// adminIsPrivate refuses to serve the private listener to others without a token. The setting was checked before;
// a socket that was passed may lie elsewhere.
func (s *server) adminIsPrivate() error {
	if s.listeners.admin == nil {
		return nil
	}
	at, ok := s.listeners.admin.Addr().(*net.TCPAddr)
	if !ok || at.IP.IsLoopback() {
		return nil
	}
	if token, err := s.cfg.Admin.ReadToken(); err != nil || token != "" {
		return err
	}
	return fmt.Errorf("admin.token is required because the private listener is bound to %s, which is not a loopback address", at)
}

func (s *server) closeListeners() {
	for _, l := range []net.Listener{s.listeners.rtmp, s.listeners.rtmps, s.listeners.http, s.listeners.https, s.listeners.admin} {
		if l != nil {
			_ = l.Close()
		}
	}
}

// addr is where a listener is bound, "" if it is off.
func addr(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

// welcomeInfo says where the server listens.
func (s *server) welcomeInfo() welcomeInfo {
	return welcomeInfo{
		version:      currentVersion(),
		host:         reachableHost(),
		loopbackOnly: s.cfg.Auth.Publish.Only(config.PolicyLoopback),
		rtmp:         addr(s.listeners.rtmp),
		rtmps:        addr(s.listeners.rtmps),
		http:         addr(s.listeners.http),
		https:        addr(s.listeners.https),
		admin:        addr(s.listeners.admin),
		hls:          s.cfg.HLS.Enabled,
		flv:          s.cfg.FLV.Enabled,
	}
}

func (s *server) ready() (bool, string) {
	if s.draining.Load() {
		return false, "the server is stopping"
	}
	if s.hls != nil {
		if h := s.hls.Health(); !h.OK {
			return true, "HLS is served from memory, the storage fails: " + h.Reason
		}
	}
	return true, ""
}

// run runs everything until ctx ends or a listener fails, and returns after all of it
// has ended.
func (s *server) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer s.findings.start()()
	defer s.startViewerWatch()()
	s.events.Emit(events.Event{Type: events.ServerStarted, Data: events.Server{Version: currentVersion()}})
	var wg sync.WaitGroup
	start := func(name string, l net.Listener, serve func(net.Listener) error) {
		if l == nil {
			return
		}
		wg.Go(func() {
			if err := serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
				cancel(fmt.Errorf("%s listener: %w", name, err))
			}
		})
	}
	wg.Go(s.access.run)
	for _, c := range s.certificates {
		wg.Go(func() { c.watch.run(s.access.ctx, s.logger, func() { c.reload(s.logger) }) })
	}
	start("rtmp", s.listeners.rtmp, s.ingest.Serve)
	start("rtmps", s.listeners.rtmps, s.ingest.Serve)
	start("http", s.listeners.http, s.public.Serve)
	start("https", s.listeners.https, s.public.Serve)
	start("admin", s.listeners.admin, s.private.Serve)
	s.logger.Info("ready", "version", currentVersion(),
		"rtmp", addr(s.listeners.rtmp), "rtmps", addr(s.listeners.rtmps),
		"http", addr(s.listeners.http), "https", addr(s.listeners.https), "admin", addr(s.listeners.admin))
	s.notify(systemd.Ready)
	<-ctx.Done()
	s.drain()
	wg.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// notify tells systemd the state, if it started this.
func (s *server) notify(state string) {
	if err := systemd.Notify(state); err != nil {
		s.logger.Warn("systemd was not told", "state", state, "err", err)
	}
}

// drain ends everything in the order in which data flows, so that what was taken in
// gets out: publishers, then outputs, then those who read them.
func (s *server) drain() {
	s.draining.Store(true)
	s.notify(systemd.Stopping)
	s.logger.Info("draining", "timeout", s.cfg.Drain.Timeout)
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Drain.Timeout)
	defer cancel()
	began := time.Now()
	if s.hls != nil {
		s.hls.Stop()
	}
	s.access.cancel()
	s.ingest.Drain()
	s.hub.Close()
	s.ingest.Close(ctx)
	if s.flv != nil {
		s.flv.Close(ctx)
	}
	if s.ts != nil {
		s.ts.Close(ctx)
	}
	if s.hls != nil {
		s.hls.Close(ctx)
	}
	s.events.Close()
	if s.hooks != nil {
		s.hooks.Close(ctx)
	}
	for _, h := range []*http.Server{s.public, s.private} {
		if err := h.Shutdown(ctx); err != nil {
			_ = h.Close()
		}
	}
	if s.store != nil {
		if err := s.store.Close(); err != nil {
			s.logger.Warn("storage not closed", "error", err)
		}
	}
	s.logger.Info("drained", "after", time.Since(began))
}
