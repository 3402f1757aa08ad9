package e2e

import (
	"sync"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// TestASlowRTMPPlayerHarmsNobody publishes more, at once, than a player that does not read may be
// behind: it continues at a keyframe. Who reads gets all of it, and other streams notice nothing.
func TestASlowRTMPPlayerHarmsNobody(t *testing.T) {
	s := startServer(t, "--stream.grace", shortGrace)
	live := startLive(t, s, "beside")
	const name, burst = "burst", 40 * liveGOP // 25 MB, in sockets there is room for a few
	publisher, err := rtmp.Dial(t.Context(), s.publishURL(name), rtmp.ClientConfig{WriteTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = publisher.Close() }()
	if err := publisher.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	send := func(number int) {
		at := uint32(number * 1000 / livePictureRate)
		if err := publisher.WriteMedia(rtmp.TypeVideo, at, livePayload(frameID{rtmp.TypeVideo, number})); err != nil {
			t.Errorf("publish picture %d: %v", number, err)
		}
	}
	if err := publisher.WriteMedia(rtmp.TypeVideo, 0, liveVideoConfig); err != nil {
		t.Fatal(err)
	}
	const settle = liveGOP // so that the stream has begun
	for i := range settle {
		send(i)
	}
	slow, fast := dialPlayer(t, s, name), dialPlayer(t, s, name)
	for _, c := range []*rtmp.Client{slow, fast} {
		if _, err := collect(c, pictures(settle)); err != nil {
			t.Fatal(err)
		}
	}
	all := func(p played) bool { return len(p.pictures) > 0 && p.pictures[len(p.pictures)-1] == burst-1 }
	var got played
	var reading sync.WaitGroup
	reading.Go(func() {
		var err error
		if got, err = collect(fast, all); err != nil {
			t.Errorf("the fast player: %v", err)
		}
	})
	for i := settle; i < burst; i++ {
		send(i)
		time.Sleep(time.Millisecond)
	}
	reading.Wait()
	report(t, "fast player", append(got.faults, inARow("picture", got.pictures)...))

	late, err := collect(slow, all)
	report(t, "slow player", late.faults)
	if err != nil {
		t.Fatalf("the slow player, after %d pictures: %v", len(late.pictures), err)
	}
	jumps := 0
	for i := 1; i < len(late.pictures); i++ {
		if before, n := late.pictures[i-1], late.pictures[i]; n != before+1 {
			jumps++
			if n%liveGOP != 0 {
				t.Errorf("the slow player jumped from picture %d to %d, which is no keyframe", before, n)
			}
		}
	}
	if jumps != 1 {
		t.Errorf("the slow player jumped %d times, got %d pictures of %d", jumps, len(late.pictures), burst)
	}
	live.finish(t)
}
