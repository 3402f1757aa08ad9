package hls

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"hash/fnv"
	"strconv"
	"sync"
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

// document is a rendered body with what HTTP says of it.
type document struct {
	body, gzip         []byte
	etag, gzipETag     string
	length, gzipLength string
	modified           time.Time
	lastModified       string
	cacheControl       string
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

var gzipPool = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
	return w
}}

// newDocument returns the document of a body: the one before, if it says the same.
func newDocument(before *document, body []byte, cacheControl string, now time.Time) *document {
	if before != nil && bytes.Equal(before.body, body) {
		return before
	}
	var packed bytes.Buffer
	w := gzipPool.Get().(*gzip.Writer)
	w.Reset(&packed)
	_, _ = w.Write(body) // a bytes.Buffer takes everything
	_ = w.Close()
	gzipPool.Put(w)

	hash := fnv.New128a()
	_, _ = hash.Write(body)
	sum := fmt.Sprintf("%x", hash.Sum(nil))
	return &document{
		body:         body,
		gzip:         packed.Bytes(),
		etag:         `"` + sum + `"`,
		gzipETag:     `"` + sum + `-gzip"`,
		length:       strconv.Itoa(len(body)),
		gzipLength:   strconv.Itoa(packed.Len()),
		modified:     now,
		lastModified: now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"),
		cacheControl: cacheControl,
	}
}
