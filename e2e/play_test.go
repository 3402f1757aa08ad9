package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/headwater-live/headwater/ingest/rtmp"
)

// TestRTMPPlayersPlay lets ffmpeg, mpv and rtmpdump play a stream from the URL that it is
// published to. They come in the middle and leave before the end.
func TestRTMPPlayersPlay(t *testing.T) {
	s := startServer(t)
	const name = "rtmp-players"
	src := browserFixture.make(t)
	ctx := limit(t, 2*time.Minute)
	pushInBackground(ctx, t, src.path, s.publishURL(name))
	waitForHLS(ctx, t, s.hlsURL(name), 1)
	for player, play := range map[string]func(context.Context, *testing.T, string){
		"ffmpeg": ffmpegLive, "mpv": mpvLive, "rtmpdump": rtmpdumpLive,
	} {
		t.Run(player, func(t *testing.T) {
			t.Parallel()
			play(limit(t, time.Minute), t, s.publishURL(name))
		})
	}
}

// rtmpdumpLive records until there are some seconds of pictures, and counts them.
func rtmpdumpLive(ctx context.Context, t *testing.T, url string) {
	path := filepath.Join(t.TempDir(), "dump.flv")
	cmd := command(ctx, t, "rtmpdump", "--quiet", "--live", "--rtmp", url, "--flv", path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	file, err := grown(ctx, path, playSeconds*25)
	if err != nil {
		t.Errorf("rtmpdump: %v", err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()               // it was killed
	tags, _, _ := parseFLV(file) // the last one may be cut
	pictures := 0
	first, last := time.Duration(-1), time.Duration(0)
	for _, tag := range tags {
		if tag.kind != tagVideo || !tag.coded() {
			continue
		}
		if pictures++; first < 0 {
			first = milli(tag.time)
			if tag.body[0]>>4 != 1 {
				t.Error("the first picture is no keyframe")
			}
		}
		last = milli(tag.time)
	}
	if want := int((last-first)/(time.Second/25)) + 1; pictures != want {
		t.Errorf("rtmpdump got %d pictures in %v, want %d", pictures, last-first, want)
	}
}

// grown waits until an FLV file has some pictures.
func grown(ctx context.Context, path string, pictures int) ([]byte, error) {
	for {
		file, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		tags, _, _ := parseFLV(file)
		n := 0
		for _, tag := range tags {
			if tag.kind == tagVideo && tag.coded() {
				n++
			}
		}
		if n >= pictures {
			return file, nil
		}
		select {
		case <-ctx.Done():
			return file, fmt.Errorf("%d pictures of %d: %w", n, pictures, context.Cause(ctx))
		case <-time.After(pollInterval):
		}
	}
}

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

// TestRTMPPlayersMayAskForAnything has a player pause, seek and refuse tracks: the stream goes on.
func TestRTMPPlayersMayAskForAnything(t *testing.T) {
	s := startServer(t, "--stream.grace", shortGrace)
	const name = "wishes"
	live := startLive(t, s, name)
	var raw net.Conn
	c, err := rtmp.Dial(limit(t, startLimit), s.publishURL(name), rtmp.ClientConfig{
		ChunkSize: 128, // that of rtmpCommand
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			nc, err := s.dialRTMP(ctx)
			raw = nc
			return nc, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.Play(limit(t, startLimit)); err != nil {
		t.Fatal(err)
	}
	var wishes []byte
	for _, wish := range [][]any{
		{"pause", 10.0, nil, true, 1000.0}, {"pause", 0.0, nil, false, 1000.0}, {"pauseRaw", 11.0, nil, true, 0.0},
		{"seek", 12.0, nil, 5000.0}, {"seek", 0.0}, {"receiveVideo", 0.0, nil, false}, {"receiveAudio", 0.0, nil, false},
		{"play", 13.0, nil, name}, {"getStreamLength", 14.0, nil, name}, {"pause", 15.0},
	} {
		wishes = append(wishes, rtmpCommand(1, wish...)...)
	}
	if _, err := collect(c, pictures(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Write(wishes); err != nil {
		t.Fatal(err)
	}
	var got played
	for len(got.pictures) < livePictureRate {
		part, err := collect(c, pictures(livePictureRate-len(got.pictures)))
		if err != nil && rtmp.Reason(err) != rtmp.ReasonRefusedByPeer { // "no" is an answer
			t.Fatalf("after %d pictures: %v", len(got.pictures), err)
		}
		got.pictures, got.sounds = append(got.pictures, part.pictures...), append(got.sounds, part.sounds...)
		got.faults = append(got.faults, part.faults...)
	}
	report(t, "player", append(got.faults, append(inARow("picture", got.pictures), inARow("sound", got.sounds)...)...))
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
