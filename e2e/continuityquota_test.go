package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"

	"github.com/headwater-live/headwater/e2e/hlscheck"
)

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
