package e2e

import (
	"syscall"
	"testing"
	"time"
)

// stall is how long a server does nothing in TestStallsOfTheServerAreSeen: much longer than a busy
// machine makes frames late.
const stall = time.Second

// TestStallsOfTheServerAreSeen stops the server for a moment, which must be seen as an attack that
// makes frames late; and then both servers, which a machine that stalls does to them.
func TestStallsOfTheServerAreSeen(t *testing.T) {
	s := startServer(t, "--stream.grace", "1s")
	calm := startServer(t, "--stream.grace", "1s")
	b := startBesides(t, s, calm, "beside")
	found := func(want bool, servers ...*server) {
		t.Helper()
		for round := 1; ; round++ {
			began := time.Now()
			pause(t, stall, servers...)
			v, err := b.verdict(began, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if v.late > 0 == want {
				return
			}
			if round == attackRounds {
				t.Errorf("with %d servers stopped: %v", len(servers), v)
				return
			}
		}
	}
	found(true, s)
	found(false, s, calm)
	b.finish(t)
}

// pause stops processes for a while.
func pause(t *testing.T, d time.Duration, servers ...*server) {
	t.Helper()
	for _, signal := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
		for _, s := range servers {
			if err := s.cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
		}
		if signal == syscall.SIGSTOP {
			time.Sleep(d)
		}
	}
}
