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
	waitForPlaylist(ctx, t, playlistURL, func(list *playlist.Media) bool { return len(list.Segments) >= n })
}

// waitForEnd waits until the stream's playlist has ended.
func waitForEnd(ctx context.Context, t testing.TB, playlistURL string) {
	t.Helper()
	waitForPlaylist(ctx, t, playlistURL, func(list *playlist.Media) bool { return list.Endlist })
}

func waitForPlaylist(ctx context.Context, t testing.TB, playlistURL string, condition func(*playlist.Media) bool) {
	t.Helper()
	for {
		if list, err := mediaPlaylist(ctx, playlistURL); err != nil {
			t.Fatalf("wait for a playlist: %v", err)
		} else if list != nil && condition(list) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("wait for a playlist: %v", context.Cause(ctx))
		case <-time.After(pollInterval):
		}
	}
}

// mediaPlaylist returns the stream's media playlist; nil while there is none.
func mediaPlaylist(ctx context.Context, playlistURL string) (*playlist.Media, error) {
	base, err := url.Parse(playlistURL)
	if err != nil {
		return nil, err
	}
	for {
		f, err := fetch(ctx, base.String())
		if err != nil {
			return nil, err
		}
		if f.status == http.StatusNotFound {
			return nil, nil
		}
		list, err := playlist.Unmarshal(f.body)
		if err != nil {
			return nil, err
		}
		switch list := list.(type) {
		case *playlist.Media:
			return list, nil
		case *playlist.Multivariant:
			if base, err = base.Parse(list.Variants[0].URI); err != nil {
				return nil, err
			}
		}
	}
}
