package e2e

import (
	"context"
	"crypto/sha256"
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

// fullFor is how long the disk is full: many windows.
const fullFor = time.Minute

// TestAFullDiskIsNotSeenByViewers fills the disk for a minute. What viewers get is as
// good as before, the operator sees it, and it heals by itself.
func TestAFullDiskIsNotSeenByViewers(t *testing.T) {
	t.Parallel()
	src := keepFixture.make(t)
	ctx := limit(t, 4*time.Minute)
	dir := mountSmallDisk(t)
	s := startServerIn(t, dir, "--hls.segment", "400ms")
	url := s.hlsURL("full")
	r := callReferee(ctx, t, hlscheck.Options{URL: url, Slack: busySlack})
	publisher := &reconnector{tags: readOddTags(t, src.path), url: s.publishURL("full"), accepted: func() { r.Mark(hlscheck.PublisherBack) }}
	stop := publisher.start(ctx, t)
	waitForHLS(ctx, t, url, 5)
	eventually(ctx, t, "before", s.ask(ctx, storageState.healthy))

	free := hog(ctx, t, dir)
	since := time.Now()
	eventually(ctx, t, "while the disk is full", s.ask(ctx, storageState.failing))
	windows := 0
	for ; windows < 3 || time.Since(since) < fullFor; windows++ {
		waitForWindows(ctx, t, url, 1)
		checkNoneTruncated(t, dir)
	}
	eventually(ctx, t, "when the disk has been full for a minute", s.ask(ctx, storageState.failing))
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
	if got := r.verdict(t).Segments; len(got) < (windows+1)*6 {
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

// TestAKillWhileTheDiskIsFullMakesNoPlaylistGoBack kills the server when it lists what it cannot even
// write down. The next one, which has room, cannot know what that was: so it must not go on under the
// same address, unless it knows.
func TestAKillWhileTheDiskIsFullMakesNoPlaylistGoBack(t *testing.T) {
	t.Parallel()
	src := keepFixture.make(t)
	ctx := limit(t, 3*time.Minute)
	k := &killed{dir: mountSmallDisk(t), http: openDoor(t), rtmp: openDoor(t), sums: map[string][sha256.Size]byte{}}
	at := origin{http: "http://" + k.http.addr(), rtmp: "rtmp://" + k.rtmp.addr()}
	k.url = at.hlsURL("killed")
	start := func() {
		k.start(t)
		k.rtmp.lead(k.server.rtmp)
	}
	start()
	k.server.excuse("a server that cannot know what the one before has listed gives up its addresses, which is checked here",
		"playlist-unavailable", "segment-unavailable")
	publisher := &reconnector{tags: readOddTags(t, src.path), url: at.publishURL("killed"), accepted: func() {}}
	stop := publisher.start(ctx, t)
	waitForHLS(ctx, t, k.url, 8)
	// The server may find room for a journal at any moment, so that it is not given up each time.
	given := 0
	for round := 0; round < 2 || given == 0; round++ {
		free := hog(ctx, t, k.dir)
		isTakenBack := func() error {
			journals, err := filepath.Glob(filepath.Join(k.dir, "*", "*", "*", "journal"))
			return errors.Join(err, notYet(len(journals) == 0, "there still is a journal"))
		}
		eventually(ctx, t, "the journal is taken back", isTakenBack)
		waitForWindows(ctx, t, k.url, 1)
		eventually(ctx, t, "the journal is taken back", isTakenBack)
		media := resolve(t, k.url, lastLine(mustFetch(ctx, t, k.url).body))
		was := k.look(ctx, t)
		k.rtmp.lead("")
		k.server.kill(t)
		free()
		start()
		f := mustFetch(ctx, t, media)
		switch f.status {
		case 200: // the journal had been made anew just before
			var is playlist.Media
			if err := is.Unmarshal(f.body); err != nil {
				t.Fatal(err)
			}
			if is.MediaSequence < was.MediaSequence {
				t.Errorf("the media sequence of %s was %d and is %d", media, was.MediaSequence, is.MediaSequence)
			}
		case 404:
			given++
		default:
			t.Errorf("%s: %d", media, f.status)
		}
		waitForHLS(ctx, t, k.url, 8)
		k.look(ctx, t) // no address has other bytes than before
	}
	t.Logf("the address was given up %d times", given)
	stop()
	eventually(ctx, t, "and it is well", k.server.ask(ctx, storageState.healthy))
	verifyJournals(t, k.dir)
}

func mustFetch(ctx context.Context, t *testing.T, url string) fetched {
	t.Helper()
	f, err := fetch(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
