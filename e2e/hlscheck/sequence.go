package hlscheck

import "time"

// checkSequences compares each version with the one before: what may change in a
// live playlist is that segments leave at the head and join at the tail (RFC 8216
// 6.2.1 and 6.2.2).
func checkSequences(r *rendition, quiet []pause, f *findings) {
	for i := 1; i < len(r.versions); i++ {
		was, is := r.versions[i-1], r.versions[i]
		a, b := was.playlist, is.playlist
		if b.target != a.target {
			f.add("target-duration-changed", r.url, is.At, "TARGETDURATION was %v and is %v", a.target, b.target)
		}
		if b.version != a.version {
			f.add("version-changed", r.url, is.At, "EXT-X-VERSION was %d and is %d", a.version, b.version)
		}
		if b.sequence < a.sequence {
			f.add("media-sequence-decreased", r.url, is.At, "MEDIA-SEQUENCE was %d and is %d", a.sequence, b.sequence)
			continue
		}
		if b.discontinuity < a.discontinuity {
			f.add("discontinuity-sequence-decreased", r.url, is.At,
				"DISCONTINUITY-SEQUENCE was %d and is %d", a.discontinuity, b.discontinuity)
		}
		endA, endB := a.sequence+int64(len(a.entries)), b.sequence+int64(len(b.entries))
		if endB < endA {
			f.add("segment-removed-from-tail", r.url, is.At, "the last segment was %d and is %d", endA-1, endB-1)
		}
		// A version that shares no segment with the one before leaves players no way
		// on. Only an outage, during which nobody could look, excuses it.
		if b.sequence > endA && !overlaps(quiet, was.seenUntil(), is.At) {
			f.add("media-sequence-jumped", r.url, is.At,
				"MEDIA-SEQUENCE went from %d to %d, past segments %d to %d that were never listed",
				a.sequence, b.sequence, endA, b.sequence-1)
		}
		checkDiscontinuityCount(r, was, is, f)
		checkKept(r, was, is, f)
	}
}

// checkDiscontinuityCount checks that DISCONTINUITY-SEQUENCE grew by the tags
// that slid out, when all of what slid out was seen.
func checkDiscontinuityCount(r *rendition, was, is mediaVersion, f *findings) {
	a, b := was.playlist, is.playlist
	if b.discontinuity < a.discontinuity || b.sequence > a.sequence+int64(len(a.entries)) {
		return
	}
	var gone int64
	for _, e := range a.entries {
		if e.sequence < b.sequence && e.discontinuity {
			gone++
		}
	}
	if b.discontinuity != a.discontinuity+gone {
		f.add("discontinuity-sequence-wrong", r.url, is.At,
			"DISCONTINUITY-SEQUENCE went from %d to %d while %d EXT-X-DISCONTINUITY slid out with segments %d to %d",
			a.discontinuity, b.discontinuity, gone, a.sequence, b.sequence-1)
	}
}

// dateTolerance is how far a date may be from the one before plus EXTINF: both
// are written in milliseconds, each rounded on its own.
const dateTolerance = 2 * time.Millisecond

// checkKept checks that the segments in both versions are still what they were.
func checkKept(r *rendition, was, is mediaVersion, f *findings) {
	for _, e := range is.playlist.entries {
		i := e.sequence - was.playlist.sequence
		if i < 0 || i >= int64(len(was.playlist.entries)) {
			continue
		}
		old := was.playlist.entries[i]
		if e.url != old.url {
			f.add("segment-uri-changed", r.url, is.At, "segment %d was %s and is %s", e.sequence, old.uri, e.uri)
		}
		if e.duration != old.duration {
			f.add("segment-extinf-changed", r.url, is.At, "EXTINF of segment %d was %v and is %v", e.sequence, old.duration, e.duration)
		}
		if e.discontinuity != old.discontinuity {
			f.add("segment-discontinuity-changed", r.url, is.At, "EXT-X-DISCONTINUITY of segment %d was %v and is %v",
				e.sequence, old.discontinuity, e.discontinuity)
		}
		before, ok := was.playlist.dateOf(int(i))
		after, ok2 := is.playlist.dateOf(int(e.sequence - is.playlist.sequence))
		// A date counted on through many segments gathers their rounding.
		if tolerance := dateTolerance * time.Duration(i+1); ok && ok2 && after.Sub(before).Abs() > tolerance {
			f.add("segment-date-changed", r.url, is.At, "the date of segment %d was %s and is %s",
				e.sequence, before.Format(time.RFC3339Nano), after.Format(time.RFC3339Nano))
		}
	}
}

// dateOf returns the date of a segment: its own, or the nearest one before it
// plus the durations between (RFC 8216 6.2.1).
func (p mediaPlaylist) dateOf(i int) (time.Time, bool) {
	var since time.Duration
	for j := i; j >= 0; j-- {
		if j < i {
			since += p.entries[j].duration
		}
		if p.entries[j].hasDate {
			return p.entries[j].date.Add(since), true
		}
		if p.entries[j].discontinuity {
			break
		}
	}
	return time.Time{}, false
}

// checkEntries checks each version by itself.
func checkEntries(r *rendition, f *findings) {
	for _, v := range r.versions {
		p := v.playlist
		for _, e := range p.entries {
			if e.duration.Round(time.Second) > p.target {
				f.add("extinf-above-target", r.url, v.At, "EXTINF of segment %d is %v, rounded above TARGETDURATION %v",
					e.sequence, e.duration, p.target)
			}
		}
		if p.playlistType != "" && !p.endlist {
			f.add("playlist-type-while-live", r.url, v.At, "EXT-X-PLAYLIST-TYPE:%s in a live playlist", p.playlistType)
		}
	}
}

// checkReuse checks that a URL never stands for two sequence numbers or two
// playlists, through the whole history.
func checkReuse(media []*rendition, f *findings) {
	type place struct {
		playlist string
		sequence int64
	}
	places := map[string]place{}
	for _, r := range media {
		for _, v := range r.versions {
			for _, e := range v.playlist.entries {
				here := place{r.url, e.sequence}
				if was, ok := places[e.url]; ok && was != here {
					f.add("uri-reused", e.url, v.At, "it was segment %d of %s and is segment %d of %s",
						was.sequence, was.playlist, here.sequence, here.playlist)
				}
				places[e.url] = here
			}
		}
	}
}
