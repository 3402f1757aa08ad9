package hlscheck

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// playlistCases spoil the text of playlists.
var playlistCases = []spoiled{
	{rule: "playlist-empty-body", also: "empty-body", spoil: func(w *world) {
		w.spoil = append(w.spoil, func(h *History) { setBody(&h.Multivariant[0], "") })
	}},
	{rule: "playlist-not-utf8", spoil: func(w *world) { w.edit(5, "#EXTINF:2.000,\na1-00005.ts", "#EXTINF:2.000,\xff\na1-00005.ts") }},
	{rule: "playlist-control-character", spoil: func(w *world) { w.edit(5, "#EXTINF:2.000,\na1-00005.ts", "#EXTINF:2.000,a\x07b\na1-00005.ts") }},
	{rule: "playlist-stray-space", spoil: func(w *world) { w.edit(5, "#EXT-X-VERSION:3\n", "#EXT-X-VERSION:3\n# spaced \n") }},
	{rule: "playlist-line-unfinished", spoil: func(w *world) { w.edit(5, "a1-00005.ts\n", "a1-00005.ts") }},
	{rule: "playlist-no-header", spoil: func(w *world) {
		w.spoil = append(w.spoil, func(h *History) { replace(&h.Multivariant[0], "#EXTM3U\n", "") })
	}},
	{rule: "playlist-malformed", name: "a tag twice", spoil: func(w *world) { w.edit(5, "#EXT-X-VERSION:3\n", "#EXT-X-VERSION:3\n#EXT-X-VERSION:3\n") }},
	{rule: "playlist-malformed", name: "no comma", spoil: func(w *world) { w.edit(8, "#EXTINF:2.000,\na1-00008", "#EXTINF:2.000\na1-00008") },
		also: "playlist-second-reader"},
	{rule: "playlist-malformed", name: "a multivariant tag", spoil: func(w *world) {
		w.edit(5, "#EXT-X-VERSION:3\n", "#EXT-X-VERSION:3\n#EXT-X-MEDIA:TYPE=AUDIO\n")
	}},
	{rule: "playlist-malformed", name: "fractions in version 2", spoil: func(w *world) { w.editAll("VERSION:3", "VERSION:2") }},
	{rule: "playlist-malformed", name: "media sequence after a segment", spoil: func(w *world) {
		w.edit(0, "#EXT-X-MEDIA-SEQUENCE:0\n", "")
		w.edit(0, "a1-00000.ts\n", "a1-00000.ts\n#EXT-X-MEDIA-SEQUENCE:0\n")
	}},
	{rule: "playlist-unknown-tag", spoil: func(w *world) { w.edit(5, "#EXT-X-VERSION:3\n", "#EXT-X-VERSION:3\n#EXT-X-FANCY:1\n") }},
	{rule: "playlist-no-segments", spoil: func(w *world) { w.edit(0, "#EXTINF:2.000,\na1-00000.ts\n", "") }},
	{rule: "playlist-second-reader", spoil: func(w *world) { w.editAll("VERSION:3", "VERSION:99") }},
	{rule: "multivariant-malformed", spoil: func(w *world) { w.editMultivariant("BANDWIDTH=", "bandwidth=") }, also: "playlist-second-reader"},
	{rule: "multivariant-malformed", name: "a blank before the URI", spoil: func(w *world) { w.editMultivariant("\nmedia", "\n\nmedia") }},
	{rule: "multivariant-malformed", name: "a frame rate of four places", spoil: func(w *world) { w.editMultivariant("25.000", "25.0000") }},
	{rule: "multivariant-malformed", name: "an attribute twice", spoil: func(w *world) {
		w.editMultivariant("RESOLUTION", "RESOLUTION=1x1,RESOLUTION")
	}, also: "playlist-second-reader"},

	{rule: "content-type", spoil: func(w *world) { w.header(5, "Content-Type", "text/plain") }},
	{rule: "content-length", spoil: func(w *world) { w.header(5, "Content-Length", "") }},
	{rule: "cache-control", spoil: func(w *world) { w.header(5, "Cache-Control", "public, max-age=2") }},
	{rule: "cache-control", name: "not shared", spoil: func(w *world) { w.header(5, "Cache-Control", "max-age=1") }},
	{rule: "cache-control", name: "too long stale", spoil: func(w *world) {
		w.header(5, "Cache-Control", "public, max-age=1, stale-while-revalidate=3")
	}},
	{rule: "etag-not-strong", spoil: func(w *world) { w.header(5, "Etag", `W/"1"`) }},
	{rule: "etag-reused", spoil: func(w *world) { w.header(5, "Etag", `"1"`); w.header(6, "Etag", `"1"`) }},
	{rule: "etag-unstable", spoil: func(w *world) {
		w.spoil = append(w.spoil, func(h *History) {
			again := h.Media[8]
			again.At, again.LastSeen = again.LastSeen, again.LastSeen.Add(time.Second)
			again.Header = again.Header.Clone()
			again.Header.Set("Etag", `"other"`)
			h.Media = append(h.Media, again)
		})
	}},
	{rule: "cookie", spoil: func(w *world) { w.header(5, "Set-Cookie", "a=b") }},
	{rule: "vary", spoil: func(w *world) { w.header(5, "Vary", "User-Agent") }},
	{rule: "cors-missing", spoil: func(w *world) { w.header(5, "Access-Control-Allow-Origin", "") }},

	{rule: "bandwidth-below-peak", spoil: func(w *world) { w.bandwidth(0.99, 0.99) }},
	{rule: "bandwidth-overstated", spoil: func(w *world) { w.bandwidth(3.5, 1) }},
	{rule: "average-bandwidth-implausible", spoil: func(w *world) { w.bandwidth(1, 0.5) }},
	{rule: "average-bandwidth-implausible", name: "above the peak", spoil: func(w *world) { w.bandwidth(1, 1.2) }},
	{rule: "variant-attribute-missing", spoil: func(w *world) { w.multivariant = `,CODECS="avc1.4d400c,mp4a.40.2",RESOLUTION=320x180` }},
	{rule: "variant-attribute-false", world: audioOnly, spoil: func(w *world) { w.multivariant += ",RESOLUTION=320x180" }},
	{rule: "codecs-false", spoil: func(w *world) { w.editMultivariant("4d400c", "64001f") }},
	{rule: "codecs-false", name: "audio not named", spoil: func(w *world) { w.editMultivariant(",mp4a.40.2", "") }},
	{rule: "codecs-false", name: "AAC Main", spoil: func(w *world) { w.editMultivariant("mp4a.40.2", "mp4a.40.1") }},
	{rule: "resolution-false", spoil: func(w *world) { w.editMultivariant("320x180", "320x192") }},
	{rule: "frame-rate-false", spoil: func(w *world) { w.editMultivariant("25.000", "30.000") }},
}

func TestPlaylistRulesAreReported(t *testing.T) { runSpoiled(t, playlistCases) }

// header sets a header of one version; "" removes it.
func (w *world) header(version int, name, value string) {
	w.spoil = append(w.spoil, func(h *History) {
		if value == "" {
			h.Media[version].Header.Del(name)
			return
		}
		h.Media[version].Header.Set(name, value)
	})
}

// bandwidth multiplies what the multivariant playlist states.
func (w *world) bandwidth(peak, average float64) {
	w.spoil = append(w.spoil, func(h *History) {
		m, ok := parseMultivariant(h.Multivariant[0], &findings{})
		if !ok {
			panic("no multivariant playlist")
		}
		line := strings.Replace(string(h.Multivariant[0].Body),
			"BANDWIDTH="+m.variants[0].attributes["BANDWIDTH"], "BANDWIDTH="+times(m.variants[0].bandwidth, peak), 1)
		line = strings.Replace(line, "AVERAGE-BANDWIDTH="+m.variants[0].attributes["AVERAGE-BANDWIDTH"],
			"AVERAGE-BANDWIDTH="+times(m.variants[0].average, average), 1)
		setBody(&h.Multivariant[0], line)
	})
}

func TestPlaylistMayBeServedWithoutHeadersInARecording(t *testing.T) {
	w := newWorld(true, true)
	w.spoil = append(w.spoil, func(h *History) {
		for i := range h.Media {
			h.Media[i].Header = http.Header(nil)
		}
	})
	if report := CheckSegments(w.history(), Options{}); len(report.Findings) > 0 {
		t.Errorf("findings:\n%s", report)
	}
}
