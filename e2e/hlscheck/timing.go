package hlscheck

import (
	"bytes"
	"time"
)

// settle is how long an origin may take to notice that its publisher left, or a
// publisher to start sending.
const settle = 3 * time.Second

// pause is a time in which no new segment is due: the publisher was away, the
// stream over, or the server down.
type pause struct {
	from, to time.Time // to is zero while the pause lasts
	outage   bool      // the server was down
}

// pausesOf pairs the marks.
func pausesOf(marks []Mark) []pause {
	var list []pause
	open := map[bool]int{} // index of the open pause, by outage
	begin := func(at time.Time, outage bool) {
		if _, ok := open[outage]; !ok {
			open[outage] = len(list)
			list = append(list, pause{from: at, outage: outage})
		}
	}
	end := func(at time.Time, outage bool) {
		if i, ok := open[outage]; ok {
			list[i].to = at
			delete(open, outage)
		}
	}
	for _, m := range marks {
		switch m.Event {
		case PublisherLeft, StreamEnded:
			begin(m.At, false)
		case PublisherBack:
			end(m.At, false)
		case ServerDown:
			begin(m.At, true)
		case ServerUp:
			end(m.At, true)
		}
	}
	return list
}

// covers reports whether the pause was on at some time between a and b.
func (p pause) covers(a, b time.Time) bool {
	return p.from.Before(b) && (p.to.IsZero() || p.to.Add(settle).After(a))
}

// overlaps reports whether some outage was on between a and b.
func overlaps(pauses []pause, a, b time.Time) bool {
	for _, p := range pauses {
		if p.outage && p.covers(a, b) {
			return true
		}
	}
	return false
}

// began reports whether an outage began between a and b.
func began(pauses []pause, a, b time.Time) bool {
	for _, p := range pauses {
		if p.outage && p.from.After(a) && p.from.Before(b) {
			return true
		}
	}
	return false
}

// waited returns how long a player that saw the newest segment at a had to wait
// for the next one at b, not counting pauses. ok is false if a pause lasts past b.
func waited(pauses []pause, a, b time.Time) (d time.Duration, ok bool) {
	from := a
	for _, p := range pauses {
		if !p.covers(a, b) {
			continue
		}
		if p.to.IsZero() || p.to.After(b) {
			return 0, false
		}
		if back := p.to.Add(settle); back.After(from) {
			from = back
		}
	}
	return max(b.Sub(from), 0), true
}

// checkTiming checks that segments keep coming while the publisher sends, and
// that nothing moves while it does not.
func checkTiming(r *rendition, pauses []pause, o Options, f *findings, m *Measured) {
	m.Versions += len(r.versions)
	newest := int64(-1)
	var since time.Time
	// A segment is late if the playlist was seen without it past the limit: when it
	// came after that does not matter, nor does a checker that had no time to look.
	late := func(missing, came time.Time, target time.Duration) {
		if d, ok := waited(pauses, since, came); ok {
			m.MaxListingGap = max(m.MaxListingGap, d)
		}
		d, ok := waited(pauses, since, missing)
		if limit := target*3/2 + o.Slack; ok && d > limit {
			f.add("segment-late", r.url, missing, "no segment after %d for %v; 1.5 target durations and the slack are %v",
				newest, d.Round(time.Millisecond), limit)
		}
	}
	for i, v := range r.versions {
		p := v.playlist
		if end := p.sequence + int64(len(p.entries)) - 1; end > newest {
			if newest >= 0 {
				late(r.versions[i-1].seenUntil(), v.At, p.target)
			}
			newest, since = end, v.At
		}
	}
	if last := r.last(); !last.playlist.endlist {
		late(last.seenUntil(), last.seenUntil(), last.playlist.target)
	}
	for _, p := range pauses {
		if !p.outage {
			checkFrozen(r, p, pauses, f)
		}
	}
}

// checkFrozen checks that the playlist is byte-identical while the publisher is
// away, but for the ENDLIST that may end it. What was listed just before an outage
// may be seen only after it.
func checkFrozen(r *rendition, p pause, pauses []pause, f *findings) {
	var frozen []byte
	for i, v := range r.versions {
		if !p.to.IsZero() && !v.At.Before(p.to) {
			return
		}
		if v.At.Before(p.from.Add(settle)) || i > 0 && began(pauses, r.versions[i-1].seenUntil(), v.At) {
			frozen = v.Body
			continue
		}
		if frozen != nil && !bytes.Equal(bytes.TrimSuffix(v.Body, []byte("#EXT-X-ENDLIST\n")), bytes.TrimSuffix(frozen, []byte("#EXT-X-ENDLIST\n"))) {
			f.add("changed-while-paused", r.url, v.At,
				"the publisher has been away since %s, yet the playlist changed from\n%s\nto\n%s", p.from.Format("15:04:05.000"), frozen, v.Body)
		}
		frozen = v.Body
	}
}

// checkEnd checks when ENDLIST comes, and that it is the last word.
func checkEnd(r *rendition, marks []Mark, o Options, f *findings) {
	ended := -1
	for i, v := range r.versions {
		if ended >= 0 && !bytes.Equal(v.Body, r.versions[ended].Body) {
			f.add("changed-after-endlist", r.url, v.At, "the playlist ended at %s, yet changed: %d segments from %d, then %d from %d, ENDLIST %v",
				r.versions[ended].At.Format("15:04:05.000"), len(r.versions[ended].playlist.entries), r.versions[ended].playlist.sequence,
				len(v.playlist.entries), v.playlist.sequence, v.playlist.endlist)
		}
		if ended < 0 && v.playlist.endlist {
			ended = i
			checkEndAllowed(r, v, marks, o, f)
		}
	}
	if ended >= 0 {
		return
	}
	if left, away := awaySince(marks, r.last().seenUntil()); away {
		if limit := left.Add(o.Grace + 2*settle); r.last().seenUntil().After(limit) {
			f.add("endlist-missing", r.url, r.last().seenUntil(), "the publisher left at %s, the grace period of %v is over, and there is no ENDLIST",
				left.Format("15:04:05.000"), o.Grace)
		}
	}
}

// checkEndAllowed checks that the first ENDLIST had a reason.
func checkEndAllowed(r *rendition, v mediaVersion, marks []Mark, o Options, f *findings) {
	for _, m := range marks {
		if m.Event == StreamEnded && !m.At.After(v.At.Add(o.Slack)) {
			return // a mark may come a little after what it marks
		}
	}
	left, away := awaySince(marks, v.At)
	if !away {
		f.add("endlist-while-live", r.url, v.At, "EXT-X-ENDLIST while the publisher sends")
		return
	}
	if v.At.Before(left.Add(o.Grace - o.Slack)) {
		f.add("endlist-early", r.url, v.At, "EXT-X-ENDLIST %v after the publisher left; the grace period is %v",
			v.At.Sub(left).Round(time.Millisecond), o.Grace)
	}
}

// awaySince returns when the publisher left, if it is away at the given time.
func awaySince(marks []Mark, at time.Time) (left time.Time, away bool) {
	for _, m := range marks {
		if m.At.After(at) {
			break
		}
		switch m.Event {
		case PublisherLeft:
			left, away = m.At, true
		case PublisherBack:
			away = false
		}
	}
	return left, away
}

// checkWindow checks that no segment was removed that a player three target
// durations behind still needs (RFC 8216 6.2.2).
func checkWindow(r *rendition, f *findings) {
	for i := 1; i < len(r.versions); i++ {
		a, b := r.versions[i-1].playlist, r.versions[i].playlist
		if length := b.length(); b.sequence > a.sequence && !b.endlist && length < 3*b.target {
			f.add("window-too-short", r.url, r.versions[i].At,
				"segments up to %d were removed, and %v remain, less than three target durations of %v",
				b.sequence-1, length, b.target)
		}
	}
}
