package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"

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
	accessLog    *accesslog.Log // nil if it is off
	events       *events.Bus
	hooks        *hooks.Dispatcher // nil if there are none
}

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
	if err := s.openAccessLog(); err != nil {
		return err
	}
	handler := &edge.Handler{Access: s.access, Log: s.accessLog}
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
	s.access.exists = func(name remux.StreamName) bool { return s.hub.Stream(name) != nil }
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
		Preview:   s.preview(handler, token),
		Sources:   s.sources(),
		PerStream: s.cfg.Metrics.PerStream,
		Token:     token,
		Access:    adminAccess{s.access},
		Logger:    s.logger,
	}), s.logger)
	return s.openHooks()
}

// preview answers for the streams that the console plays. Who has shown the admin token may see all of them; where
// there is none, whoever is on this machine gets what the public listener would give out.
func (s *server) preview(public *edge.Handler, token string) *edge.Handler {
	h := &edge.Handler{HLS: public.HLS, FLV: public.FLV, Private: true}
	if token == "" {
		h.Access = public.Access
	}
	return h
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
		watch:        s.cfg.HTTP.WatchPage,
	}
}
