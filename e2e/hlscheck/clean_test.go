package hlscheck

import (
	"crypto/sha256"
	"slices"
	"testing"
	"time"
)

// republish spoils nothing: after segment 4 the publisher is away for 20 seconds
// and returns with another picture size and a clock that begins anew.
func republish(w *world) {
	const away = 20 * time.Second
	left := w.versions[4].at
	w.marks = []Mark{{PublisherLeft, left.Add(time.Second)}, {PublisherBack, left.Add(away)}}
	w.versions[4].until = left.Add(away + time.Second)
	for i := 5; i < worldCount; i++ {
		s := &w.segments[i]
		s.restart = i == 5
		for j := range s.pes {
			p := &s.pes[j]
			p.pts, p.dts, p.order = wrap(p.pts+1e6), wrap(p.dts+1e6), wrap(p.order+1e6)
			if p.pcr != noTime {
				p.pcr = clockFor(p.dts)
			}
			if p.random {
				p.payload = testAnnexB(aud, sps144, pps, []byte{0x65, 0x88, byte(i), 1, 2, 3})
			}
		}
		w.entries[i].date = w.entries[i].date.Add(away)
		w.versions[i].at = w.versions[i].at.Add(away)
		w.versions[i].until = w.versions[i].until.Add(away)
	}
	w.entries[5].discontinuity = true
	w.multivariant = `,CODECS="avc1.4d400c,mp4a.40.2",RESOLUTION=256x144,FRAME-RATE=25.000`
	// Segment 5 slides out with the version that begins at 6.
	w.versions = append(w.versions, worldVersion{
		at: w.versions[8].at.Add(2 * time.Second), until: w.versions[8].at.Add(3 * time.Second), from: 6, to: 9,
		discontinuity: 1, tail: "#EXT-X-ENDLIST\n",
	})
	w.marks = append(w.marks, Mark{StreamEnded, w.versions[8].until})
	// The multivariant playlist knows the new size half a second before segment 5 is
	// listed, and states new averages soon after.
	w.spoil = append(w.spoil, func(h *History) {
		before, early, late := h.Multivariant[0], h.Multivariant[0], h.Multivariant[0]
		listed := w.versions[5].at
		replace(&before, "256x144", "320x180")
		before.LastSeen = listed.Add(-600 * time.Millisecond)
		early.At, early.LastSeen = listed.Add(-500*time.Millisecond), listed.Add(500*time.Millisecond)
		late.At = listed.Add(600 * time.Millisecond)
		replace(&late, "#EXTM3U\n", "#EXTM3U\n# again\n")
		h.Multivariant = []Version{before, early, late}
	})
}

// forcedCut splits a group of pictures: segment 3 begins without an IDR, and the
// claim of independence is not made.
func forcedCut(w *world) {
	w.independent = false
	p := &w.segments[3].pes[0]
	*p = videoPES(p.dts, false, newNoise())
}

func TestCleanHistoriesHaveNoFindings(t *testing.T) {
	for name, build := range map[string]func() *world{
		"audio and video": func() *world { return newWorld(true, true) },
		"video only":      func() *world { return newWorld(true, false) },
		"audio only":      func() *world { return newWorld(false, true) },
		"a publisher that returns with another size": func() *world {
			w := newWorld(true, true)
			republish(w)
			return w
		},
		"a segment that is seen only after the outage that followed it": func() *world {
			w := newWorld(true, true)
			republish(w)
			left := w.marks[0].At
			w.versions[4].until = left.Add(time.Second)
			w.marks = slices.Insert(w.marks, 1, Mark{ServerDown, left.Add(1500 * time.Millisecond)}, Mark{ServerUp, left.Add(8 * time.Second)})
			w.spoil = append(w.spoil, func(h *History) {
				again := h.Media[4]
				h.Media[4].LastSeen, again.At = left.Add(time.Second), left.Add(10*time.Second)
				setBody(&again, string(again.Body)+"# a segment\n")
				h.Media = slices.Insert(h.Media, 5, again)
			})
			return w
		},
		"a forced cut": func() *world {
			w := newWorld(true, true)
			forcedCut(w)
			return w
		},
	} {
		t.Run(name, func(t *testing.T) {
			report := CheckSegments(build().history(), Options{})
			if len(report.Findings) > 0 {
				t.Fatalf("findings in a clean history:\n%s", report)
			}
			if len(report.Segments) != worldCount {
				t.Errorf("%d segments in the report, want %d", len(report.Segments), worldCount)
			}
		})
	}
}

func TestAccountingListsEveryFrameOnceAndInOrder(t *testing.T) {
	w := newWorld(true, true)
	report := CheckSegments(w.history(), Options{})
	var want []AccessUnit
	got := map[Kind][]AccessUnit{}
	for i, s := range w.segments {
		for _, p := range s.pes {
			if p.pid == testVideo {
				nalus, _ := splitAnnexB(p.payload, func([]byte) bool { return false })
				sum, size := VideoSum(nalus)
				want = append(want, AccessUnit{Video, p.pts, p.dts, size, sum, p.random, worldSegmentURL(w.entries[i].uri), int64(i)})
			}
		}
	}
	for _, u := range report.AccessUnits {
		got[u.Kind] = append(got[u.Kind], u)
	}
	if len(got[Video]) != len(want) {
		t.Fatalf("%d video access units, want %d", len(got[Video]), len(want))
	}
	for i := range want {
		if got[Video][i] != want[i] {
			t.Fatalf("video access unit %d is %+v, want %+v", i, got[Video][i], want[i])
		}
	}
	audio := w.segments[0].pes[w.find(0, testAudio)]
	if a := got[Audio][0]; a.Sum != sha256.Sum256(audio.payload[7:7+340]) || a.Size != 340 || a.PTS != audio.pts {
		t.Errorf("the first audio frame is %+v", a)
	}
	if a, b := got[Audio][0], got[Audio][1]; since(a.PTS, b.PTS, ptsWrap) != aacFrame*ptsHz/48000 {
		t.Errorf("the second audio frame comes %d ticks after the first", since(a.PTS, b.PTS, ptsWrap))
	}
}

// An AVCC access unit with parameter sets in it has the sum of the Annex B one.
func TestVideoSumLeavesOutDelimitersAndParameterSets(t *testing.T) {
	slice := []byte{0x65, 1, 2, 3}
	bare, size := VideoSum([][]byte{slice})
	full, _ := VideoSum([][]byte{aud, sps180, pps, slice})
	if bare != full || size != 8 {
		t.Errorf("sums differ, or size %d is not 8", size)
	}
	if other, _ := VideoSum([][]byte{slice[:2], slice[2:]}); other == bare {
		t.Error("NALUs split elsewhere have the same sum")
	}
}
