package main

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/headwater-live/headwater/cmd/headwater/systemd"
	"github.com/headwater-live/headwater/ingest"
)

// keyframeWait is how long an upgrade waits for keyframes, at which publishers can change over without a loss: longer
// than most encoders' GOP, and short enough for the others to be kept that long.
const keyframeWait = 4 * time.Second

// publishers are those that go on in the next process. Their connections stay open here until that one serves.
type publishers struct {
	logger *slog.Logger
	all    []*handed
}

// handed is one of them.
type handed struct {
	ingest.Frozen
	sent net.Conn // what the next process gets
	pump *pump    // nil for one without TLS
}

// end closes its connections: it goes on nowhere.
func (h *handed) end() {
	h.Leave()
	_ = h.sent.Close()
	if h.pump != nil {
		_, _ = h.pump.secure.Close(), h.pump.near.Close()
	}
}

// pump passes on what comes over TLS, which cannot be handed over: its keys are this process's.
type pump struct{ secure, near net.Conn }

// freezePublishers stops all publishers where they can go on.
func (s *server) freezePublishers() *publishers {
	p := &publishers{logger: s.logger}
	for _, z := range s.ingest.Freeze(keyframeWait) {
		h := &handed{Frozen: z, sent: z.Conn}
		if _, secure := z.Conn.(*tls.Conn); secure {
			near, far, err := systemd.Pair()
			if err != nil {
				s.logger.Warn("a publisher has to connect again", "remote", z.Conn.RemoteAddr().String(), "err", err)
				h.end()
				continue
			}
			h.sent, h.pump = far, &pump{secure: z.Conn, near: near}
		}
		p.all = append(p.all, h)
	}
	return p
}

// sendTo gives the publishers to a process that has been told to begin, but for those who were sent away meanwhile.
func (p *publishers) sendTo(next *systemd.Next) error {
	if !next.TakesConnections() {
		return nil
	}
	var sent []systemd.Connection
	if p != nil {
		p.all = slices.DeleteFunc(p.all, func(h *handed) bool {
			ended := h.Ended()
			if ended {
				p.logger.Info("a publisher does not go on: it was ended while it waited")
				h.end()
			}
			return ended
		})
		for _, h := range p.all {
			sent = append(sent, systemd.Connection{Conn: h.sent, State: h.State})
		}
	}
	left, err := next.SendConnections(sent, readyTimeout) // it waits for their end
	for _, err := range left {
		p.logger.Warn("a publisher has to connect again", "err", err)
	}
	return err
}

// letGo gives up what another process has taken, and begins to pass on what comes over TLS. The function that it returns
// waits until that has ended, and ends it after a time, or when this process is asked to end.
func (p *publishers) letGo(asked context.Context) (wait func(time.Duration)) {
	if p == nil {
		return func(time.Duration) {}
	}
	ctx, cancel := context.WithCancel(asked)
	var pumping sync.WaitGroup
	pumps := 0
	for _, h := range p.all {
		h.Leave()
		_ = h.sent.Close() // this process's descriptor of it
		if u := h.pump; u != nil {
			pumps++
			pumping.Go(func() { u.run(ctx) })
		}
	}
	p.all = nil // with all that was read: this process may stay for long
	return func(timeout time.Duration) {
		if pumps > 0 {
			p.logger.Info("passing on what publishers send over TLS", "publishers", pumps, "timeout", timeout)
		}
		over := time.AfterFunc(timeout, cancel)
		pumping.Wait()
		over.Stop()
		cancel()
	}
}

// any reports whether there are any.
func (p *publishers) any() bool { return p != nil && len(p.all) > 0 }

// end closes all connections: nobody goes on with them.
func (p *publishers) end() {
	if p == nil {
		return
	}
	for _, h := range p.all {
		h.end()
	}
	p.all = nil
}

// pumpEnd is how long an encoder may take to end a connection that the next process has ended.
const pumpEnd = 5 * time.Second

// run passes on both ways until one side has gone, or ctx ends.
func (u pump) run(ctx context.Context) {
	ends := func() { _, _ = u.secure.Close(), u.near.Close() }
	defer ends()
	defer context.AfterFunc(ctx, ends)()
	if u.secure.SetDeadline(time.Time{}) != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		pass(u.secure, u.near)
		_ = u.secure.SetReadDeadline(time.Now().Add(pumpEnd)) // nobody counts it any more
	})
	pass(u.near, u.secure)
	back.Wait()
}

// pass copies until src ends, and says so to dst.
func pass(dst, src net.Conn) {
	_, _ = io.Copy(dst, src)
	if half, ok := dst.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// takeOverPublishers goes on with the publishers of the process before; start has them read.
func (s *server) takeOverPublishers() (start func()) {
	connections, err := s.before.Connections(readyTimeout)
	if err != nil {
		s.logger.Warn("not all publishers were taken over", "err", err)
	}
	frozen := make([]ingest.Frozen, len(connections))
	for i, c := range connections {
		frozen[i] = ingest.Frozen{Conn: c.Conn, State: c.State}
	}
	return s.ingest.Adopt(frozen)
}
