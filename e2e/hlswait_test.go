package e2e

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
)

// waitForHLS waits until the stream lists at least n segments.
func waitForHLS(ctx context.Context, t testing.TB, playlistURL string, n int) {
	t.Helper()
	for {
		if listed, err := listedSegments(ctx, playlistURL); err != nil {
			t.Fatalf("wait for %d segments: %v", n, err)
		} else if listed >= n {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("wait for %d segments: %v", n, context.Cause(ctx))
		case <-time.After(pollInterval):
		}
	}
}

// listedSegments returns how many segments the stream's media playlist lists; 0
// while there is none.
func listedSegments(ctx context.Context, playlistURL string) (int, error) {
	base, err := url.Parse(playlistURL)
	if err != nil {
		return 0, err
	}
	for {
		f, err := fetch(ctx, base.String())
		if err != nil {
			return 0, err
		}
		if f.status == http.StatusNotFound {
			return 0, nil
		}
		list, err := playlist.Unmarshal(f.body)
		if err != nil {
			return 0, err
		}
		switch list := list.(type) {
		case *playlist.Media:
			return len(list.Segments), nil
		case *playlist.Multivariant:
			if base, err = base.Parse(list.Variants[0].URI); err != nil {
				return 0, err
			}
		}
	}
}
