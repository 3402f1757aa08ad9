package e2e

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// dialPlayer connects a player that says it plays, which AcceptPlay confirms at once.
func dialPlayer(t *testing.T, s *server, name string) *rtmp.Client {
	t.Helper()
	c, err := rtmp.Dial(limit(t, startLimit), s.publishURL(name), rtmp.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Play(limit(t, startLimit)); err != nil {
		t.Fatal(err)
	}
	return c
}

// played is what a player has got of a live stream.
type played struct {
	pictures, sounds []int    // numbers
	times            []uint32 // of pictures
	firstAfter       time.Duration
	first            byte // the first picture's frame type: 1 is a keyframe
	faults           []string
}

// collect reads until enough says so, or the stream ends.
func collect(c *rtmp.Client, enough func(played) bool) (played, error) {
	var p played
	began := time.Now()
	last := map[uint8]uint32{}
	for !enough(p) {
		m, err := c.ReadMedia()
		if err != nil {
			return p, err
		}
		id, ok := liveFrame(int(m.Type), m.Payload)
		if !ok {
			continue
		}
		if before, ok := last[m.Type]; ok && m.Timestamp <= before {
			p.faults = append(p.faults, fmt.Sprintf("type %d: time goes from %d to %d", m.Type, before, m.Timestamp))
		}
		last[m.Type] = m.Timestamp
		if m.Type == rtmp.TypeAudio {
			p.sounds = append(p.sounds, id.number)
			continue
		}
		if len(p.pictures) == 0 {
			p.firstAfter, p.first = time.Since(began), m.Payload[0]>>4
		}
		p.pictures, p.times = append(p.pictures, id.number), append(p.times, m.Timestamp)
	}
	return p, nil
}

func pictures(n int) func(played) bool { return func(p played) bool { return len(p.pictures) >= n } }

// inARow lists gaps in numbers.
func inARow(what string, numbers []int) []string {
	var faults []string
	for i := 1; i < len(numbers) && len(faults) < maxFaults; i++ {
		if numbers[i] != numbers[i-1]+1 {
			faults = append(faults, fmt.Sprintf("%s %d after %d", what, numbers[i], numbers[i-1]))
		}
	}
	return faults
}

// TestRTMPPlayersJoinAtAKeyframe checks the GOP cache, and that a player that came before the
// publisher misses nothing.
func TestRTMPPlayersJoinAtAKeyframe(t *testing.T) {
	s := startServer(t, "--stream.grace", shortGrace)
	const name = "join"
	early := dialPlayer(t, s, name)
	if err := s.awaited(limit(t, startLimit), name); err != nil {
		t.Fatal(err)
	}
	live := startLive(t, s, name)
	got, err := collect(early, pictures(liveGOP+liveGOP/2)) // now it is in the middle of a GOP
	if err != nil {
		t.Fatal(err)
	}
	report(t, "early player", append(got.faults, append(inARow("picture", got.pictures), inARow("sound", got.sounds)...)...))
	if got.pictures[0] != 0 || got.sounds[0] != 0 {
		t.Errorf("who waited begins with picture %d and sound %d", got.pictures[0], got.sounds[0])
	}
	late, err := collect(dialPlayer(t, s, name), pictures(liveGOP))
	if err != nil {
		t.Fatal(err)
	}
	report(t, "late player", append(late.faults, append(inARow("picture", late.pictures), inARow("sound", late.sounds)...)...))
	if late.first != 1 || late.pictures[0] != liveGOP {
		t.Errorf("who is late begins with picture %d, frame type %d, not with the newest keyframe", late.pictures[0], late.first)
	}
	// At the end of the GOP, which begins anew every two seconds, it would have to wait for the next.
	if late.firstAfter > time.Second/2 {
		t.Errorf("the first picture came after %v", late.firstAfter)
	}
	live.finish(t)
}

// TestRTMPPlayersOutliveTheirPublisher has a publisher come back within the grace period: for its
// player time goes on, from a keyframe.
func TestRTMPPlayersOutliveTheirPublisher(t *testing.T) {
	s := startServer(t, "--stream.grace", "10s")
	const name = "again"
	player := dialPlayer(t, s, name)
	if err := s.awaited(limit(t, startLimit), name); err != nil {
		t.Fatal(err)
	}
	var both played
	var reading sync.WaitGroup
	var readErr error
	restarted := func(p played) bool { // the second publisher counts from 0 as well
		n := len(p.pictures)
		return n > 40 && p.pictures[n-1] >= 20 && p.pictures[0] == 0 && p.pictures[n-1] < n-20
	}
	reading.Go(func() { both, readErr = collect(player, restarted) })
	for _, n := range []int{30, 90} {
		if err := publishLive(t, s, name, n); err != nil {
			t.Fatal(err)
		}
	}
	reading.Wait()
	if readErr != nil {
		t.Fatalf("after %d pictures: %v", len(both.pictures), readErr)
	}
	report(t, "player", both.faults)
	for i := 1; i < len(both.pictures); i++ {
		if n := both.pictures[i]; n != both.pictures[i-1]+1 && (n != 0 || i != 30) {
			t.Errorf("picture %d after %d", n, both.pictures[i-1])
		}
	}
}

// publishLive publishes some pictures, a bit faster than they play.
func publishLive(t *testing.T, s *server, name string, pictures int) error {
	c, err := rtmp.Dial(t.Context(), s.publishURL(name), rtmp.ClientConfig{})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.Publish(t.Context()); err != nil {
		return err
	}
	if err := c.WriteMedia(rtmp.TypeVideo, 0, liveVideoConfig); err != nil {
		return err
	}
	for i := range pictures {
		if err := c.WriteMedia(rtmp.TypeVideo, uint32(i*1000/livePictureRate), livePayload(frameID{rtmp.TypeVideo, i})); err != nil {
			return err
		}
		time.Sleep(time.Second / livePictureRate / 2)
	}
	return c.Close()
}
