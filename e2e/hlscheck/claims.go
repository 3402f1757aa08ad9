package hlscheck

import (
	"slices"
	"time"
)

// checkIndependence checks EXT-X-INDEPENDENT-SEGMENTS wherever it is claimed.
func checkIndependence(versions []multivariantVersion, media []*rendition, facts map[string]*segmentFacts, f *findings) {
	for _, r := range media {
		for _, v := range r.versions {
			claimed := v.playlist.independent || claims(versions, r.url, v.At)
			for _, e := range v.playlist.entries {
				if s := facts[e.url]; claimed && s != nil && !s.independent() {
					f.add("independent-segments-false", r.url, v.At, "EXT-X-INDEPENDENT-SEGMENTS is claimed, and segment %d does not begin with an IDR", e.sequence)
				}
			}
		}
		for i, l := range chainOf(r, facts) {
			// After a break there is nothing a forced cut could have cut.
			if l.facts != nil && l.discontinuity && i > 0 && !l.facts.independent() {
				f.add("discontinuity-without-idr", l.url, l.at, "segment %d follows a discontinuity and does not begin with an IDR", l.sequence)
			}
		}
	}
}

// claims reports whether the multivariant playlist in force claimed independence.
func claims(versions []multivariantVersion, url string, at time.Time) bool {
	for i := len(versions) - 1; i >= 0; i-- {
		v := versions[i]
		// The version was read a little before or after: only one seen well past the
		// time counts.
		if !v.At.After(at) && v.seenUntil().After(at.Add(variantLag)) {
			return v.independent && slices.ContainsFunc(v.variants, func(s variant) bool { return s.url == url })
		}
	}
	return false
}

// maxAudioOverhead is what packaging may add to ADTS in an audio-only segment.
const maxAudioOverhead = 0.15

// checkAudioOverhead checks what audio-only segments cost.
func checkAudioOverhead(facts map[string]*segmentFacts, f *findings, m *Measured) {
	for _, s := range facts {
		if _, video := s.program.video(); video || s.esBytes == 0 || len(s.units)*aacFrame < s.config.adts.rate {
			continue // a segment cut short, below a second, has little to share its tables with
		}
		overhead := float64(s.size)/float64(s.esBytes) - 1
		m.AudioOverhead = max(m.AudioOverhead, overhead)
		if overhead > maxAudioOverhead {
			f.add("audio-overhead", s.url, s.at, "%d bytes for %d bytes of ADTS: %.1f%% overhead", s.size, s.esBytes, 100*overhead)
		}
	}
}
