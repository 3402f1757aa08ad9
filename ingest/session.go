package ingest

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/bytelog"
)

// session is one connection. All of it belongs to the goroutine that reads.
type session struct {
	server *Server
	nc     net.Conn
	entry  *connection
	wire   *pacedConn
	conn   *rtmp.ServerConn
	log    *slog.Logger
	// publications and players are those in progress, by message stream.
	publications map[uint32]*publication
	players      map[uint32]*player
	moved        bool // see run
	requests     bucket
	protocol     string
	held         *rtmp.Media // that it was frozen before
}

// serve runs a session to its end.
func (s *Server) serve(nc net.Conn, entry *connection) {
	se := s.newSession(nc, entry, protocolOf(nc))
	se.wire.limit(s.limits.Load().MaxBeforeAuth)
	se.use(rtmp.NewServerConn(se.wire, s.rtmpConfig()))
	if err := se.conn.Handshake(s.ctx); err != nil {
		se.end(err)
		return
	}
	entry.visit.Spoken()
	se.run()
}

// newSession makes a session that has no end of its connection yet.
func (s *Server) newSession(nc net.Conn, entry *connection, protocol string) *session {
	se := &session{
		server:       s,
		nc:           nc,
		entry:        entry,
		protocol:     protocol,
		log:          s.config.Logger.With("remote", nc.RemoteAddr().String()),
		publications: make(map[uint32]*publication),
		players:      make(map[uint32]*player),
		requests:     bucket{rate: requestRate, holds: requestBurst},
	}
	se.wire = &pacedConn{Conn: nc, steps: bytelog.NewConn(nc), resting: se.unwatched, rest: s.restOf(protocol), turns: s.turns}
	return se
}

// use gives the session its end of the connection.
func (se *session) use(conn *rtmp.ServerConn) {
	se.server.mu.Lock()
	defer se.server.mu.Unlock()
	se.conn, se.entry.conn = conn, conn
}

// errMoved says that another goroutine goes on with the session.
var errMoved = errors.New("the session goes on elsewhere")

// run deals with what comes until the connection ends. Of what a session's beginning took, the stack is
// the largest part: the first playback goes on with a new one, and then little comes. There may be
// thousands of players.
func (se *session) run() {
	err := se.deal()
	f := se.server.freezing.Load()
	switch {
	case errors.Is(err, errMoved):
		se.server.sessions.Go(se.run)
	case errors.Is(err, errFrozen):
		se.freeze(f, *se.held)
	case errors.Is(err, rtmp.ErrSuspended) && f.enter():
		se.freeze(f)
	default:
		se.end(err)
	}
}

// end ends all that is in progress, and the connection.
func (se *session) end(err error) {
	defer se.server.release(se.nc)
	defer func() { _ = se.conn.Close() }()
	se.wire.endTurn()
	for id := range se.publications {
		se.endPublication(id, remux.EndDisconnected)
	}
	for id := range se.players {
		se.losePlayer(id)
	}
	se.report(err)
}

// unwatched reports whether all this connection does is publish what nobody watches live.
func (se *session) unwatched() bool {
	if len(se.publications) == 0 {
		return false
	}
	for _, p := range se.publications {
		if p.Viewers() > 0 {
			return false
		}
	}
	return len(se.players) == 0
}

// reasonStalled is what a player is counted as that takes nothing.
const reasonStalled = "player-stalled"

// report says and counts why a session ended.
func (se *session) report(err error) {
	if errors.Is(err, remux.ErrFenced) {
		return // who ended the publication has said and counted it
	}
	reason := rtmp.Reason(err)
	switch reason {
	case "", rtmp.ReasonEOF, rtmp.ReasonClosed, rtmp.ReasonCanceled, rtmp.ReasonRefused:
		return
	case rtmp.ReasonReset, rtmp.ReasonTruncated:
		switch {
		case se.wire.exhausted():
			if se.blame("too-much-before-authorisation") {
				se.log.Warn("connection broken off", "reason", "too-much-before-authorisation", "limit", se.server.limits.Load().MaxBeforeAuth)
			}
			return
		case se.moved && errors.Is(err, syscall.ETIMEDOUT):
			// The system tells only one that a player takes nothing, who reads or who writes.
			reason = reasonStalled
		default:
			se.log.Debug("connection lost", "reason", reason, "error", err)
			return
		}
	}
	if se.blame(reason) {
		se.log.Warn("connection broken off", "reason", reason, "error", err)
	}
}

// blame counts why the connection is broken off, unless that has been: who reads it and who writes to its player may
// notice different things in the same moment.
func (se *session) blame(reason string) bool {
	first := !se.entry.blamed.Swap(true)
	if first {
		se.server.refusals.count(reason)
	}
	return first
}

// errRefused ends a session whose request was refused, which has been logged and counted.
var errRefused = &rtmp.Error{Reason: rtmp.ReasonRefused, Op: "request", Text: "refused"}

// deal deals with events until the connection ends, or the session is to move.
func (se *session) deal() error {
	for {
		event, err := se.conn.Next()
		if err != nil {
			return err
		}
		se.wire.endTurn() // to decide may take long
		switch e := event.(type) {
		case *rtmp.Media:
			if se.server.freezing.Load() != nil && se.freezesAt(e) {
				held := *e // which is valid until the next one
				se.held, err = &held, errFrozen
			} else {
				err = se.media(e)
			}
		case *rtmp.PublishRequest:
			if err = se.request(); err == nil {
				err = se.publish(e)
			}
		case *rtmp.Unpublish:
			se.endPublication(e.StreamID, endReason(e.Cause))
		case *rtmp.PlayRequest:
			if err = se.request(); err == nil {
				err = se.play(e)
			} else {
				se.refused(e, ReasonTooManyRequests)
			}
			if err == nil && len(se.players) > 0 && !se.moved {
				se.moved, err = true, errMoved
			}
		case *rtmp.Pause:
			if p := se.players[e.StreamID]; p != nil {
				p.wants.pause(e.Paused)
			}
		case *rtmp.Receive:
			if p := se.players[e.StreamID]; p != nil {
				p.wants.receive(e.Type, e.Wanted)
			}
		case *rtmp.Stop:
			if e.Cause != nil {
				se.losePlayer(e.StreamID)
			} else {
				se.endPlayer(e.StreamID)
			}
		}
		if err != nil {
			return err
		}
	}
}

// wantAddress says how an address is written.
const wantAddress = "In OBS: Server rtmp://HOST/APP, Stream Key NAME"

// checkConnect refuses an application under which nothing can be published or played. It may
// have the stream's name behind it, for encoders with one field for the whole address, or be
// missing and stand before the name.
func (s *Server) checkConnect(c *rtmp.ConnectInfo) error {
	if c.App == "" {
		return nil
	}
	app, name, _ := strings.Cut(c.App, "/")
	_, err := remux.ParseStreamName(app, cmp.Or(name, app))
	if err == nil {
		return nil
	}
	s.refusals.count("bad-app")
	return &rtmp.Refusal{Code: rtmp.CodeInvalidApp, Description: fmt.Sprintf("%v. %s", err, wantAddress)}
}

// refuse tells the peer why not, counts it, and ends the session, unless it has something else in progress.
func (se *session) refuse(r rtmp.Event, reason, code, description string) error {
	se.wire.limit(0) // so that closing can read what else comes, and the refusal arrives
	se.server.refusals.count(reason)
	se.log.Warn("request refused", "reason", reason, "description", description)
	goesOn := se.entry.publishing.Load() > 0 || se.entry.playing.Load() > 0
	if err := se.conn.Reject(r, code, description); err != nil {
		return err
	}
	if goesOn {
		se.conn.GoesOn()
		return nil
	}
	return errRefused
}

const (
	// requestBurst and requestRate bound how often, at once and by the second, a connection asks to publish or to play.
	// Encoders ask once, and a viewer that goes through all streams asks for some by the second; but each costs a
	// question to whoever decides, and lines in the log.
	requestBurst = 100
	requestRate  = 5
)

// ReasonTooManyRequests is what is counted who asks more often.
const ReasonTooManyRequests = "too-many-requests"

var errTooManyRequests = &rtmp.Error{Reason: ReasonTooManyRequests, Op: "read", Text: "it asks to publish or to play all the time"}

// request counts a request, and returns an error if there are too many.
func (se *session) request() error {
	if se.requests.overflows(1, time.Now()) {
		return errTooManyRequests
	}
	return nil
}
