package main

import (
	"context"
	"log/slog"

	"github.com/headwater-live/headwater/cmd/headwater/config"
)

// server is everything that serve runs. This file is the only one that knows all rooms.
type server struct {
	cfg    config.Config
	logger *slog.Logger
}

// wire puts the rooms together.
func wire(cfg config.Config, logger *slog.Logger) (*server, error) {
	return &server{cfg: cfg, logger: logger}, nil
}

// welcomeInfo says where the server listens.
func (s *server) welcomeInfo() welcomeInfo {
	return welcomeInfo{
		version:      currentVersion(),
		host:         reachableHost(),
		loopbackOnly: s.cfg.Auth.Publish == config.PublishLoopback,
		rtmp:         s.cfg.RTMP.Addr,
		rtmps:        s.cfg.RTMPS.Addr,
		http:         s.cfg.HTTP.Addr,
		https:        s.cfg.HTTPS.Addr,
		admin:        s.cfg.Admin.Addr,
		hls:          s.cfg.HLS.Enabled,
		flv:          s.cfg.FLV.Enabled,
	}
}

// run runs everything until ctx ends, and returns after all of it has.
func (s *server) run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
