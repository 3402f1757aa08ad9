package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"

	"github.com/headwater-live/headwater/e2e/hlscheck"
)

// TestTwoServersDoNotShareADataDirectory: the second one says why it does not start, until the
// first is gone, however it went.
func TestTwoServersDoNotShareADataDirectory(t *testing.T) {
	t.Parallel()
	first := startServer(t)
	ctx := limit(t, time.Minute)
	path, err := headwater()
	if err != nil {
		t.Fatal(err)
	}
	second := command(ctx, t, path, "serve", "--rtmp.addr", "127.0.0.1:0", "--http.addr", "127.0.0.1:0", "--admin.addr", "127.0.0.1:0",
		"--storage.dir", first.storage)
	second.Dir = t.TempDir()
	o := run(second)
	if second.ProcessState.ExitCode() != 1 || !strings.Contains(o.stderr, first.storage) || !strings.Contains(o.stderr, "another process uses") {
		t.Errorf("the second server: %v\n%s", o.err, o.stderr)
	}
	verifyJournals(t, first.storage)
	first.kill(t)
	startServerIn(t, first.storage)
}

// TestALostDataDirectoryRepeatsNoAddress takes the data directory away while the server runs,
// and once more while it does not.
func TestALostDataDirectoryRepeatsNoAddress(t *testing.T) {
	t.Parallel()
	src := keepFixture.make(t)
	ctx := limit(t, 3*time.Minute)
	dir := filepath.Join(t.TempDir(), "data")
	web, push := openDoor(t), openDoor(t)
	at := origin{http: "http://" + web.addr(), rtmp: "rtmp://" + push.addr()}
	seen := map[string]string{} // what a segment's address stands for
	var s *server
	start := func() {
		s = startServerIn(t, dir, "--hls.segment", "400ms", "--stream.grace", "1h")
		web.lead(s.http)
		push.lead(s.rtmp)
	}
	start()
	s.excuse("its files are deleted", "playlist-unavailable", "segment-unavailable")
	publisher := &reconnector{tags: readOddTags(t, src.path), url: at.publishURL("lost"), accepted: func() {}}
	stop := publisher.start(ctx, t)
	url := at.hlsURL("lost")
	waitForHLS(ctx, t, url, 6)
	notePlaylist(ctx, t, url, seen)

	if err := os.RemoveAll(dir); err != nil && !errors.Is(err, syscall.ENOTEMPTY) { // the server goes on writing
		t.Fatal(err)
	}
	waitForWindows(ctx, t, url, 1)
	notePlaylist(ctx, t, url, seen)
	checkListed(ctx, t, url)
	eventually(ctx, t, "the journal is there again", func() error {
		journals, err := filepath.Glob(filepath.Join(dir, "*", "*", "*", "journal"))
		return errors.Join(err, notYet(len(journals) == 1, fmt.Sprintf("%d journals", len(journals))))
	})
	eventually(ctx, t, "and it is well", s.ask(ctx, storageState.healthy))

	push.lead("")
	s.kill(t)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	start()
	if f, err := fetch(ctx, url); err != nil || f.status != 404 {
		t.Errorf("a stream that is lost: %d, %v", f.status, err)
	}
	waitForHLS(ctx, t, url, 8)
	stop()
	notePlaylist(ctx, t, url, seen)
	checkListed(ctx, t, url)
}

// notePlaylist notes which bytes the listed addresses stand for, which is never anything else.
func notePlaylist(ctx context.Context, t *testing.T, url string, seen map[string]string) {
	t.Helper()
	index, err := fetch(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	media := resolve(t, url, lastLine(index.body))
	f, err := fetch(ctx, media)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(f.body)) {
		if uri := strings.TrimSpace(line); strings.HasSuffix(uri, ".ts") {
			address := resolve(t, media, uri)
			got, err := fetch(ctx, address)
			if err != nil || got.status != 200 {
				continue // it may have left the playlist by now
			}
			if was, ok := seen[address]; ok && was != string(got.body) {
				t.Errorf("%s has other bytes than before", address)
			}
			seen[address] = string(got.body)
		}
	}
}

// TestAStreamEndsAfterItsGrace: ENDLIST, nothing more at the old addresses, the files go after their
// time, and who publishes the name then begins anew.
func TestAStreamEndsAfterItsGrace(t *testing.T) {
	t.Parallel()
	src := keepFixture.make(t)
	ctx := limit(t, 3*time.Minute)
	const grace = 2 * time.Second
	s := startServer(t, "--hls.segment", "200ms", "--hls.window", "5", "--stream.grace", grace.String())
	url := s.hlsURL("grace")
	r := callReferee(ctx, t, hlscheck.Options{URL: url, Slack: busySlack, Grace: grace})
	publisher := &reconnector{tags: readOddTags(t, src.path), url: s.publishURL("grace"), accepted: func() { r.Mark(hlscheck.PublisherBack) }}
	stop := publisher.start(ctx, t)
	waitForHLS(ctx, t, url, 8)
	left := time.Now()
	stop()
	r.Mark(hlscheck.PublisherLeft)
	waitForEnd(ctx, t, url)
	if waited := time.Since(left); waited < grace {
		t.Errorf("the playlist ended after %v", waited)
	}
	index, err := fetch(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	media := resolve(t, url, lastLine(index.body))
	ended, err := fetch(ctx, media)
	if err != nil || !strings.HasSuffix(string(ended.body), "#EXT-X-ENDLIST\n") {
		t.Fatalf("%v:\n%s", err, ended.body)
	}
	r.verdict(t)

	var first playlist.Media
	if err := first.Unmarshal(ended.body); err != nil {
		t.Fatal(err)
	}
	again := &reconnector{tags: publisher.tags, url: publisher.url, accepted: func() {}}
	stop = again.start(ctx, t)
	// Until the new publication has a segment, the old playlist answers.
	waitForPlaylist(ctx, t, url, func(m *playlist.Media) bool { return !m.Endlist && len(m.Segments) > 2 })
	next, err := mediaPlaylist(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	if next.MediaSequence < first.MediaSequence+len(first.Segments) {
		t.Errorf("the new publication begins with %d, the old one ended with %d", next.MediaSequence, first.MediaSequence+len(first.Segments)-1)
	}
	if now, err := fetch(ctx, media); err != nil || now.status == 200 && string(now.body) != string(ended.body) {
		t.Errorf("the playlist that had ended has changed: %v\n%s", err, now.body)
	}
	stop()
	eventually(ctx, t, "everything goes in its time", func() error {
		entries, err := os.ReadDir(s.storage)
		return errors.Join(err, notYet(len(entries) == 0, fmt.Sprintf("the data directory holds %v and %d segments", entries, len(segmentFiles(t, s.storage)))))
	})
	for _, address := range []string{media, url} {
		if f, err := fetch(ctx, address); err != nil || f.status != 404 {
			t.Errorf("%s: %d, %v", address, f.status, err)
		}
	}
}
