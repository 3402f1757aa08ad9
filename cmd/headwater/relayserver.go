package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/flv"
	"github.com/headwater-live/headwater/live"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/bytelog"
)

const (
	// relayHost is the host of a request that a process makes for itself, relayAgent its name there, which operators see
	// among the viewers.
	relayHost  = "headwater.internal"
	relayAgent = "Headwater, for the viewers of the process before"
	// relayRemote is the header with the address of a client for whom a request is passed on. Requests that have none
	// are the other process's own: whoever passes one on sets it.
	relayRemote = "Headwater-Remote"
	// relayLatency is how long packets wait for others on their way to the other process, whose viewers are written to
	// with a latency of their own.
	relayLatency = 10 * time.Millisecond
	// relayBacklog is how far behind the other process may be, in bytes: seconds of the fastest stream.
	relayBacklog = 64 << 20
	// relaysReady is how long everybody may wait until all that the process before has announced is asked for. If they
	// are late, their viewers miss frames.
	relaysReady = 5 * time.Second
	// relayWrite bounds an answer other than a live stream's, which sets its own: the other process reads at once, but for
	// a client that does not. It is as long as that of the public listeners.
	relayWrite = 90 * time.Second
)

// relayServer answers the process before for its viewers. Whoever asks there has been let in: nobody else has the
// connection.
type relayServer struct {
	server *server
	flv    *flv.Server
	http   *http.Server
}

// relayHub tells when somebody asks for a stream: from then on nothing is missed.
type relayHub struct {
	bytelog.Hub
	asked *askers
}

// askers counts who has asked.
type askers struct {
	count atomic.Int64
	news  chan struct{} // has something when the count has grown
}

// Expect implements bytelog.Hub.
func (h relayHub) Expect(name remux.StreamName, made func(*remux.Stream)) (*remux.Stream, func()) {
	stream, cancel := h.Hub.Expect(name, made)
	h.asked.count.Add(1)
	select {
	case h.asked.news <- struct{}{}:
	default:
	}
	return stream, cancel
}

// serveRelays begins to answer the process before, if there is one, and returns when all it has announced is asked for:
// before anybody publishes.
func (s *server) serveRelays() {
	relays := s.before.Relays()
	if relays == nil {
		return
	}
	cfg := s.cfg()
	asked := &askers{news: make(chan struct{}, 1)}
	r := &relayServer{server: s}
	r.flv = flv.NewServer(live.Config{
		Hub: relayHub{s.hub, asked}, Latency: relayLatency, Wait: cfg.Stream.Grace, MaxBacklog: relayBacklog, Logger: s.logger,
	})
	r.http = &http.Server{
		Handler: r, ReadHeaderTimeout: cfg.HTTP.HeaderTimeout, WriteTimeout: relayWrite, MaxHeaderBytes: 2 * cfg.HTTP.MaxHeader,
		ErrorLog: slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug),
	}
	s.relayed = r
	s.serving.Go(func() { _ = r.http.Serve(relays) }) // it ends with the process before
	r.await(relays.Announced(), asked)
}

// await returns when as many have asked as were announced.
func (r *relayServer) await(announced <-chan int, asked *askers) {
	late := time.NewTimer(relaysReady)
	defer late.Stop()
	for want := int64(-1); want < 0 || asked.count.Load() < want; {
		select {
		case n := <-announced:
			want = int64(n)
		case <-asked.news:
		case <-late.C:
			r.server.logger.Warn("what is watched in the process before may miss frames", "announced", want, "asked", asked.count.Load())
			return
		}
	}
}

// ServeHTTP implements http.Handler.
func (r *relayServer) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if remote := req.Header.Get(relayRemote); remote != "" {
		req.Header.Del(relayRemote)
		req.RemoteAddr = remote
		r.server.edge.ServeHTTP(w, req)
		return
	}
	if req.URL.Path == denialsPath {
		r.server.denials.serve(w, req, r.server.access.Denylist)
		return
	}
	app, name, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(req.URL.Path, "/"), ".flv"), "/")
	stream, err := remux.ParseStreamName(app, name)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	req.RemoteAddr = net.JoinHostPort(net.IPv6loopback.String(), "0")
	r.flv.Serve(w, req, stream, context.Background(), func(uint64) {})
}

// close waits until the process before has been sent what is left. The hub must have been closed before.
func (r *relayServer) close(ctx context.Context) {
	if r == nil {
		return
	}
	r.flv.Close(ctx)
	_ = r.http.Close()
}
