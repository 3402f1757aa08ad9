package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/headwater-live/headwater/cmd/headwater/systemd"
	"github.com/headwater-live/headwater/events"
)

func (s *server) ready() (bool, string) {
	if s.draining.Load() {
		return false, "the server is stopping"
	}
	var reasons []string
	if s.hls != nil {
		if h := s.hls.Health(); !h.OK {
			reasons = append(reasons, "HLS is served from memory, the storage fails: "+h.Reason)
		}
	}
	if reason := s.access.stale.reason(); reason != "" {
		reasons = append(reasons, reason)
	}
	return true, strings.Join(reasons, "; ")
}

// run runs everything until ctx ends or a listener fails, and returns after all of it
// has ended.
func (s *server) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer s.findings.start()()
	defer s.startViewerWatch()()
	defer s.startAccessLog()()
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
		name := strings.TrimSuffix(c.key, ".addr") + " certificate"
		s.access.stale.set(name, false)
		wg.Go(func() {
			c.watch.run(s.access.ctx, s.logger, func() { s.access.stale.set(name, !c.reload(s.logger)) })
		})
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
