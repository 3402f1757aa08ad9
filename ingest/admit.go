package ingest

import (
	"crypto/tls"
	"net"

	"github.com/headwater-live/headwater/crowd"
)

// admit counts a connection in; it returns nil if a limit is reached.
func (s *Server) admit(nc net.Conn) *connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	visit, refusal := s.crowd.Enter(nc.RemoteAddr(), func() {
		s.refusals.count(string(crowd.HandshakeDisplaced))
		closeNow(nc) // its session finds out, and counts it out
	})
	if visit == nil {
		s.refusals.count(string(refusal))
		return nil
	}
	c := &connection{visit: visit}
	s.conns[nc] = c
	return c
}

// closeNow closes a connection without a word: TLS would wait for the peer to take its goodbye.
func closeNow(nc net.Conn) {
	if secure, ok := nc.(*tls.Conn); ok {
		nc = secure.NetConn()
	}
	_ = nc.Close()
}

// release closes a connection and counts it out.
func (s *Server) release(nc net.Conn) {
	_ = nc.Close()
	s.forget(nc)
}

// forget counts a connection out, closed or not.
func (s *Server) forget(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.conns[nc]
	c.visit.Leave()
	if c.conn != nil {
		for reason, n := range c.conn.Stats().Skipped {
			s.skipped[reason] += n
		}
	}
	delete(s.conns, nc)
}
