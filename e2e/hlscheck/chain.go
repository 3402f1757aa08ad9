package hlscheck

import (
	"time"
)

// link is a listed segment together with what it holds; facts is nil if it was
// never fetched.
type link struct {
	listing
	facts *segmentFacts
}

// continues reports whether b is the segment after a on the same timeline.
func (b link) continues(a link) bool {
	return b.after(a) && !b.discontinuity
}

// after reports whether b is the segment after a and both were fetched.
func (b link) after(a link) bool {
	return a.facts != nil && b.facts != nil && b.sequence == a.sequence+1
}

// chainOf returns every segment that a playlist ever listed, in order.
func chainOf(r *rendition, facts map[string]*segmentFacts) []link {
	var chain []link
	var next int64
	for _, v := range r.versions {
		for _, e := range v.playlist.entries {
			if len(chain) == 0 || e.sequence >= next {
				chain = append(chain, link{r.listed[e.sequence], facts[e.url]})
				next = e.sequence + 1
			}
		}
	}
	return chain
}

// chainClock is where the decode times and the program clock stand.
type chainClock struct {
	dts map[Kind]int64
	pcr int64
}

// checkChain follows time and configuration from segment to segment.
func checkChain(chain []link, f *findings, m *Measured) {
	clock := chainClock{dts: map[Kind]int64{}, pcr: noTime}
	for i, b := range chain {
		if i == 0 || !b.continues(chain[i-1]) {
			clock = chainClock{dts: map[Kind]int64{}, pcr: noTime}
		} else {
			a := chain[i-1]
			checkCounters(a, b, f)
			checkConfig(a, b, f)
			checkDistance(a, b, f)
		}
		if i > 0 && b.after(chain[i-1]) && b.discontinuity {
			checkLastDuration(chain[i-1], f)
		}
		if b.facts != nil {
			clock.follow(b, f, m)
		}
	}
}

// follow checks that decode times and the program clock go on through a segment.
func (c *chainClock) follow(b link, f *findings, m *Measured) {
	for _, u := range b.facts.units {
		if last, ok := c.dts[u.Kind]; ok && since(last, u.DTS, ptsWrap) <= 0 {
			f.add("dts-not-increasing", b.url, b.at, "%s DTS %d follows %d in segment %d", u.Kind, u.DTS, last, b.sequence)
		}
		c.dts[u.Kind] = u.DTS
	}
	for _, pcr := range b.facts.clocks {
		if c.pcr != noTime {
			gap := since(c.pcr, pcr, pcrWrap)
			m.MaxPCRGap = max(m.MaxPCRGap, time.Duration(gap)*time.Second/pcrHz)
			switch {
			case gap <= 0:
				f.add("pcr-not-increasing", b.url, b.at, "PCR %d follows %d in segment %d", pcr, c.pcr, b.sequence)
			case gap > maxPCRGap:
				f.add("pcr-gap", b.url, b.at, "%.1f ms between PCR %d and %d in segment %d; 100 ms are allowed",
					float64(gap)/(pcrHz/1000), c.pcr, pcr, b.sequence)
			}
		}
		c.pcr = pcr
	}
}

// checkCounters checks that continuity counters run on, ISO 13818-1 2.4.3.3 and
// RFC 8216 3.2.
func checkCounters(a, b link, f *findings) {
	for pid, next := range b.facts.counters {
		last, ok := a.facts.counters[pid]
		if !ok {
			continue
		}
		want := last.last
		if next.firstPayload {
			want = (want + 1) & 15
		}
		if next.discontinuity {
			f.add("ts-discontinuity-indicator", b.url, b.at, "PID %d begins segment %d with discontinuity_indicator, without EXT-X-DISCONTINUITY", pid, b.sequence)
		} else if next.first != want {
			f.add("continuity-across-segments", b.url, b.at, "PID %d ends segment %d with continuity_counter %d and begins segment %d with %d, expected %d",
				pid, a.sequence, last.last, b.sequence, next.first, want)
		}
	}
}

// checkConfig checks that tracks and decoder configuration stay without a
// discontinuity (RFC 8216 4.3.2.3).
func checkConfig(a, b link, f *findings) {
	if !sameTracks(a.facts.program, b.facts.program) {
		f.add("configuration-changed", b.url, b.at, "segment %d has tracks %+v, segment %d has %+v, without EXT-X-DISCONTINUITY",
			a.sequence, a.facts.program.tracks, b.sequence, b.facts.program.tracks)
	}
	if was, is := a.facts.config, b.facts.config; was.sps != "" && is.sps != "" && was.sps != is.sps {
		f.add("configuration-changed", b.url, b.at, "the SPS of segment %d is %x, that of segment %d %x, without EXT-X-DISCONTINUITY",
			a.sequence, was.sps, b.sequence, is.sps)
	}
	none := adtsConfig{}
	if was, is := a.facts.config.adts, b.facts.config.adts; was != none && is != none && was != is {
		f.add("configuration-changed", b.url, b.at, "the audio of segment %d is %+v, that of segment %d %+v, without EXT-X-DISCONTINUITY",
			a.sequence, was, b.sequence, is)
	}
}

// checkDistance compares EXTINF with the distance of first decode times.
func checkDistance(a, b link, f *findings) {
	from, to := a.facts.first(), b.facts.first()
	if from == noTime || to == noTime || a.facts.hasVideo != b.facts.hasVideo {
		return
	}
	true90k := since(from, to, ptsWrap)
	distance := time.Duration(true90k) * time.Second / ptsHz
	if (distance - a.duration).Abs() > time.Millisecond+time.Microsecond {
		f.add("extinf-not-dts-distance", a.url, a.at, "EXTINF of segment %d is %v; from its first DTS %d to the next segment's %d it is %v",
			a.sequence, a.duration, from, to, distance)
	}
}

// checkLastDuration checks EXTINF where no next segment defines it: it must lie
// between the ends of the tracks, give or take a frame.
func checkLastDuration(a link, f *findings) {
	begin := a.facts.first()
	if begin == noTime {
		return
	}
	shortest, longest, slack := int64(1<<62), int64(0), int64(0)
	for _, kind := range []Kind{Video, Audio} {
		var first, last, n int64
		for _, u := range a.facts.units {
			if u.Kind == kind {
				if n == 0 {
					first = u.DTS
				}
				last = u.DTS
				n++
			}
		}
		if n < 2 {
			continue
		}
		frame := since(first, last, ptsWrap) / (n - 1)
		end := since(begin, last, ptsWrap) + frame
		shortest, longest, slack = min(shortest, end), max(longest, end), max(slack, frame)
	}
	length := int64(a.duration * ptsHz / time.Second)
	if longest > 0 && (length < shortest-slack || length > longest+slack) {
		f.add("extinf-implausible", a.url, a.at, "EXTINF of segment %d, the last before a discontinuity, is %v; its tracks last %.3f s to %.3f s",
			a.sequence, a.duration, float64(shortest)/ptsHz, float64(longest)/ptsHz)
	}
}

// breakReach is how long before a discontinuity a mark may lie that explains it.
const breakReach = 15 * time.Second

// checkBreaks looks for discontinuities without a reason: same tracks, same
// configuration, time going on, and nothing that a test did to the stream.
func checkBreaks(chain []link, marks []Mark, f *findings) {
	for i := 1; i < len(chain); i++ {
		a, b := chain[i-1], chain[i]
		if !b.after(a) || !b.discontinuity || marked(marks, a.at.Add(-breakReach), b.at) {
			continue
		}
		same := &findings{}
		checkConfig(a, b, same)
		from, to := a.facts.first(), b.facts.first()
		distance := time.Duration(since(from, to, ptsWrap)) * time.Second / ptsHz
		if len(same.list) == 0 && (distance-a.duration).Abs() < 100*time.Millisecond {
			f.add("discontinuity-needless", b.url, b.at, "EXT-X-DISCONTINUITY before segment %d, yet time goes on (%v after segment %d of %v), tracks and configuration are the same",
				b.sequence, distance, a.sequence, a.duration)
		}
	}
}

func marked(marks []Mark, from, to time.Time) bool {
	for _, m := range marks {
		if m.At.After(from) && m.At.Before(to) {
			return true
		}
	}
	return false
}
