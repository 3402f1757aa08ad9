package hlscheck

import (
	"math"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
)

// secondOpinion reads a media playlist with gohlslib and compares: a playlist on
// which two readers differ is one that some player misreads.
func secondOpinion(v Version, p mediaPlaylist, f *findings) {
	if len(p.entries) == 0 {
		return // gohlslib tells the kinds apart by their first segment
	}
	other, err := playlist.Unmarshal(v.Body)
	if err != nil {
		f.add("playlist-second-reader", v.URL, v.At, "gohlslib refuses the playlist: %v", err)
		return
	}
	m, ok := other.(*playlist.Media)
	if !ok {
		f.add("playlist-second-reader", v.URL, v.At, "gohlslib takes it for a %T", other)
		return
	}
	if len(m.Segments) != len(p.entries) || int64(m.MediaSequence) != p.sequence || m.Endlist != p.endlist {
		f.add("playlist-second-reader", v.URL, v.At,
			"gohlslib reads %d segments from number %d, ENDLIST %v; the strict reader %d, %d, %v",
			len(m.Segments), m.MediaSequence, m.Endlist, len(p.entries), p.sequence, p.endlist)
		return
	}
	for i, s := range m.Segments {
		e := p.entries[i]
		if s.URI != e.uri || s.Discontinuity != e.discontinuity || (s.DateTime != nil) != e.hasDate ||
			math.Abs((s.Duration-e.duration).Seconds()) > 1e-6 {
			f.add("playlist-second-reader", v.URL, v.At, "gohlslib reads segment %d as %s of %v, the strict reader as %s of %v",
				e.sequence, s.URI, s.Duration, e.uri, e.duration)
		}
	}
}

// secondOpinionMultivariant does the same for a multivariant playlist.
func secondOpinionMultivariant(v Version, m multivariantVersion, f *findings) {
	var other playlist.Multivariant
	if err := other.Unmarshal(v.Body); err != nil {
		f.add("playlist-second-reader", v.URL, v.At, "gohlslib refuses the multivariant playlist: %v", err)
		return
	}
	if len(other.Variants) != len(m.variants) {
		f.add("playlist-second-reader", v.URL, v.At, "gohlslib reads %d variants, the strict reader %d",
			len(other.Variants), len(m.variants))
		return
	}
	for i, o := range other.Variants {
		if int64(o.Bandwidth) != m.variants[i].bandwidth || len(o.Codecs) != len(m.variants[i].codecs) {
			f.add("playlist-second-reader", v.URL, v.At, "gohlslib reads BANDWIDTH %d and %d codecs, the strict reader %d and %d",
				o.Bandwidth, len(o.Codecs), m.variants[i].bandwidth, len(m.variants[i].codecs))
		}
	}
}
