package e2e

import (
	"fmt"
	"testing"
	"time"
)

// beside is a stream that is live on the server under attack, and the same stream on a server that
// nobody attacks: on the same machine, published and watched by the same process, in the same
// moments.
//
// A frame is late if it took longer than any frame of the other stream did around that time, and
// than the attacked server was kept from the CPU meanwhile, by more than maxAdded. So what the
// machine does to both, or to one of them, is not held against the server; that the server does
// something else than to pass frames on is.
type beside struct {
	attacked, calm *liveStream
	waits          *cpuWaits
}

const (
	// maxAdded is how much later than that a frame may arrive because of an attack.
	maxAdded = 100 * time.Millisecond
	// around is how far apart in time frames of the two streams are compared.
	around = 500 * time.Millisecond
	// attackRounds is how often an attack is tried until no frame is late: what the server does
	// to frames it does each time.
	attackRounds = 3
)

// startBeside starts the server that is not attacked, and both streams.
func startBeside(t *testing.T, s *server, name string) *beside {
	t.Helper()
	return startBesides(t, s, startServer(t, "--stream.grace", "1s"), name)
}

func startBesides(t *testing.T, s, calm *server, name string) *beside {
	t.Helper()
	return &beside{
		attacked: startLive(t, s, name), calm: startLive(t, calm, name),
		waits: watchCPU(t, s.cmd.Process.Pid),
	}
}

// undisturbed runs an attack, and fails the test if it makes frames late whenever it runs. It
// returns how often it has run.
func (b *beside) undisturbed(t *testing.T, run func()) int {
	t.Helper()
	const window = time.Second // so that there are frames to compare
	for round := 1; ; round++ {
		began := time.Now()
		run()
		time.Sleep(time.Until(began.Add(window)))
		v, err := b.verdict(began, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		t.Log(v)
		if v.late == 0 || t.Failed() {
			return round
		}
		if round == attackRounds {
			t.Errorf("in each of %d rounds frames are late", attackRounds)
			return round
		}
	}
}

// verdict is what an attack did to the frames of a stretch of time.
type verdict struct {
	frames, late   int
	attacked, calm time.Duration // the longest delays
	added          time.Duration // the worst of what is held against the server
}

func (v verdict) String() string {
	return fmt.Sprintf("%d of %d frames late: at most %v under attack, %v beside it, %v because of it", v.late, v.frames,
		v.attacked.Round(time.Millisecond), v.calm.Round(time.Millisecond), v.added.Round(time.Millisecond))
}

// verdict waits for the frames that were sent between two moments, and compares.
func (b *beside) verdict(from, to time.Time) (verdict, error) {
	hit, err := b.attacked.delaysBetween(from, to)
	if err != nil {
		return verdict{}, fmt.Errorf("the stream under attack: %w", err)
	}
	calm, err := b.calm.delaysBetween(from.Add(-around), to)
	if err != nil {
		return verdict{}, fmt.Errorf("the stream beside the attack: %w", err)
	}
	v := verdict{frames: len(hit)}
	for _, f := range hit {
		worst := worstAround(calm, f.sent)
		added := f.delay - worst
		if added > maxAdded { // else there is nothing to excuse
			added -= b.waits.between(f.sent, f.sent.Add(f.delay))
		}
		v.attacked, v.calm, v.added = max(v.attacked, f.delay), max(v.calm, worst), max(v.added, added)
		if added > maxAdded {
			v.late++
		}
	}
	return v, nil
}

// worstAround is the longest delay of the frames that were sent around a moment.
func worstAround(frames []delayed, moment time.Time) time.Duration {
	worst := time.Duration(0)
	for _, f := range frames {
		if d := f.sent.Sub(moment); -around < d && d < around {
			worst = max(worst, f.delay)
		}
	}
	return worst
}

// finish ends both streams, of which every frame must have arrived.
func (b *beside) finish(t *testing.T) {
	t.Helper()
	b.attacked.finish(t)
	b.calm.finish(t)
}
