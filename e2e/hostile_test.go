package e2e

import (
	"net"
	"sync"
	"testing"
	"time"
)

// attack is what hostile connections send, all at once.
type attack struct {
	name  string
	conns int
	sends []byte
	// reason is what the connections are to be counted as in the API.
	reason string
	// authorised: they publish before they attack, so they may hold more.
	authorised bool
}

const (
	// hostileMemory is how much a connection may cost before it is authorised.
	hostileMemory = 1 << 20
	// manyConnections is from how many on the share of each in what the process holds means
	// something: the collector lets some megabytes of garbage lie, whoever made it.
	manyConnections = 20
	// attackLimit is how long the server may take to end a connection that is at fault.
	attackLimit = 10 * time.Second
)

// TestHostileConnectionsHarmNobody has strangers attack the RTMP port while a stream is live. Each
// of them must be ended, counted by reason, and cost little; the process lives, the stream loses
// nothing and is not late, and nothing is left behind.
func TestHostileConnectionsHarmNobody(t *testing.T) {
	s := startServer(t, "--stream.grace", "1s")
	s.unwatched("its descriptors and its memory are counted")
	b := startBeside(t, s, "beside")
	before := s.descriptors(t)
	for _, a := range attacks() {
		t.Run(a.name, func(t *testing.T) {
			s.refuses(t, func() map[string]int {
				rounds := b.undisturbed(t, func() { a.run(t, s) })
				return map[string]int{a.reason: a.conns * rounds}
			})
		})
	}
	t.Run("2,000 connects and closes", func(t *testing.T) {
		b.undisturbed(t, func() { connectAndClose(t, s, 2000) })
		s.alive(t)
	})
	s.settles(t, before)
	b.finish(t)
	s.empties(t)
}

// run runs the attack, which the server must end, at a bounded price.
func (a attack) run(t *testing.T, s *server) {
	before := s.memory(t, "VmRSS")
	s.forgetPeak(t)
	a.connect(t, s, attackLimit)
	cost := (s.memory(t, "VmHWM") - before) / a.conns
	t.Logf("%d KiB for each of %d connections", cost>>10, a.conns)
	if cost > hostileMemory && a.conns >= manyConnections && !a.authorised {
		t.Errorf("a connection that nobody knows costs %d KiB", cost>>10)
	}
}

// connect makes the connections and waits until the server has ended them.
func (a attack) connect(t *testing.T, s *server, within time.Duration) {
	var all sync.WaitGroup
	for range a.conns {
		all.Go(func() {
			deadline := time.Now().Add(within)
			c, err := s.dialRTMP(t.Context())
			if err != nil {
				t.Errorf("%s: dial: %v", a.name, err)
				return
			}
			defer func() { _ = c.Close() }()
			if err := sendTo(c, a.sends, deadline); err != nil {
				t.Errorf("%s: %v after it began, the connection is %v", a.name, within, err)
			}
		})
	}
	all.Wait()
}

// sendTo sends what the server need not take, and waits until it has closed the connection.
func sendTo(c net.Conn, sends []byte, deadline time.Time) error {
	var writing sync.WaitGroup
	writing.Go(func() { _, _ = c.Write(sends) })
	err := closedBy(c, deadline)
	_ = c.Close() // which ends the writing
	writing.Wait()
	return err
}

// connectAndClose comes and goes, in each of the ways in which a peer can.
func connectAndClose(t *testing.T, s *server, times int) {
	t.Helper()
	var some sync.WaitGroup
	next := make(chan int)
	for range 20 {
		some.Go(func() {
			for i := range next {
				c, err := s.dialRTMP(t.Context())
				if err != nil {
					t.Errorf("dial: %v", err)
					continue
				}
				switch i % 4 {
				case 1:
					_, _ = c.Write(hello[:1])
				case 2:
					_, _ = c.Write(connected())
				case 3:
					_ = c.SetLinger(0) // close with a reset
				}
				_ = c.Close()
			}
		})
	}
	for i := range times {
		next <- i
	}
	close(next)
	some.Wait()
}
