package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"

	"github.com/headwater-live/headwater/e2e/hlscheck"
)

// mountSmallDisk returns a folder where no more than some megabytes fit.
func mountSmallDisk(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatalf("this test needs a file system of its own, which only root may mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return folder
}

// hog keeps a disk full until it is told to stop, and gives the room back then.
func hog(ctx context.Context, t *testing.T, folder string) (free func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	path := filepath.Join(folder, "hog")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		piece := make([]byte, 4<<10)
		for ctx.Err() == nil {
			if _, err := f.Write(piece); errors.Is(err, syscall.ENOSPC) {
				time.Sleep(time.Millisecond) // until the server has removed something
			} else if err != nil {
				done <- err
				return
			}
		}
		done <- errors.Join(f.Close(), os.Remove(path))
	}()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the file that fills the disk: %v", err)
		}
	}
}

// storageState is what the admin server says of the storage.
type storageState struct {
	ready  string // reason of /readyz
	status int
	api    struct {
		OK     bool
		Reason string
		Faulty int   `json:"faulty_channels"`
		Held   int64 `json:"held_bytes"`
		Stored int64 `json:"stored_bytes"`
	}
	metrics map[string]float64
}

func (s *server) storageState(ctx context.Context) (storageState, error) {
	var state storageState
	f, err := fetch(ctx, s.admin+"/readyz")
	if err != nil {
		return state, err
	}
	var ready struct{ Reason string }
	if err := json.Unmarshal(f.body, &ready); err != nil {
		return state, err
	}
	state.ready, state.status = ready.Reason, f.status
	if f, err = fetch(ctx, s.admin+"/api/v1/server"); err != nil {
		return state, err
	}
	var info struct{ Storage any }
	info.Storage = &state.api
	if err := json.Unmarshal(f.body, &info); err != nil {
		return state, err
	}
	if f, err = fetch(ctx, s.admin+"/metrics"); err != nil {
		return state, err
	}
	state.metrics = map[string]float64{}
	for line := range strings.Lines(string(f.body)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			state.metrics[name], _ = strconv.ParseFloat(value, 64) // the format is the admin package's to test
		}
	}
	return state, nil
}

// failing says why a state is not that of a server whose disk is full.
func (s storageState) failing() error {
	no := syscall.ENOSPC.Error()
	return notYet(strings.Contains(s.ready, no) && s.status == 200 && !s.api.OK && strings.Contains(s.api.Reason, no) &&
		s.api.Faulty == 1 && s.api.Held > 0 && s.metrics["headwater_hls_faulty_channels"] == 1 &&
		s.metrics["headwater_hls_held_bytes"] > 0 && s.metrics["headwater_hls_storage_errors_total"] > 0,
		fmt.Sprintf("a full disk does not show: %+v", s))
}

func (s storageState) healthy() error {
	return notYet(s.ready == "" && s.status == 200 && s.api.OK && s.api.Reason == "" && s.api.Faulty == 0 && s.api.Held == 0 &&
		s.api.Stored > 0 && s.metrics["headwater_hls_faulty_channels"] == 0 && s.metrics["headwater_hls_held_bytes"] == 0,
		fmt.Sprintf("the storage is not said to be well: %+v", s))
}

// TestAFullDiskIsNotSeenByViewers fills the disk for several windows. What viewers get is as
// good as before, the operator sees it, and it heals by itself.
func TestAFullDiskIsNotSeenByViewers(t *testing.T) {
	t.Parallel()
	src := keepFixture.make(t)
	ctx := limit(t, 3*time.Minute)
	dir := mountSmallDisk(t)
	s := startServerIn(t, dir, "--hls.segment", "400ms")
	url := s.hlsURL("full")
	r := callReferee(ctx, t, hlscheck.Options{URL: url, Slack: busySlack})
	publisher := &reconnector{tags: readOddTags(t, src.path), url: s.publishURL("full"), accepted: func() { r.Mark(hlscheck.PublisherBack) }}
	stop := publisher.start(ctx, t)
	waitForHLS(ctx, t, url, 5)
	eventually(ctx, t, "before", s.ask(ctx, storageState.healthy))

	free := hog(ctx, t, dir)
	eventually(ctx, t, "while the disk is full", s.ask(ctx, storageState.failing))
	windows := 3
	waitForWindows(ctx, t, url, windows)
	eventually(ctx, t, "when the disk has been full for some time", s.ask(ctx, storageState.failing))
	checkNoneTruncated(t, dir)
	free()
	eventually(ctx, t, "when there is room again", s.ask(ctx, storageState.healthy))
	waitForWindows(ctx, t, url, 1)
	state, err := s.storageState(ctx)
	if err != nil || state.metrics["headwater_hls_segments_lost_total"] != 0 {
		t.Errorf("segments were lost: %+v, %v", state, err)
	}
	stop()
	r.Mark(hlscheck.PublisherLeft)
	verifyJournals(t, dir)
	if got := r.verdict(t).Segments; len(got) < 4*8 {
		t.Errorf("only %d segments were seen", len(got))
	}
}

// ask returns a question for eventually.
func (s *server) ask(ctx context.Context, judge func(storageState) error) func() error {
	return func() error {
		state, err := s.storageState(ctx)
		if err != nil {
			return err
		}
		return judge(state)
	}
}

// waitForWindows waits until all segments of the playlist have been replaced, some times.
func waitForWindows(ctx context.Context, t *testing.T, url string, times int) {
	t.Helper()
	list, err := mediaPlaylist(ctx, url)
	if err != nil || list == nil {
		t.Fatalf("the playlist is gone: %v", err)
	}
	until := list.MediaSequence + times*len(list.Segments)
	waitForPlaylist(ctx, t, url, func(m *playlist.Media) bool { return m.MediaSequence >= until })
}

// checkNoneTruncated checks that the segments in the storage are whole.
func checkNoneTruncated(t *testing.T, dir string) {
	t.Helper()
	for _, path := range segmentFiles(t, dir) {
		data, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // its time has come
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(data) == 0 || len(data)%tsPacket != 0 {
			t.Errorf("%s has %d bytes", path, len(data))
		}
	}
}

// TestAQuotaNeverTakesAListedSegment gives the server less than its window needs. The referee
// asks for each segment when it is listed; those that have left the playlist may be gone.
func TestAQuotaNeverTakesAListedSegment(t *testing.T) {
	t.Parallel()
	src := keepFixture.make(t)
	ctx := limit(t, 2*time.Minute)
	s := startServer(t, "--hls.segment", "400ms", "--storage.quota", "100KB", "--hls.retain", "1h")
	url := s.hlsURL("quota")
	// What has left the playlist may be gone, which checkListed tells from what has not.
	r := callReferee(ctx, t, hlscheck.Options{URL: url, Slack: busySlack, Ignore: []string{"segment-unavailable"}})
	publisher := &reconnector{tags: readOddTags(t, src.path), url: s.publishURL("quota"), accepted: func() { r.Mark(hlscheck.PublisherBack) }}
	stop := publisher.start(ctx, t)
	waitForHLS(ctx, t, url, 8)
	for range 3 {
		waitForWindows(ctx, t, url, 1)
		checkListed(ctx, t, url)
	}
	stop()
	r.Mark(hlscheck.PublisherLeft)
	r.verdict(t)
	state, err := s.storageState(ctx)
	if err != nil || state.metrics["headwater_hls_segments_evicted_total"] == 0 {
		t.Errorf("nothing went because of the quota: %+v, %v", state, err)
	}
	checkListed(ctx, t, url)
	list, err := mediaPlaylist(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(segmentFiles(t, s.storage)); n > len(list.Segments)+1 {
		t.Errorf("%d segments are stored, %d are listed", n, len(list.Segments))
	}
}

// checkListed fetches all that a playlist lists, the newest first and before the next is listed.
func checkListed(ctx context.Context, t *testing.T, url string) {
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
	missing := map[string]bool{}
	for line := range strings.Lines(string(f.body)) {
		if uri := strings.TrimSpace(line); strings.HasSuffix(uri, ".ts") {
			if got, err := fetch(ctx, resolve(t, media, uri)); err != nil || got.status != 200 {
				missing[uri] = true
			}
		}
	}
	// A segment may have left the playlist while it was asked for.
	if f, err = fetch(ctx, media); err != nil {
		t.Fatal(err)
	}
	for uri := range missing {
		if strings.Contains(string(f.body), uri) {
			t.Errorf("%s is listed and cannot be fetched", uri)
		}
	}
}

// TestRetentionKeepsSegmentsThatHaveLeftThePlaylist keeps some for their number; those beyond it go.
func TestRetentionKeepsSegmentsThatHaveLeftThePlaylist(t *testing.T) {
	t.Parallel()
	src := keepFixture.make(t)
	ctx := limit(t, 2*time.Minute)
	const keep = 30
	s := startServer(t, "--hls.segment", "200ms", "--hls.window", "5", "--hls.retain_segments", strconv.Itoa(keep))
	url := s.hlsURL("retain")
	r := callReferee(ctx, t, hlscheck.Options{URL: url, Slack: busySlack})
	publisher := &reconnector{tags: readOddTags(t, src.path), url: s.publishURL("retain"), accepted: func() { r.Mark(hlscheck.PublisherBack) }}
	stop := publisher.start(ctx, t)
	waitForPlaylist(ctx, t, url, func(m *playlist.Media) bool { return m.MediaSequence >= keep+50 })
	stop()
	r.Mark(hlscheck.PublisherLeft)
	r.verdict(t)
	list, err := mediaPlaylist(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	eventually(ctx, t, "the rest goes", func() error {
		n := len(segmentFiles(t, s.storage)) - len(list.Segments)
		return notYet(n == keep, fmt.Sprintf("%d segments stay after they have left the playlist, want %d", n, keep))
	})
	verifyJournals(t, s.storage)
}

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
