package hls

import (
	"fmt"
	"time"

	"github.com/headwater-live/headwater/hls/m3u8"
)

// playlists are the rendered playlists of a channel: immutable, and shared by all
// requests until the next change.
type playlists struct {
	media *document
	// index is the multivariant playlist with URIs relative to /APP/NAME/, byName
	// the same relative to /APP/.
	index, byName *document
}

const (
	mediaName     = "media.m3u8"
	indexName     = "index.m3u8"
	playlistExt   = ".m3u8"
	segmentSuffix = ".ts"
)

// render renders what has changed; what has not is taken from before.
func (c *Channel) render(now time.Time) {
	before := c.published.Load()
	if before == nil {
		before = &playlists{}
	}
	cache := playlistCacheControl(c.window.target)
	media := c.window.media()
	_, name := c.name.Split()
	peak, average := c.window.bandwidth.rates()
	d := c.window.listed[len(c.window.listed)-1].description
	variant := m3u8.Variant{
		URI:              c.incarnation + "/" + mediaName,
		Bandwidth:        peak,
		AverageBandwidth: average,
		Codecs:           d.codecs,
		Width:            d.width,
		Height:           d.height,
		FrameRate:        d.frameRate,
	}
	next := &playlists{
		media: newDocument(before.media, media.Append(nil), cache, now),
		index: newDocument(before.index, variant.AppendMultivariant(nil), cache, now),
	}
	variant.URI = name + "/" + variant.URI
	next.byName = newDocument(before.byName, variant.AppendMultivariant(nil), cache, now)
	c.published.Store(next)
}

// playlistCacheControl lets a cache keep a playlist for at most half a target
// duration, and serve it for as long again while it fetches the next.
func playlistCacheControl(target time.Duration) string {
	half := int(target / 2 / time.Second)
	return fmt.Sprintf("public, max-age=%d, stale-while-revalidate=%d", half, half)
}
