package hlscheck

import "time"

// dateWallTolerance is how far the end of a new segment may lie from the time it
// is listed: the clock of the machine that checks and the one that dates differ a
// little, a date in the wrong zone differs by far more.
const dateWallTolerance = time.Minute

// checkDates checks EXT-X-PROGRAM-DATE-TIME (RFC 8216 4.3.2.6).
func checkDates(r *rendition, f *findings) {
	for _, v := range r.versions {
		p := v.playlist
		for i, e := range p.entries {
			if i == 0 && !e.hasDate {
				f.add("date-missing-at-start", r.url, v.At, "segment %d begins the window and has no date", e.sequence)
			}
			if i > 0 && e.discontinuity && !e.hasDate {
				f.add("date-missing-at-discontinuity", r.url, v.At, "segment %d follows a discontinuity and has no date", e.sequence)
			}
			if i > 0 && e.hasDate {
				checkDateFollows(r, v, i, f)
			}
		}
		checkDateNow(r, v, f)
	}
}

// checkDateFollows compares a date with the one that the segment before it implies.
func checkDateFollows(r *rendition, v mediaVersion, i int, f *findings) {
	p := v.playlist
	before, ok := p.dateOf(i - 1)
	if !ok {
		return
	}
	e := p.entries[i]
	expected := before.Add(p.entries[i-1].duration)
	if e.discontinuity {
		if e.date.Before(before) {
			f.add("date-went-back", r.url, v.At, "segment %d is dated %s, segment %d before it %s", e.sequence,
				e.date.Format(time.RFC3339Nano), e.sequence-1, before.Format(time.RFC3339Nano))
		}
		return
	}
	if e.date.Sub(expected).Abs() > dateTolerance {
		f.add("date-inconsistent", r.url, v.At, "segment %d is dated %s, by the date and EXTINF of segment %d it is %s",
			e.sequence, e.date.Format(time.RFC3339Nano), e.sequence-1, expected.Format(time.RFC3339Nano))
	}
}

// checkDateNow compares the end of a segment that was listed just now with the clock.
func checkDateNow(r *rendition, v mediaVersion, f *findings) {
	i := len(v.playlist.entries) - 1
	if i < 0 || !r.listed[v.playlist.entries[i].sequence].at.Equal(v.At) || v.At.Equal(r.versions[0].At) {
		return
	}
	if date, ok := v.playlist.dateOf(i); ok {
		end := date.Add(v.playlist.entries[i].duration)
		if off := v.At.Sub(end); off.Abs() > dateWallTolerance {
			f.add("date-not-now", r.url, v.At, "segment %d was listed now and ends at %s by its date, %v away",
				v.playlist.entries[i].sequence, end.Format(time.RFC3339Nano), off.Round(time.Second))
		}
	}
}
