package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"

	"github.com/headwater-live/headwater/admin"
	"github.com/headwater-live/headwater/cmd/headwater/config"
	"github.com/headwater-live/headwater/edge"
	"github.com/headwater-live/headwater/events"
	"github.com/headwater-live/headwater/hls"
	"github.com/headwater-live/headwater/hooks"
	"github.com/headwater-live/headwater/ingest"
	"github.com/headwater-live/headwater/live"
	"github.com/headwater-live/headwater/remux"
)

// This file turns settings into what each room wants: when the server starts, and for Change when it runs.

// tune gives all rooms the settings that are in force from now on. It cannot fail.
func (s *server) tune(cfg *config.Config, token string) {
	s.hub.Change(hubConfig(cfg))
	if s.hls != nil {
		s.hls.Change(hlsConfig(cfg))
	}
	s.flv.Change(liveConfig(cfg))
	s.ts.Change(liveConfig(cfg))
	s.ingest.Change(ingestConfig(cfg))
	s.limiter.Change(httpCrowd(cfg))
	s.adminLimiter.Change(adminCrowd(cfg))
	s.edge.use(s.edgeHandler(cfg))
	end := s.permit.renew(token, cfg.Admin.Addr)
	s.admin.use(s.adminHandler(cfg, token))
	end()
}

func hubConfig(cfg *config.Config) remux.Config {
	c := remux.Config{
		Grace:        cfg.Stream.Grace,
		Conflict:     remux.Conflict(cfg.Stream.OnConflict),
		MaxStreams:   cfg.Stream.MaxStreams,
		MaxTakeovers: cfg.Stream.MaxTakeovers,
	}
	if c.MaxTakeovers == 0 {
		c.MaxTakeovers = -1 // the hub's way to say: no limit
	}
	return c
}

func hlsConfig(cfg *config.Config) hls.Config {
	return hls.Config{
		Segment:       cfg.HLS.Segment,
		Window:        cfg.HLS.Window,
		SegmentMaxAge: cfg.HLS.SegmentMaxAge,
		Grace:         cfg.Stream.Grace,
		Retain:        hls.Retention{Segments: cfg.HLS.RetainSegments, Age: cfg.HLS.Retain},
		Quota:         int64(cfg.Storage.Quota),
		MaxHeld:       int64(cfg.HLS.MaxHeld),
		Carry:         carry(cfg.Auth),
	}
}

// liveConfig is for all that is watched as it comes over HTTP.
func liveConfig(cfg *config.Config) live.Config {
	return live.Config{Latency: cfg.FLV.Latency, Wait: cfg.FLV.Wait, MaxBacklog: cfg.FLV.MaxBacklog}
}

func ingestConfig(cfg *config.Config) ingest.Config {
	return ingest.Config{
		MaxMessage:         cfg.RTMP.MaxMessage,
		Crowd:              rtmpCrowd(cfg),
		MaxBeforeAuth:      cfg.RTMP.MaxBeforeAuth,
		HandshakeTimeout:   cfg.RTMP.HandshakeTimeout,
		RequestTimeout:     cfg.RTMP.RequestTimeout,
		MediaTimeout:       cfg.RTMP.MediaTimeout,
		IdleTimeout:        cfg.RTMP.IdleTimeout,
		WriteTimeout:       cfg.RTMP.WriteTimeout,
		MaxPartial:         cfg.RTMP.MaxPartial,
		MaxPartialMessages: cfg.RTMP.MaxPartialMessages,
		Latency:            cfg.FLV.Latency,
		Wait:               cfg.FLV.Wait,
		MaxBacklog:         cfg.FLV.MaxBacklog,
	}
}

// newEdge makes the server of the public listeners.
func (s *server) newEdge(cfg *config.Config) *http.Server {
	server := edge.NewServer(&s.edge, edge.ServerConfig{
		HeaderTimeout: cfg.HTTP.HeaderTimeout, MaxHeader: cfg.HTTP.MaxHeader, Limiter: s.limiter, Logger: s.logger,
	})
	noted := server.ConnContext
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context { return live.WithConn(noted(ctx, conn), conn) }
	return server
}

// edgeHandler routes the public addresses to the outputs that are on.
func (s *server) edgeHandler(cfg *config.Config) http.Handler {
	h := &edge.Handler{Access: s.access, Log: &s.accessLog, Exists: s.hasStream}
	if s.hls != nil {
		h.HLS = s.hls
	}
	if cfg.FLV.Enabled {
		h.FLV = s.flv
	}
	if cfg.TS.Enabled {
		h.TS = s.ts
	}
	if cfg.HTTP.WatchPage {
		h.Watch = s.pages
	}
	return h
}

// hasStream reports whether there is such a stream, or HLS has some of it still.
func (s *server) hasStream(name remux.StreamName) bool {
	if s.hub.Stream(name) != nil {
		return true
	}
	if s.hls == nil {
		return false
	}
	_, ok := s.hls.Status(name)
	return ok
}

func (s *server) adminHandler(cfg *config.Config, token string) http.Handler {
	return admin.NewHandler(admin.Config{
		Streams:   s.hub,
		Ready:     s.ready,
		HLS:       s.hlsStatus(),
		Addresses: s.addresses(cfg),
		Settings:  s.settings,
		Events:    s.events,
		Console:   s.pages,
		Preview:   s.preview(cfg, token),
		Sources:   s.sources(cfg),
		PerStream: cfg.Metrics.PerStream,
		Token:     token,
		Permit:    s.permit.ctx,
		Guard:     s.guard,
		Access:    adminAccess{s.access, &s.denials, s.denyFile},
		Logger:    s.logger,
	})
}

func hookConfig(cfg *config.Config, logger *slog.Logger) hooks.Config {
	c := cfg.Hooks
	var types []events.Type
	for _, t := range c.Types() {
		types = append(types, events.Type(t))
	}
	return hooks.Config{
		URLs: c.Endpoints(), Secret: c.Secret, Types: types, Folder: c.Dir, MaxQueue: int64(c.MaxQueue),
		Timeout: c.Timeout, MaxAge: c.MaxAge, UserAgent: "Headwater/" + currentVersion(), Logger: logger,
	}
}
