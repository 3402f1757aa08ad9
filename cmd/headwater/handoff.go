package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// handoff gives the connections of any number of listeners to an http.Server that can be replaced. An http.Server's
// limits hold for all its life; a connection keeps the one that it began with, to its end.
type handoff struct {
	// mu guards all below.
	mu      sync.Mutex
	current *handoffServer
	all     []*handoffServer // the current one, and those before it that have connections
	serving sync.WaitGroup
	closed  bool
}

// handoffServer is an http.Server and the listener from which it gets its connections.
type handoffServer struct {
	*http.Server
	conns chan net.Conn
	gone  chan struct{} // closed when it takes no more
	leave func()
	open  atomic.Int64
}

// use has another server take the connections from now on.
func (h *handoff) use(server *http.Server) {
	s := &handoffServer{Server: server, conns: make(chan net.Conn), gone: make(chan struct{})}
	s.leave = sync.OnceFunc(func() { close(s.gone) })
	told := server.ConnState
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		if told != nil {
			told(conn, state)
		}
		switch state {
		case http.StateClosed, http.StateHijacked:
			s.open.Add(-1)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.current != nil {
		h.current.leave()
	}
	h.all = slices.DeleteFunc(h.all, func(old *handoffServer) bool { return old.open.Load() == 0 })
	h.all = append(h.all, s)
	h.current = s
	h.serving.Go(func() { _ = s.Serve(s) }) // it ends when it takes no more, which is no failure
}

// acceptPause is how long accepting rests when the process has no descriptor left.
const acceptPause = 50 * time.Millisecond

// Serve accepts connections until the listener is closed or fails.
func (h *handoff) Serve(l net.Listener) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			var temporary interface{ Temporary() bool }
			if errors.As(err, &temporary) && temporary.Temporary() {
				time.Sleep(acceptPause)
				continue
			}
			return err
		}
		if !h.give(conn) {
			_ = conn.Close()
		}
	}
}

// give hands a connection to the server that is current.
func (h *handoff) give(conn net.Conn) bool {
	for {
		h.mu.Lock()
		s, closed := h.current, h.closed
		if !closed {
			s.open.Add(1) // so that it is not forgotten before it knows of the connection
		}
		h.mu.Unlock()
		if closed {
			return false
		}
		select {
		case s.conns <- conn:
			return true
		case <-s.gone:
			s.open.Add(-1)
		}
	}
}

// Shutdown ends all servers as http.Server.Shutdown does, and cuts off what is left when ctx ends. The listeners must
// have been closed before.
func (h *handoff) Shutdown(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	all := slices.Clone(h.all)
	for _, s := range all {
		s.leave()
	}
	h.mu.Unlock()
	var errs []error
	for _, s := range all {
		if err := s.Shutdown(ctx); err != nil {
			errs = append(errs, err, s.Server.Close())
		}
	}
	h.serving.Wait()
	return errors.Join(errs...)
}

// LastAnswers has every connection end with the answer that it gets, and those that wait for a request at once.
func (h *handoff) LastAnswers() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.all {
		s.SetKeepAlivesEnabled(false)
	}
}

// Accept implements net.Listener.
func (s *handoffServer) Accept() (net.Conn, error) {
	select {
	case conn := <-s.conns:
		return conn, nil
	case <-s.gone:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (s *handoffServer) Close() error {
	s.leave()
	return nil
}

// Addr implements net.Listener.
func (s *handoffServer) Addr() net.Addr { return &net.TCPAddr{} }
