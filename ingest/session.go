package ingest

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp0"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/flvtag"
)

// session is one connection.
type session struct {
	server *Server
	nc     net.Conn
	conn   *rtmp.ServerConn
	log    *slog.Logger
	// publication is the accepted one, nil if there is none.
	publication *publication
}

// publication is what a session knows of its turn on a stream.
type publication struct {
	*remux.Publication
	name remux.StreamName
	// newest is when media last came, in Unix nanoseconds.
	newest atomic.Int64
	over   chan struct{} // closed when the session is done with it
	watch  sync.WaitGroup
}

// serve runs a session to its end.
func (s *Server) serve(nc net.Conn) {
	se := &session{
		server: s,
		nc:     nc,
		conn:   rtmp.NewServerConn(nc, s.rtmpConfig()),
		log:    s.config.Logger.With("remote", nc.RemoteAddr().String()),
	}
	err := se.run()
	reason := remux.EndDisconnected
	if s.stopping() {
		reason = remux.EndShutdown
	}
	se.endPublication(reason)
	if err == nil || errors.Is(err, io.EOF) || s.stopping() {
		return
	}
	if code := rtmp.Reason(err); code != "connection" {
		s.refusals.count(code)
		se.log.Warn("connection broken off", "reason", code, "error", err)
		return
	}
	se.log.Debug("connection lost", "error", err)
}

// run reads events until the connection ends.
func (se *session) run() error {
	if err := se.conn.Handshake(); err != nil {
		return err
	}
	for {
		event, err := se.conn.Next()
		if err != nil {
			return err
		}
		switch event.Kind {
		case rtmp.Publish:
			if err := se.publish(event.Request); err != nil {
				return err
			}
		case rtmp.Play:
			se.server.refusals.count("play-unsupported")
			return errors.Join(se.conn.Reject("NetStream.Play.Failed",
				"playing over RTMP is not supported yet: use HLS or HTTP-FLV"), lingerClose(se.nc))
		case rtmp.Media:
			if !se.media(event.Message) {
				return nil
			}
		case rtmp.Unpublish:
			se.endPublication(remux.EndUnpublished)
		}
	}
}

// errRefused ends a session whose request was refused; it has been logged and counted.
var errRefused = io.EOF

// publish decides on a request and begins the publication.
func (se *session) publish(r *rtmp.Request) error {
	se.endPublication(remux.EndUnpublished) // an encoder that publishes anew without saying so
	name, err := remux.ParseStreamName(r.App, r.Name)
	if err != nil {
		return se.refuse("bad-name", "NetStream.Publish.BadName", fmt.Sprintf("%v. In OBS: Server rtmp://HOST/APP, Stream Key NAME", err))
	}
	remote := addrPort(se.nc.RemoteAddr())
	decision := se.server.config.MayPublish(Request{Stream: name, Query: r.Query, Remote: remote})
	if !decision.Allowed {
		return se.refuse("not-allowed", "NetStream.Publish.Denied", decision.Reason)
	}
	pub, err := se.server.config.Hub.Publish(name, remux.Publisher{
		Remote:     remote,
		Credential: decision.Credential,
		Encoder:    r.Encoder,
		Protocol:   "rtmp",
	})
	switch {
	case errors.Is(err, remux.ErrBusy):
		return se.refuse("busy", "NetStream.Publish.BadName", err.Error())
	case err != nil:
		return se.refuse("rejected", "NetStream.Publish.Rejected", err.Error())
	}
	se.begin(pub, name)
	if err := se.conn.AcceptPublish(); err != nil {
		return err
	}
	se.log.Info("publication began", "stream", string(name), "encoder", r.Encoder, "generation", pub.Generation())
	return nil
}

// refuse tells the peer why not, counts it, and ends the session.
func (se *session) refuse(reason, code, description string) error {
	se.server.refusals.count(reason)
	se.log.Warn("publication refused", "reason", reason, "description", description)
	if err := se.conn.Reject(code, description); err != nil {
		return err
	}
	if err := lingerClose(se.nc); err != nil {
		return err
	}
	return errRefused
}

// lingerTime is how long a refused peer may take to read why.
const lingerTime = 2 * time.Second

// lingerClose closes our direction, so that a refusal arrives, and reads what the peer still
// sends: closing with unread data would reset the connection and lose the refusal.
func lingerClose(nc net.Conn) error {
	half, ok := nc.(interface{ CloseWrite() error })
	if !ok {
		return nil
	}
	if err := half.CloseWrite(); err != nil {
		return fmt.Errorf("close after refusal: %w", err)
	}
	if err := nc.SetReadDeadline(time.Now().Add(lingerTime)); err != nil {
		return fmt.Errorf("close after refusal: %w", err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(nc, 1<<20)) // however it ends, it ends
	return nil
}

// begin starts to watch a publication.
func (se *session) begin(pub *remux.Publication, name remux.StreamName) {
	p := &publication{Publication: pub, name: name, over: make(chan struct{})}
	p.newest.Store(time.Now().UnixNano())
	se.publication = p
	p.watch.Go(func() { se.watch(p) })
}

// watch ends a publication that is silent, and closes the connection of one that somebody
// else ended.
func (se *session) watch(p *publication) {
	timeout := se.server.config.MediaTimeout
	tick := time.NewTicker(timeout / 5)
	defer tick.Stop()
	for {
		select {
		case <-p.over:
			return
		case <-p.Done():
			if p.Reason() != remux.EndUnpublished { // then the connection may publish again
				_ = se.conn.Close()
			}
			return
		case now := <-tick.C:
			if now.Sub(time.Unix(0, p.newest.Load())) > timeout {
				p.End(remux.EndSilent)
			}
		}
	}
}

// media writes a message into the publication. It returns false when that has ended.
func (se *session) media(m rtmp.Message) bool {
	p := se.publication
	if p == nil {
		return true
	}
	if m.Type == rtmp.TypeData {
		p.SetMetadata(metadata(m.Payload))
		return true
	}
	p.newest.Store(time.Now().UnixNano())
	err := p.Write(remux.Message{Type: flvtag.Type(m.Type), Timestamp: m.Timestamp, Payload: m.Payload})
	return err == nil
}

// endPublication ends the publication, if there is one, and waits for its watcher.
func (se *session) endPublication(reason remux.EndReason) {
	p := se.publication
	if p == nil {
		return
	}
	se.publication = nil
	p.End(reason)
	close(p.over)
	p.watch.Wait()
	se.log.Info("publication ended", "stream", string(p.name), "generation", p.Generation(), "reason", string(p.Reason()))
}

// maxMetadata bounds the properties that are passed on.
const maxMetadata = 64

// metadata returns the properties of an onMetaData body that can be passed on.
func metadata(body []byte) []flvtag.Property {
	values, _ := rtmp.DecodeAMF0(body) // what could be read is better than nothing
	if len(values) < 2 {
		return nil
	}
	var from []rtmp.Property
	switch v := values[1].(type) {
	case rtmp.Object:
		from = v
	case rtmp.ECMAArray:
		from = v
	}
	var out []flvtag.Property
	for _, p := range from {
		switch p.Value.(type) {
		case string, float64, bool:
			if len(out) < maxMetadata {
				out = append(out, flvtag.Property{Name: p.Name, Value: p.Value})
			}
		}
	}
	return out
}
