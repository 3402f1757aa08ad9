package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
)

// remoteConn is a connection whose other end this process cannot see: somebody else has taken its TLS off, or the other
// end has reset it already, and the system forgotten who that was.
type remoteConn struct {
	net.Conn
	remote net.Addr
}

// RemoteAddr implements net.Conn.
func (c remoteConn) RemoteAddr() net.Addr { return c.remote }

// CloseWrite ends our direction, where the connection can do that.
func (c remoteConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Adopt goes on with publishers whose connections another process has frozen. Their publications begin at once, nothing
// is read or written before start is called. What cannot go on is closed.
func (s *Server) Adopt(all []Frozen) (start func()) {
	var sessions []*session
	for _, z := range all {
		se, err := s.adopt(z)
		if err != nil {
			s.refusals.count("not-taken-over")
			s.config.Logger.Warn("a publisher was not taken over", "err", err)
			continue
		}
		sessions = append(sessions, se)
	}
	return func() {
		for _, se := range sessions {
			s.sessions.Go(se.run)
		}
	}
}

// adopt makes a session of what was frozen.
func (s *Server) adopt(z Frozen) (*session, error) {
	state := new(rtmp.State)
	if err := state.UnmarshalBinary(z.State); err != nil {
		return nil, errors.Join(err, z.Conn.Close())
	}
	var handed handedSession
	if json.Unmarshal(state.Owner, &handed) != nil { // whose error might quote what is secret
		return nil, errors.Join(errors.New("decode a session: it is no JSON of one"), z.Conn.Close())
	}
	nc, protocol := z.Conn, protocolPlain
	if handed.Protocol == protocolSecure {
		protocol = protocolSecure
	}
	if protocol == protocolSecure || nc.RemoteAddr() == nil {
		nc = remoteConn{Conn: nc, remote: net.TCPAddrFromAddrPort(handed.Remote)}
	}
	entry := s.admit(nc)
	if entry == nil {
		return nil, errors.Join(errors.New("take over a connection: there are too many"), nc.Close())
	}
	entry.visit.Spoken()
	se := s.newSession(nc, entry, protocol)
	se.wire.limit(0)
	conn, err := rtmp.ResumeServerConn(se.wire, s.rtmpConfig(), state)
	if err != nil {
		s.release(nc)
		return nil, err
	}
	se.use(conn)
	for i := range handed.Publications {
		if err := se.goOn(handed.Remote, &handed.Publications[i]); err != nil {
			s.sessions.Go(func() { se.end(nil) }) // which may wait for a peer, and others are not to
			return nil, err
		}
	}
	return se, nil
}

// goOn begins a publication that has begun in another process.
func (se *session) goOn(remote netip.AddrPort, h *handedPublication) error {
	app, name, _ := strings.Cut(string(h.Stream), "/")
	stream, err := remux.ParseStreamName(app, name)
	if err != nil || se.publications[h.StreamID] != nil {
		return errors.New("take over a publication: it has no name, or is there twice")
	}
	decision := Decision{Allowed: true}
	if se.server.config.GoOn != nil {
		decision = se.server.config.GoOn(h.Admission)
	}
	adm, refusal := decision.enter()
	if refusal != nil {
		return fmt.Errorf("take over %s: refused: %s", stream, refusal.Reason)
	}
	pub, err := se.server.config.Hub.Publish(stream, remux.Publisher{
		Remote: remote, Credential: decision.Credential, Encoder: h.Encoder, Protocol: se.protocol, Since: h.Since,
	})
	if err != nil {
		adm.leave()
		return fmt.Errorf("take over %s: %w", stream, err)
	}
	se.wire.trust()
	se.begin(h.StreamID, pub, stream, adm, &decision)
	if !h.Stopped.IsZero() {
		se.publications[h.StreamID].bitrate.credit(min(max(0, time.Since(h.Stopped)), maxStopped))
	}
	se.log.Info("publication goes on", "stream", string(stream), "encoder", pub.Encoder(), "generation", pub.Generation())
	return nil
}
