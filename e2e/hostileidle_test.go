package e2e

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// idler is a kind of connection that does next to nothing, or nothing that counts.
type idler struct {
	name   string
	conns  int
	within time.Duration // the server has to end it in this time from when it does nothing
	reason string        // and to count it as this; "" where several are right
	idle   func(ctx context.Context, s *server, n int, within time.Duration) error
}

// machineSlack is what a busy machine may add to the times that the server keeps.
const machineSlack = 5 * time.Second

// idlers are peers that do next to nothing, with the times that a server without any configuration
// has.
func idlers() []idler {
	all := []idler{
		{name: "handshakes of a byte a second", conns: 200, within: 10 * time.Second, reason: "handshake-timeout", idle: drips},
		{name: "connections that say nothing", conns: 50, within: 10 * time.Second, reason: "handshake-timeout", idle: says(nil)},
		{name: "connections that want nothing", conns: 50, within: 10*time.Second + machineSlack, reason: "command-timeout",
			idle: says(connected())},
		{name: "half-open publishers", conns: 5, within: 15*time.Second + machineSlack, reason: "peer-gone", idle: publishesAndVanishes},
		// A player that takes nothing is closed for that, or for not answering a ping, whichever is seen first.
		{name: "half-open players", conns: 20, within: 15*time.Second + machineSlack, idle: playsAndVanishes},
		{name: "stalled players", conns: 50, within: 15*time.Second + machineSlack, idle: stalls},
	}
	for _, lie := range lies() {
		all = append(all, idler{name: lie.name, conns: lie.conns, within: 10*time.Second + machineSlack, reason: lie.reason,
			idle: says(lie.sends)})
	}
	return all
}

// TestHostilePeersAreNotWaitedForLong has strangers that want nothing, say nothing or are no more
// there, all at once, while a stream is live.
func TestHostilePeersAreNotWaitedForLong(t *testing.T) {
	// They come from one address and stand for peers from many.
	s := startServer(t, "--stream.grace", "1s", "--rtmp.max_handshakes_per_ip", "1000")
	s.unwatched("its descriptors and its memory are counted")
	b := startBeside(t, s, "beside")
	peers := idlers()
	descriptors := s.descriptors(t)
	before := s.memory(t, "VmRSS")
	s.forgetPeak(t)
	s.refuses(t, func() map[string]int {
		rounds := b.undisturbed(t, func() { idleAllAtOnce(t, s, peers) })
		want := map[string]int{}
		for _, i := range peers {
			want[i.reason] += i.conns * rounds
		}
		return want
	})
	conns := 0
	for _, i := range peers {
		conns += i.conns
	}
	cost := (s.memory(t, "VmHWM") - before) / conns
	t.Logf("%d KiB for each of %d connections", cost>>10, conns)
	if cost > hostileMemory {
		t.Errorf("a connection that does nothing costs %d KiB", cost>>10)
	}
	s.settles(t, descriptors)
	b.finish(t)
	s.empties(t)
}

func idleAllAtOnce(t *testing.T, s *server, peers []idler) {
	t.Helper()
	var all sync.WaitGroup
	for _, i := range peers {
		for n := range i.conns {
			all.Go(func() {
				if err := i.idle(t.Context(), s, n, i.within); err != nil {
					t.Errorf("%s: after %v: %v", i.name, i.within, err)
				}
			})
		}
	}
	all.Wait()
}

// says sends something and waits.
func says(what []byte) func(context.Context, *server, int, time.Duration) error {
	return func(ctx context.Context, s *server, _ int, within time.Duration) error {
		c, err := s.dialRTMP(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close() }()
		return sendTo(c, what, time.Now().Add(within))
	}
}

// drips sends a byte a second.
func drips(ctx context.Context, s *server, _ int, within time.Duration) error {
	c, err := s.dialRTMP(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	closed := make(chan error, 1)
	go func() { closed <- closedBy(c, time.Now().Add(within)) }()
	for b := hello[:1]; ; b = []byte{0} {
		_, _ = c.Write(b) // the server may have closed
		select {
		case err := <-closed:
			return err
		case <-time.After(time.Second):
		}
	}
}

// stalls asks to play and never reads the answers.
func stalls(ctx context.Context, s *server, _ int, within time.Duration) error {
	c, err := s.dialRTMP(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetReadBuffer(4 << 10); err != nil {
		return err
	}
	if _, err := c.Write(playing("beside")); err != nil {
		return err
	}
	return s.closes(ctx, c, time.Now().Add(within))
}

func publishesAndVanishes(ctx context.Context, s *server, n int, within time.Duration) error {
	return vanishes(ctx, s, fmt.Sprintf("half-open-%d", n), (*rtmp.Client).Publish, within)
}

func playsAndVanishes(ctx context.Context, s *server, _ int, within time.Duration) error {
	return vanishes(ctx, s, "beside", (*rtmp.Client).Play, within)
}

// vanishes begins to publish or to play, and is then gone without a word: half-open TCP.
func vanishes(ctx context.Context, s *server, name string, begin func(*rtmp.Client, context.Context) error, within time.Duration) error {
	var nc *net.TCPConn
	c, err := rtmp.Dial(ctx, s.publishURL(name), rtmp.ClientConfig{
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var err error
			nc, err = s.dialRTMP(ctx)
			return nc, err
		},
	})
	if err != nil {
		return err
	}
	defer func() { _ = nc.Close() }() // not c's, which would say goodbye
	if err := begin(c, ctx); err != nil {
		return err
	}
	if err := vanish(nc); err != nil {
		return err
	}
	return s.closes(ctx, nc, time.Now().Add(within))
}
