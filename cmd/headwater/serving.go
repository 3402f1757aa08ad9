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
	if !s.configurationStatus().OK {
		reasons = append(reasons, "the newest configuration has faults and is not in force (the log and /api/v1/server say which)")
	}
	if s.hls != nil {
		switch h := s.hls.Health(); {
		case h.Channels > 0:
			reasons = append(reasons, "HLS is served from memory, the storage fails: "+h.Reason)
		case h.Unread > 0:
			reasons = append(reasons, fmt.Sprintf("%d HLS segments of an earlier run cannot be read: %s", h.Unread, h.Reason))
		}
	}
	if reason := s.access.staleReason(); reason != "" {
		reasons = append(reasons, reason)
	}
	if reason := s.denyFile.reason(); reason != "" {
		reasons = append(reasons, reason)
	}
	if reason := s.expiredReason(); reason != "" {
		reasons = append(reasons, reason)
	}
	return true, strings.Join(reasons, "; ")
}

// run runs everything until ctx ends or a listener fails, and returns after all of it
// has ended.
func (s *server) run(ctx context.Context) error {
	s.asked = ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.fail = cancel
	defer s.findings.start()()
	defer s.startViewerWatch()()
	defer s.startAccessLog()()
	s.events.Emit(events.Event{Type: events.ServerStarted, Data: events.Server{Version: currentVersion()}})
	s.access.start()
	s.denyFile.start()
	for name, c := range s.certificates.all() {
		s.followCertificate(name, c)
	}
	s.serveRelays()                           // before anything is published, of which nothing is to be missed
	beginPublishers := s.takeOverPublishers() // before others can come who publish the same
	for _, name := range listenerNames {
		s.serve(name, s.listeners.get(name))
	}
	stopReloads := s.startReloads(ctx)
	stopUpgrades := s.startUpgrades(ctx, cancel)
	s.logger.Info("ready", "version", currentVersion(),
		"rtmp", s.listeners.addr("rtmp"), "rtmps", s.listeners.addr("rtmps"),
		"http", s.listeners.addr("http"), "https", s.listeners.addr("https"), "admin", s.listeners.addr("admin"))
	s.notify(systemd.Ready)
	if err := s.before.Ready(); err != nil {
		s.logger.Warn("the process before was not told", "err", err)
	}
	beginPublishers() // not earlier: until then the process before may have to begin again with them
	<-ctx.Done()
	stopReloads()
	stopUpgrades()
	if !errors.Is(context.Cause(ctx), errHandedOver) {
		s.upgrades.abandon()
	}
	if errors.Is(context.Cause(ctx), context.Canceled) { // it was asked for
		s.drain()
	}
	s.end()
	s.serving.Wait()
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errHandedOver):
		return s.upgrades.outcome(s)
	case !errors.Is(cause, context.Canceled):
		return cause
	}
	return nil
}

// serve serves a listener until it is closed; nil is off.
func (s *server) serve(name string, l *listener) {
	if l == nil {
		return
	}
	serve := map[string]func(net.Listener) error{
		"rtmp": s.ingest.Serve, "rtmps": s.ingest.Serve, "http": s.public.Serve, "https": s.public.Serve, "admin": s.private.Serve,
	}[name]
	s.serving.Go(func() {
		if err := serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			s.fail(fmt.Errorf("%s listener: %w", name, err))
		}
	})
}

// followCertificate begins to read a certificate again when its files change, and to say if that fails.
func (s *server) followCertificate(name string, c *certificate) {
	what := name + " certificate"
	s.access.stale.set(what, false)
	c.noted = func(stale bool) { s.access.stale.set(what, stale) }
	c.follow(s.access.ctx, s.logger)
}

// startReloads begins to take changes of the configuration. The function that it returns ends that.
func (s *server) startReloads(ctx context.Context) (stop func()) {
	if s.reloads == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var reloading sync.WaitGroup
	reloading.Go(func() { s.reloads.run(ctx) })
	return func() {
		cancel()
		reloading.Wait()
	}
}

// notify tells systemd the state, if it started this.
func (s *server) notify(state string) {
	if err := systemd.Notify(state); err != nil {
		s.logger.Warn("systemd was not told", "state", state, "err", err)
	}
}

// drainLook is how often a server that drains looks whether somebody publishes still.
const drainLook = 50 * time.Millisecond

// drain lets publishers and those who watch them finish, for as long as drain.timeout says. New publishers are sent
// away, and load balancers told so; everything else goes on.
func (s *server) drain() {
	s.draining.Store(true)
	s.notify(systemd.Stopping)
	timeout := s.cfg().Drain.Timeout
	s.logger.Info("draining", "timeout", timeout, "publications", s.hub.Totals().Live)
	s.ingest.Refuse()
	if s.hls != nil {
		s.hls.Stop() // a publisher that leaves now may come back to the next process
	}
	over := time.NewTimer(timeout)
	defer over.Stop()
	look := time.NewTicker(drainLook)
	defer look.Stop()
	for s.hub.Totals().Live > 0 {
		select {
		case <-over.C:
			s.logger.Warn("the time for draining is over", "publications", s.hub.Totals().Live)
			return
		case <-look.C:
		}
	}
}

// endTimeout is how long the end may take after that: what was taken in is stored and sent, and the slowest viewer
// gets no longer than this.
const endTimeout = 10 * time.Second

// end ends everything in the order in which data flows, so that what was taken in
// gets out: publishers, then outputs, then those who read them.
func (s *server) end() {
	handsOver, gone := s.handsOver(), false
	if handsOver {
		s.upgrades.freeze(s)
	}
	s.draining.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	began := time.Now()
	if s.hls != nil {
		s.hls.Stop()
	}
	for _, c := range s.certificates.all() {
		c.unfollow()
	}
	if handsOver { // who comes from now on waits for the next process
		s.unheard = time.Now()
		s.listeners.close()
		s.public.LastAnswers()
		s.ingest.Refuse()
	}
	s.ingest.Drain()
	if handsOver {
		if gone = s.letGo(ctx); gone {
			s.stay(ctx)
			ctx, cancel = context.WithTimeout(context.Background(), endTimeout)
			defer cancel()
			began = time.Now()
		}
	}
	s.access.cancel()
	s.access.wait()
	s.hub.Close()
	s.ingest.Close(ctx)
	s.flv.Close(ctx)
	s.ts.Close(ctx)
	s.relayed.close(ctx)
	if !handsOver {
		s.closeStores(ctx, endTimeout)
	}
	s.listeners.close()
	if err := s.public.Shutdown(ctx); err != nil {
		s.logger.Debug("connections were cut off", "error", err)
	}
	s.endPrivate(ctx)
	if s.store != nil {
		if err := s.store.Close(); err != nil {
			s.logger.Warn("storage not closed", "error", err)
		}
	}
	s.logger.Info("drained", "end_took", time.Since(began))
	if handsOver && !gone {
		s.upgrades.finish(s)
	}
}

// endPrivate ends the private listener's connections.
func (s *server) endPrivate(ctx context.Context) {
	s.permit.cancel()
	if err := s.private.Shutdown(ctx); err != nil {
		_ = s.private.Close()
	}
}

// closeStores ends what is written to the disk; webhooks are posted for so long at most.
func (s *server) closeStores(ctx context.Context, hooks time.Duration) {
	s.denyFile.close(ctx)
	if s.hls != nil {
		s.hls.Close(ctx)
	}
	s.events.Close()
	ctx, cancel := context.WithTimeout(ctx, hooks)
	defer cancel()
	s.hooks.Close(ctx)
}
