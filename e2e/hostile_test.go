//go:build hostile

package e2e

import (
	"sync"
	"testing"
	"time"
)

// attack is what hostile connections send, all at once.
type attack struct {
	name  string
	conns int
	sends []byte
	// reason is what every connection is to be counted as in the API; "" for any.
	reason string
	// authorised: they publish before they attack, so they may hold more.
	authorised bool
}

// hostileMemory is how much a connection may cost before it is authorised.
const hostileMemory = 1 << 20

// manyConnections is from how many on the share of each in what the process holds means something:
// the collector lets some megabytes of garbage lie, whoever made it.
const manyConnections = 20

// TestHostileConnectionsHarmNobody has strangers attack the RTMP port while a stream is live.
func TestHostileConnectionsHarmNobody(t *testing.T) {
	s := startServer(t, "--stream.grace", "1s", "--rtmp.request_timeout", "2s", "--rtmp.max_connections_per_ip", "5000")
	live := startLive(t, s, "beside")
	for _, a := range attacks() {
		t.Run(a.name, func(t *testing.T) {
			before := s.refusals(t)
			rounds := live.undisturbed(t, func() { a.run(t, s) })
			s.alive(t)
			after := s.refusals(t)
			if n := after[a.reason] - before[a.reason]; n != a.conns*rounds {
				t.Errorf("%d connections counted as %q, %d were made; all: %v", n, a.reason, a.conns*rounds, after)
			}
		})
	}
	t.Run("2,000 connects and closes", func(t *testing.T) {
		before := s.descriptors(t)
		live.undisturbed(t, func() { connectAndClose(t, s, 2000) })
		s.alive(t)
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			if n := s.descriptors(t); n <= before+5 {
				break
			} else if time.Now().After(end) {
				t.Fatalf("%d descriptors are open, %d were before", n, before)
			}
		}
	})
	live.finish(t)
}

// maxAdded is how much later frames may arrive because of an attack.
const maxAdded = 100 * time.Millisecond

// undisturbed runs an attack and fails the test if the live stream comes later than just
// before. Something else on this machine may be the cause: then it looks again. It returns how
// often the attack has run.
func (l *liveStream) undisturbed(t *testing.T, run func()) int {
	t.Helper()
	const rounds, window = 3, time.Second
	for round := 1; ; round++ {
		time.Sleep(window) // what is measured is how late frames are without an attack
		began := time.Now()
		run()
		time.Sleep(time.Until(began.Add(window)))
		calm, err := l.delaysBetween(began.Add(-window), began)
		if err != nil {
			t.Fatalf("before the attack: %v", err)
		}
		hit, err := l.delaysBetween(began, time.Now())
		if err != nil {
			t.Fatalf("during the attack: %v", err)
		}
		t.Logf("delay before: %v; during: %v", calm, hit)
		if t.Failed() || hit.median-calm.median < maxAdded && hit.p95-calm.p95 < maxAdded {
			return round
		}
		if round == rounds {
			t.Errorf("frames are late during the attack: %v; before: %v", hit, calm)
			return round
		}
	}
}

// run runs the attack, which the server must end, at a bounded price.
func (a attack) run(t *testing.T, s *server) {
	const within = 10 * time.Second // of the handshake, which takes no time
	before := s.memory(t, "VmRSS")
	s.forgetPeak(t)
	var all sync.WaitGroup
	for range a.conns {
		all.Go(func() {
			deadline := time.Now().Add(within)
			c, err := s.dialRTMP(t.Context())
			if err != nil {
				t.Errorf("dial: %v", err)
				return
			}
			defer func() { _ = c.Close() }()
			var writing sync.WaitGroup
			writing.Go(func() { _, _ = c.Write(a.sends) }) // the server need not take all
			if err := closedBy(c, deadline); err != nil {
				t.Errorf("%v after it began, the connection is %v", within, err)
			}
			_ = c.Close()
			writing.Wait()
		})
	}
	all.Wait()
	cost := (s.memory(t, "VmHWM") - before) / a.conns
	t.Logf("%d KiB for each of %d connections", cost>>10, a.conns)
	if cost > hostileMemory && a.conns >= manyConnections && !a.authorised {
		t.Errorf("a connection that nobody knows costs %d KiB", cost>>10)
	}
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
