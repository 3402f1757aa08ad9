package ingest

import (
	"context"
	"errors"
	"sync"

	"github.com/headwater-live/headwater/ingest/rtmp"
	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/bytelog"
)

// player is one playback of a session.
type player struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	leave  func()
	forget func() // that the permission may end

	// What each write to the player looks at stands together.
	viewer bytelog.Viewer
	out    playOutput
	wants  selection
}

// play decides on a request and begins to send the stream, as soon as it is there.
func (se *session) play(r *rtmp.PlayRequest) error {
	name, err := remux.ParseStreamName(r.App, r.Name)
	if err != nil {
		se.refused(r, BadName)
		return se.refuse(r, BadName, rtmp.CodePlayStreamNotFound, err.Error())
	}
	if se.server.stopping() { // what was decided by is not kept up to date any more
		se.refused(r, stoppingReason)
		return se.refuse(r, stoppingReason, rtmp.CodePlayFailed, stoppingText)
	}
	account := se.newPlayback(r, name)
	adm := admission{leave: func() {}}
	if mayPlay := se.server.config.MayPlay; mayPlay != nil {
		decision := mayPlay(account.Request)
		var refusal *Decision
		if adm, refusal = decision.enter(); refusal != nil {
			account.answered(refusal.code())
			se.account(account)
			return se.refuse(r, refusal.code(), rtmp.CodePlayFailed, refusal.Reason)
		}
	}
	if err := se.conn.AcceptPlay(r); err != nil {
		adm.leave()
		return err
	}
	se.wire.limit(0)
	if len(se.publications) == 0 {
		se.wire.plays()
	}
	se.entry.playing.Add(1)
	ctx, cancel := context.WithCancel(se.server.ctx)
	p := &player{cancel: cancel, leave: adm.leave, forget: func() {}}
	se.players[r.StreamID] = p
	if adm.permit != nil {
		p.forget = se.watchPermission(r.StreamID, &adm)
	}
	p.done.Go(func() { se.send(ctx, p, r.StreamID, account) })
	return nil
}

// watchPermission ends a playback when the permission for it does, until forget is called, which waits for
// that where it has begun.
func (se *session) watchPermission(id uint32, adm *admission) (forget func()) {
	closed := make(chan struct{})
	stop := context.AfterFunc(adm.permit, func() {
		defer close(closed)
		cause := adm.cause()
		se.server.refusals.count(cause.counted())
		se.wire.hurry()
		_ = se.conn.CloseWithStatus(id, rtmp.CodePlayFailed, cause.text())
	})
	return func() {
		if !stop() {
			<-closed
		}
	}
}

// send waits for a stream and begins to play it to the peer, until either side ends.
func (se *session) send(ctx context.Context, p *player, id uint32, account *Playback) {
	s, name := se.server, account.Stream
	format := playFormat{streamID: id, chunkSize: se.conn.ChunkSize()}
	found := s.logs.Find(ctx, s.config.Hub, name, format, s.limits.Load().Wait)
	if found == nil {
		account.answered(NotFound)
		se.account(account)
		se.notFound(id, ctx.Err() != nil)
		return
	}
	account.answered("")
	se.log.Debug("player began", "stream", string(name))
	se.wire.steps.Tune()
	out, v := &p.out, &p.viewer
	out.conn, out.wants, out.chunk = se.conn, &p.wants, format.chunkSize
	v.Log, v.From, v.MaxBacklog = found.Log, found.From, int64(s.limits.Load().MaxBacklog)
	v.Metrics, v.Output = &s.metrics, out
	remove := found.Stream.AddViewer(remux.Viewer{Protocol: "rtmp", Remote: addrPort(se.nc.RemoteAddr()), Sent: v.Sent, End: func() {
		p.cancel()
		_ = se.conn.Close() // a write may be waiting for the peer
	}})
	forget := context.AfterFunc(ctx, v.Stop)
	p.done.Add(1)
	v.Start(func(err error) {
		defer p.done.Done()
		out.pass()
		forget()
		remove()
		found.Leave()
		account.Sent = v.Sent()
		se.account(account)
		se.played(id, name, err)
	})
}

// notFound ends a playback whose stream did not come, or that has not waited for it; and the connection, unless something
// else goes on there.
func (se *session) notFound(id uint32, left bool) {
	playing := se.entry.playing.Add(-1) > 0
	stopping := se.server.stopping()
	if !left {
		se.server.refusals.count(NotFound)
		_ = se.conn.SendStatus(id, rtmp.CodePlayStreamNotFound, "no such stream, or it has not begun")
	}
	switch {
	case left && !stopping:
	case playing || se.entry.publishing.Load() > 0 && !stopping:
		se.conn.GoesOn()
	default:
		_ = se.conn.Close() // so that reading ends too
	}
}

// played ends a playback that got to the stream's end, or else its connection.
func (se *session) played(id uint32, name remux.StreamName, err error) {
	others := se.entry.playing.Add(-1) > 0
	switch {
	case bytelog.IsStalled(err), rtmp.Reason(err) == rtmp.ReasonWriteTimeout:
		se.blame(reasonStalled)
	case errors.Is(err, bytelog.ErrTooSlow):
		se.blame("player-too-slow")
	case errors.Is(err, bytelog.ErrStopped) && se.conn.Whole() && (others || !se.server.stopping()):
		return // the player wants no more of this stream, and may want another, or has it
	}
	if err != nil {
		se.log.Debug("player left", "stream", string(name), "error", err)
		_ = se.conn.Close() // so that reading ends too
		return
	}
	_ = se.conn.EndPlay(id, "the stream has ended") // a player that has gone need not know
	if !others && se.server.stopping() {
		_ = se.conn.Close()
	}
}

// playOutput writes whole messages in chunks, those that the player wants. It is a
// bytelog.Output.
type playOutput struct {
	conn  *rtmp.ServerConn
	wants *selection
	chunk int    // their size
	left  []byte // to be written
	rest  []byte // to be selected from, after that
	// held: the connection's turn is held, from the first byte of left to the last. It may play
	// several streams.
	held bool
}

// Begin implements bytelog.Output.
func (o *playOutput) Begin(b []byte, prologue bool) {
	if prologue {
		o.left = b
	} else {
		o.rest = b
	}
}

// Step implements bytelog.Output.
func (o *playOutput) Step(wait bool) (n int, done bool, err error) {
	for len(o.left) == 0 && len(o.rest) > 0 {
		o.left, o.rest = o.wants.cut(o.rest, o.chunk)
	}
	if len(o.left) == 0 {
		return 0, true, nil
	}
	if !o.take(wait) {
		return 0, false, nil
	}
	n, err = o.conn.WriteSome(o.left, wait)
	if o.left = o.left[n:]; len(o.left) == 0 {
		o.left = nil
		o.pass()
	}
	return n, err == nil && o.left == nil && len(o.rest) == 0, err
}

// take begins the output's turn; it returns false if that would take waiting.
func (o *playOutput) take(wait bool) bool {
	o.held = o.held || o.conn.TakeTurn(wait)
	return o.held
}

// pass ends the output's turn.
func (o *playOutput) pass() {
	if o.held {
		o.held = false
		o.conn.PassTurn()
	}
}

// Sweepable implements bytelog.Output.
func (o *playOutput) Sweepable() bool { return o.conn.CanStep() }

// endPlayer ends a playback and waits for its goroutine.
func (se *session) endPlayer(id uint32) {
	p := se.players[id]
	if p == nil {
		return
	}
	delete(se.players, id)
	p.cancel()
	p.done.Wait()
	p.forget()
	p.leave()
}

// losePlayer ends a playback whose peer has gone. A write to it may still be waiting for the peer
// to read: closing wakes it.
func (se *session) losePlayer(id uint32) {
	_ = se.conn.Close()
	se.endPlayer(id)
}

// playFormat renders packets as RTMP messages for a message stream. It is a bytelog.Format.
type playFormat struct {
	streamID  uint32
	chunkSize int
}

// chunkOverhead is the most that a chunk adds to its payload, a basic header and an extended
// timestamp, and messageOverhead what a message's first chunk adds to that.
const (
	chunkOverhead   = 3 + 4
	messageOverhead = 11
)

// Size implements bytelog.Format.
func (f playFormat) Size(pkt *remux.Packet) int {
	chunks := len(pkt.Payload)/f.chunkSize + 1
	return messageOverhead + chunks*chunkOverhead + len(pkt.Payload)
}

// Append implements bytelog.Format.
func (f playFormat) Append(dst []byte, pkt *remux.Packet, start bool) []byte {
	return f.message(dst, pkt, pkt.DTS, start)
}

// Join implements bytelog.Format.
func (f playFormat) Join(dst []byte, j bytelog.Join) []byte {
	for _, pkt := range j.Configs {
		dst = f.message(dst, pkt, j.DTS, false)
	}
	return dst
}

func (f playFormat) message(dst []byte, pkt *remux.Packet, dts int64, start bool) []byte {
	return rtmp.AppendMessage(dst, chunksOf(pkt, start), uint8(pkt.TagType()), f.streamID, uint32(dts), f.chunkSize, pkt.Payload)
}
