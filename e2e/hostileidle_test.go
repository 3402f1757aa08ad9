//go:build hostile

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// TestHostilePeersAreNotWaitedForLong has peers that do next to nothing, with the times that a
// server without any configuration has.
func TestHostilePeersAreNotWaitedForLong(t *testing.T) {
	s := startServer(t, "--stream.grace", "1s")
	live := startLive(t, s, "beside")
	idlers := []idler{
		{name: "handshakes of a byte a second", conns: 200, sends: hello[:1], drips: true, within: 10 * time.Second, reason: "handshake-timeout"},
		{name: "connections that say nothing", conns: 50, within: 10 * time.Second, reason: "handshake-timeout"},
		{name: "connections that want nothing", conns: 50, sends: connected(), within: 10*time.Second + machineSlack, reason: "command-timeout"},
		{name: "half-open publishers", conns: 5, sends: publishing("half-open-%d"), within: 15*time.Second + machineSlack, reason: "peer-gone"},
		{name: "half-open players", conns: 20, sends: playing("beside"), within: 15*time.Second + machineSlack, reason: "peer-gone"},
		{name: "stalled players", conns: 50, sends: playing("beside"), within: 20 * time.Second, stalls: true},
	}
	run := func(t *testing.T) {
		var all sync.WaitGroup
		for _, i := range idlers {
			all.Go(func() { i.run(t, s) })
		}
		all.Wait()
	}
	before := s.refusals(t)
	rounds := live.undisturbed(t, func() { t.Run("all at once", run) })
	s.alive(t)
	after := s.refusals(t)
	want := map[string]int{}
	for _, i := range idlers {
		want[i.reason] += i.conns * rounds
	}
	delete(want, "")
	for reason, conns := range want {
		if n := after[reason] - before[reason]; n < conns {
			t.Errorf("%d connections counted as %q, %d were made; all: %v", n, reason, conns, after)
		}
	}
	live.finish(t)
}

// machineSlack is what a busy machine may add to the times that the server keeps.
const machineSlack = 2500 * time.Millisecond

// idler is a kind of connection that does next to nothing.
type idler struct {
	name   string
	conns  int
	sends  []byte
	drips  bool // sends another byte each second
	stalls bool // never reads
	within time.Duration
	reason string
}

func (i idler) run(t *testing.T, s *server) {
	if i.stalls {
		if err := i.stall(t.Context(), s); err != nil {
			t.Errorf("%s: %v", i.name, err)
		}
		return
	}
	var all sync.WaitGroup
	for n := range i.conns {
		all.Go(func() {
			if err := i.idle(t.Context(), s, n); err != nil {
				t.Errorf("%s: %v", i.name, err)
			}
		})
	}
	all.Wait()
}

// stall connects, asks, and never reads the answers.
func (i idler) stall(ctx context.Context, s *server) error {
	deadline := time.Now().Add(i.within)
	var conns []*net.TCPConn
	for range i.conns {
		c, err := s.dialRTMP(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		if _, err := c.Write(i.sends); err != nil {
			return err
		}
		conns = append(conns, c)
	}
	return unread(ctx, conns, deadline)
}

// idle returns an error if the connection lives too long.
func (i idler) idle(ctx context.Context, s *server, n int) error {
	deadline := time.Now().Add(i.within)
	c, err := s.dialRTMP(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	sends := bytes.ReplaceAll(i.sends, []byte("%d"), fmt.Appendf(nil, "%02d", n))
	if _, err := c.Write(sends); err != nil {
		return err
	}
	if i.drips {
		return drip(c, deadline)
	}
	return closedBy(c, deadline)
}

// drip sends a byte a second until the server closes.
func drip(c net.Conn, deadline time.Time) error {
	closed := make(chan error, 1)
	go func() { closed <- closedBy(c, deadline) }()
	for {
		select {
		case err := <-closed:
			return err
		case <-time.After(time.Second):
			_, _ = c.Write([]byte{0})
		}
	}
}
