package hls

import (
	"fmt"
	"time"

	"github.com/headwater-live/headwater/hls/m3u8"
)

// published is what requests read of a channel: immutable, and shared by all of them
// until the next change.
type published struct {
	// media is nil while there is no segment to list. index is the multivariant
	// playlist with URIs relative to /APP/NAME/, byName the same relative to /APP/.
	media, index, byName *document
	// withdrawn: they have gone, before their segments do.
	withdrawn bool
	// files are the segments that may be fetched, the first of which has the
	// sequence number first. One without a URI may not.
	first uint64
	files []file
	// status is of the playlist, for the operator.
	status Status
}

// file is a segment that may be fetched.
type file struct {
	uri     string
	date    time.Time
	segment *segment
	// memory has the bytes of a segment that is not in the storage, else nothing.
	memory slabs
}

const (
	mediaName     = "media.m3u8"
	segmentSuffix = ".ts"
)

// render renders the playlists. What has not changed is taken from before.
func (c *Channel) render(date time.Time) {
	next := &published{}
	if before := c.published.Load(); before != nil {
		*next = *before
	}
	if len(c.window.listed) > 0 {
		cache := playlistCacheControl(c.window.target)
		media, variant := c.window.media(), c.variant()
		next.media = newDocument(next.media, media.Append(nil), cache, date)
		next.index = newDocument(next.index, variant.AppendMultivariant(nil), cache, date)
		_, name := c.name.Split()
		variant.URI = name + "/" + variant.URI
		next.byName = newDocument(next.byName, variant.AppendMultivariant(nil), cache, date)
		next.status = c.status(date)
	}
	next.first, next.files = c.window.files()
	c.published.Store(next)
}

// refresh says anew which segments may be fetched.
func (c *Channel) refresh() {
	before := c.published.Load()
	if before == nil {
		return
	}
	next := *before
	next.first, next.files = c.window.files()
	c.published.Store(&next)
}

// withdraw has the playlists not be found any more.
func (c *Channel) withdraw() {
	before := c.published.Load()
	if before == nil || before.withdrawn {
		return
	}
	next := *before
	next.media, next.index, next.byName, next.withdrawn = nil, nil, nil, true
	c.published.Store(&next)
}

// variant returns the one entry of the multivariant playlist.
func (c *Channel) variant() m3u8.Variant {
	peak, average := c.window.bandwidth.rates()
	d := c.window.listed[len(c.window.listed)-1].description
	return m3u8.Variant{
		URI:              c.incarnation + "/" + mediaName,
		Bandwidth:        peak,
		AverageBandwidth: average,
		Codecs:           d.codecs,
		Width:            d.width,
		Height:           d.height,
		FrameRate:        d.frameRate,
	}
}

// files returns the segments that may be fetched, and the first one's sequence number.
func (w *window) files() (first uint64, files []file) {
	first = w.oldest()
	files = make([]file, w.next-first)
	for _, list := range [...][]*segment{w.removed, w.listed} {
		for _, s := range list {
			f := &files[s.sequence-first]
			f.uri, f.date, f.segment = s.uri, s.date, s
			if !s.stored.Load() {
				f.memory = s.data
			}
		}
	}
	return first, files
}

// file returns the segment with that URI; false if there is none.
func (p *published) file(uri string) (file, bool) {
	sequence, ok := sequenceOf(uri)
	if !ok || p == nil || sequence < p.first || sequence-p.first >= uint64(len(p.files)) {
		return file{}, false
	}
	f := p.files[sequence-p.first]
	return f, f.uri == uri
}

// playlistCacheControl lets a cache keep a playlist for at most half a target
// duration, and serve it for as long again while it fetches the next.
func playlistCacheControl(target time.Duration) string {
	half := int(target / 2 / time.Second)
	return fmt.Sprintf("public, max-age=%d, stale-while-revalidate=%d", half, half)
}
