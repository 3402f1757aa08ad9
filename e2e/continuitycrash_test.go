package e2e

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"

	"github.com/headwater-live/headwater/e2e/hlscheck"
)

// crashes is how often the server is killed.
const crashes = 50

// TestFiftyKillsAreNotSeen kills the server at random moments of a publication whose encoder
// comes back each time. The playlist never goes back, no address gets other bytes, and each
// server serves what the one before listed.
func TestFiftyKillsAreNotSeen(t *testing.T) {
	src := keepFixture.make(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	ctx := limit(t, 8*time.Minute)

	k := &killed{dir: t.TempDir(), http: openDoor(t), rtmp: openDoor(t), sums: map[string][sha256.Size]byte{}}
	at := origin{http: "http://" + k.http.addr(), rtmp: "rtmp://" + k.rtmp.addr()}
	k.url = at.hlsURL("test")
	r := callReferee(ctx, t, hlscheck.Options{URL: k.url, Slack: busySlack})
	k.start(t)
	k.rtmp.lead(k.server.rtmp)
	accepted := make(chan struct{}, 1)
	publisher := &reconnector{tags: readOddTags(t, src.path), url: at.publishURL("test"), accepted: func() {
		r.Mark(hlscheck.PublisherBack)
		select {
		case accepted <- struct{}{}:
		default:
		}
	}}
	stop := publisher.start(ctx, t)
	waitForHLS(ctx, t, k.url, 3)

	var took []time.Duration
	comesBack := func() {
		t.Helper()
		select {
		case <-accepted:
		case <-ctx.Done():
			t.Fatal("the publisher did not come back")
		}
	}
	for range crashes {
		comesBack()
		time.Sleep(time.Duration(random.Int64N(int64(1500 * time.Millisecond)))) // the random moment
		k.look(ctx, t)
		k.rtmp.lead("")
		r.Mark(hlscheck.ServerDown)
		r.Mark(hlscheck.PublisherLeft)
		k.server.kill(t)
		left := t.TempDir() // what the next server finds
		if err := os.CopyFS(left, os.DirFS(k.dir)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		k.start(t)
		r.Mark(hlscheck.ServerUp)
		k.checkRestored(ctx, t)
		took = append(took, k.leastOf(ctx, t, time.Since(began), left))
		k.rtmp.lead(k.server.rtmp)
	}
	comesBack()
	k.look(ctx, t)
	waitForPlaylist(ctx, t, k.url, func(m *playlist.Media) bool { return m.MediaSequence > k.last.MediaSequence+20 })
	verifyJournals(t, k.dir)
	stop()
	r.Mark(hlscheck.PublisherLeft)
	r.verdict(t)
	verifyJournals(t, k.dir)
	slices.Sort(took)
	t.Logf("from the start to the same window with all its segments: median %v, longest %v", took[crashes/2], took[crashes-1])
}

// restoreLimit is how soon after its start a server serves the window of the one before, with all its segments.
const restoreLimit = 2 * time.Second

// leastOf checks how long a start took. Whether that was the server's doing or another program's, on a busy machine,
// shows when it is done again: what it finds is the same, to the byte. Each time is that of a whole start, from exec on.
func (k *killed) leastOf(ctx context.Context, t *testing.T, took time.Duration, left string) time.Duration {
	t.Helper()
	for try := 1; took > restoreLimit; try++ {
		t.Logf("it took %v", took)
		if try > 5 {
			t.Errorf("a server served the window only %v after its start, at the soonest of %d times", took, try)
			break
		}
		again := &killed{dir: t.TempDir(), http: openDoor(t), sums: k.sums, last: k.last}
		if err := os.CopyFS(again.dir, os.DirFS(left)); err != nil {
			t.Fatal(err)
		}
		again.url = "http://" + again.http.addr() + strings.TrimPrefix(k.url, "http://"+k.http.addr())
		began := time.Now()
		again.start(t)
		again.checkRestored(ctx, t)
		took = min(took, time.Since(began))
		again.server.kill(t)
	}
	return took
}

// killed is a data directory whose servers are killed one after the other.
type killed struct {
	dir        string
	http, rtmp *door
	url        string
	server     *server

	last *playlist.Media
	sums map[string][sha256.Size]byte // of every segment seen, by URI
}

// start starts the next server.
func (k *killed) start(t *testing.T) {
	t.Helper()
	k.server = startServerIn(t, k.dir, "--hls.segment", "200ms", "--hls.window", "10")
	k.http.lead(k.server.http)
}

// look keeps the playlist and the sums of its segments, which must be what they were.
func (k *killed) look(ctx context.Context, t *testing.T) *playlist.Media {
	t.Helper()
	base, err := url.Parse(k.url)
	if err != nil {
		t.Fatal(err)
	}
	var list *playlist.Media
	var missing []string
	for try := 0; try < 5; try++ {
		began := time.Now()
		if list, err = mediaPlaylist(ctx, k.url); err != nil || list == nil {
			t.Fatalf("the playlist is gone: %v", err)
		}
		index, err := fetch(ctx, k.url)
		if err != nil {
			t.Fatal(err)
		}
		media, err := base.Parse(lastLine(index.body))
		if err != nil {
			t.Fatal(err)
		}
		missing = k.sum(ctx, t, media, list)
		if len(missing) == 0 || time.Since(began) < killedRetention {
			break
		} // else they may be gone: the machine is busy
	}
	for _, m := range missing {
		t.Errorf("listed segment %s", m)
	}
	k.last = list
	return list
}

// killedRetention is how long a segment is there after it was listed: it, and a window of ten like it.
const killedRetention = 2 * time.Second

// sum keeps the sums of the segments of a playlist, which must be what they were, and returns which are missing.
func (k *killed) sum(ctx context.Context, t *testing.T, media *url.URL, list *playlist.Media) (missing []string) {
	t.Helper()
	for _, s := range list.Segments {
		address, err := media.Parse(s.URI)
		if err != nil {
			t.Fatal(err)
		}
		f, err := fetch(ctx, address.String())
		if err != nil || f.status != 200 {
			missing = append(missing, fmt.Sprintf("%s: status %d, %v", s.URI, f.status, err))
			continue
		}
		sum := sha256.Sum256(f.body)
		if was, ok := k.sums[address.Path]; ok && was != sum {
			t.Errorf("segment %s has other bytes than before", address.Path)
		}
		k.sums[address.Path] = sum
	}
	return missing
}

// checkRestored checks that the playlist is that of the server before, or that with what it had
// listed since.
func (k *killed) checkRestored(ctx context.Context, t *testing.T) {
	t.Helper()
	was := k.last
	is := k.look(ctx, t)
	if err := continues(was, is); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

// continues says why one playlist cannot be the other a moment later.
func continues(was, is *playlist.Media) error {
	moved := is.MediaSequence - was.MediaSequence
	switch {
	case moved < 0:
		return fmt.Errorf("the media sequence went back from %d to %d", was.MediaSequence, is.MediaSequence)
	case moved+len(is.Segments) < len(was.Segments):
		return fmt.Errorf("the newest segment was %d, and is %d", was.MediaSequence+len(was.Segments), is.MediaSequence+len(is.Segments))
	case moved >= len(was.Segments):
		return fmt.Errorf("nothing is left of the segments from %d to %d", was.MediaSequence, was.MediaSequence+len(was.Segments)-1)
	case is.Endlist:
		return fmt.Errorf("the playlist has ended")
	case is.TargetDuration != was.TargetDuration:
		return fmt.Errorf("the target duration was %d s, and is %d s", was.TargetDuration, is.TargetDuration)
	}
	for i, s := range was.Segments[moved:] {
		if got := is.Segments[i]; got.URI != s.URI || got.Duration != s.Duration || !got.DateTime.Equal(*s.DateTime) {
			return fmt.Errorf("segment %d was %s, and is %s", was.MediaSequence+moved+i, s.URI, got.URI)
		}
	}
	return nil
}
