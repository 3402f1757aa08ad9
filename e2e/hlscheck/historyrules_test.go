package hlscheck

import (
	"fmt"
	"testing"
	"time"
)

func times(n int64, factor float64) string { return fmt.Sprint(int64(float64(n) * factor)) }

// withRepublish is a world whose publisher went and came back.
func withRepublish() *world {
	w := newWorld(true, true)
	republish(w)
	return w
}

// historyCases spoil what may change between versions.
var historyCases = []spoiled{
	{rule: "target-duration-changed", spoil: func(w *world) { w.edit(8, "TARGETDURATION:2", "TARGETDURATION:3") }, also: "window-too-short"},
	{rule: "version-changed", spoil: func(w *world) { w.edit(8, "VERSION:3", "VERSION:4") }},
	{rule: "extinf-above-target", spoil: func(w *world) { w.edit(8, "#EXTINF:2.000,\na1-00008", "#EXTINF:2.500,\na1-00008") }},
	{rule: "media-sequence-decreased", spoil: func(w *world) { w.edit(7, "MEDIA-SEQUENCE:4", "MEDIA-SEQUENCE:2") },
		also: "uri-reused segment-date-changed segment-late segment-uri-changed"},
	{rule: "media-sequence-jumped", spoil: func(w *world) { w.versions = append(w.versions[:3], w.versions[8]) }},
	{rule: "discontinuity-sequence-decreased", spoil: func(w *world) {
		w.editAll("DISCONTINUITY-SEQUENCE:0", "DISCONTINUITY-SEQUENCE:3")
		w.edit(8, "DISCONTINUITY-SEQUENCE:3", "DISCONTINUITY-SEQUENCE:2")
	}},
	{rule: "discontinuity-sequence-wrong", world: withRepublish, spoil: func(w *world) { w.versions[9].discontinuity = 0 }},
	{rule: "discontinuity-sequence-wrong", name: "counted while the tag stays", spoil: func(w *world) { w.versions[8].discontinuity = 1 }},
	{rule: "segment-removed-from-tail", spoil: func(w *world) { w.versions[7].to, w.versions[6].to = 7, 8 }, also: "segment-late",
		name: "the last segment goes and comes"},
	{rule: "segment-uri-changed", spoil: func(w *world) { w.edit(5, "a1-00003.ts", "a1-00003.ts?v=2") }},
	{rule: "segment-extinf-changed", spoil: func(w *world) {
		w.edit(5, "#EXTINF:2.000,\na1-00003", "#EXTINF:2.001,\na1-00003")
	}},
	{rule: "segment-discontinuity-changed", spoil: func(w *world) {
		w.edit(4, "#EXTINF:2.000,\na1-00003", "#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2026-03-01T12:00:06.000Z\n#EXTINF:2.000,\na1-00003")
	}},
	{rule: "segment-date-changed", spoil: func(w *world) {
		w.edit(5, "PROGRAM-DATE-TIME:2026-03-01T12:00:04.000Z", "PROGRAM-DATE-TIME:2026-03-01T12:00:04.500Z")
	}},
	{rule: "uri-reused", spoil: func(w *world) { w.editAll("a1-00007.ts", "a1-00000.ts") },
		also: "continuity-across-segments dts-not-increasing extinf-not-dts-distance pcr-gap pcr-not-increasing"},
	{rule: "playlist-type-while-live", spoil: func(w *world) { w.editAll("#EXT-X-VERSION:3\n", "#EXT-X-VERSION:3\n#EXT-X-PLAYLIST-TYPE:EVENT\n") }},

	{rule: "segment-late", spoil: func(w *world) {
		for i := 6; i < len(w.versions); i++ {
			w.versions[i].at, w.versions[i].until = w.versions[i].at.Add(1700*time.Millisecond), w.versions[i].until.Add(1700*time.Millisecond)
		}
		w.versions[5].until = w.versions[6].at
	}},
	{rule: "segment-late", name: "none comes any more", spoil: func(w *world) { w.versions[8].until = w.versions[8].at.Add(4 * time.Second) }},
	{rule: "segment-late", name: "after the publisher is back", world: withRepublish, spoil: func(w *world) {
		w.marks[1].At = w.marks[1].At.Add(-6 * time.Second)
	}},
	{rule: "changed-while-paused", world: withRepublish, spoil: func(w *world) {
		w.spoil = append(w.spoil, func(h *History) {
			again := h.Media[4]
			again.At = again.At.Add(10 * time.Second)
			setBody(&again, string(again.Body)+"# touched\n")
			h.Media[4].LastSeen = again.At
			h.Media = append(h.Media[:5:5], append([]Version{again}, h.Media[5:]...)...)
		})
	}},
	{rule: "endlist-while-live", spoil: func(w *world) { w.versions[8].tail = "#EXT-X-ENDLIST\n" }},
	{rule: "endlist-early", spoil: func(w *world) { w.leave(20*time.Second, true) }},
	{rule: "endlist-missing", spoil: func(w *world) { w.leave(40*time.Second, false) }},
	{rule: "changed-after-endlist", spoil: func(w *world) {
		w.versions[7].tail = "#EXT-X-ENDLIST\n"
		w.marks = []Mark{{StreamEnded, w.versions[6].at}, {PublisherBack, w.versions[7].at}}
	}},
	{rule: "window-too-short", spoil: func(w *world) {
		for i := range w.versions {
			w.versions[i].from = max(0, i-1)
		}
	}},

	{rule: "date-malformed", spoil: func(w *world) { w.edit(0, "12:00:00.000Z", "12:00:00.000") }, also: "date-missing-at-start playlist-second-reader"},
	{rule: "date-missing-at-start", spoil: func(w *world) { w.edit(5, "#EXT-X-PROGRAM-DATE-TIME:2026-03-01T12:00:04.000Z\n", "") }},
	{rule: "date-missing-at-discontinuity", world: withRepublish, spoil: func(w *world) {
		w.editAll("#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2026-03-01T12:00:30.000Z\n", "#EXT-X-DISCONTINUITY\n")
	}, also: "date-missing-at-start"},
	{rule: "date-inconsistent", spoil: func(w *world) {
		w.edit(8, "#EXTINF:2.000,\na1-00008", "#EXT-X-PROGRAM-DATE-TIME:2026-03-01T12:00:16.100Z\n#EXTINF:2.000,\na1-00008")
	}},
	{rule: "date-went-back", world: withRepublish, spoil: func(w *world) { w.date(5, -30*time.Second) }},
	{rule: "date-not-now", spoil: func(w *world) { w.date(0, time.Hour) }},

	{rule: "discontinuity-needless", spoil: func(w *world) { w.entries[5].discontinuity = true }},
	{rule: "discontinuity-without-idr", world: withRepublish, spoil: func(w *world) {
		w.independent = false
		p := &w.segments[5].pes[0]
		p.payload, p.random = testAnnexB(aud, []byte{0x41, 0x9b, 1, 2, 3}), false
	}},
	{rule: "extinf-not-dts-distance", spoil: func(w *world) { w.entries[3].duration = 2002 * time.Millisecond }},
	{rule: "extinf-implausible", world: withRepublish, spoil: func(w *world) { w.entries[4].duration = 1800 * time.Millisecond }},
	{rule: "independent-segments-false", spoil: func(w *world) { forcedCut(w); w.independent = true }},
	{rule: "independent-segments-false", name: "claimed by the multivariant playlist", spoil: func(w *world) {
		forcedCut(w)
		w.editMultivariant("#EXT-X-VERSION:3\n", "#EXT-X-VERSION:3\n#EXT-X-INDEPENDENT-SEGMENTS\n")
	}},
}

func TestHistoryRulesAreReported(t *testing.T) { runSpoiled(t, historyCases) }

// leave lets the publisher go after the last segment, and the playlist be seen for
// a while, at the end with ENDLIST or without.
func (w *world) leave(after time.Duration, ended bool) {
	last := w.versions[len(w.versions)-1]
	w.marks = append(w.marks, Mark{PublisherLeft, last.at.Add(time.Second)})
	w.versions[len(w.versions)-1].until = last.at.Add(after)
	if ended {
		last.at, last.until, last.tail = last.at.Add(after), last.at.Add(after+time.Second), "#EXT-X-ENDLIST\n"
		w.versions = append(w.versions, last)
	}
}

// date moves the date of a segment and of those after it.
func (w *world) date(from int, by time.Duration) {
	for i := from; i < len(w.entries); i++ {
		w.entries[i].date = w.entries[i].date.Add(by)
	}
}
