package hlscheck

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

const (
	// variantLag is how far the multivariant playlist may trail the media playlist:
	// the checker reads them one after the other, and the first less often.
	variantLag = 2 * time.Second
	// averageTolerance is the factor by which AVERAGE-BANDWIDTH may miss what was
	// measured. The origin averages over more, or less, than the checker saw.
	averageTolerance = 1.5
	// overstated is the factor above which BANDWIDTH keeps players from a variant
	// that they could play.
	overstated = 3
)

// checkVariants compares each multivariant version with the segments that were
// listed while it was served.
func checkVariants(versions []multivariantVersion, media []*rendition, facts map[string]*segmentFacts, f *findings) {
	for _, v := range versions {
		for _, s := range v.variants {
			i := slices.IndexFunc(media, func(r *rendition) bool { return r.url == s.url })
			if i < 0 || s.broken {
				continue
			}
			whole := chainOf(media[i], facts)
			until := v.seenUntil().Add(-variantLag)
			chain := chainUntil(whole, until)
			if len(chain) == 0 {
				continue
			}
			checkBandwidth(v, s, chain, media[i].last().playlist.target, f)
			checkFormats(v, s, chain, chainUntil(whole, until.Add(3*variantLag)), f)
		}
	}
}

// chainUntil returns the fetched segments that were listed by then.
func chainUntil(chain []link, until time.Time) []link {
	var list []link
	for _, l := range chain {
		if l.facts != nil && !l.at.After(until) {
			list = append(list, l)
		}
	}
	return list
}

// peakBitrate returns the peak segment bit rate: the largest bit rate of any
// contiguous segments that last half to one and a half target durations together
// (RFC 8216 4.3.4.2).
func peakBitrate(chain []link, target time.Duration) float64 {
	var peak float64
	for i := range chain {
		var bits float64
		var length time.Duration
		for j := i; j < len(chain) && (j == i || chain[j].sequence == chain[j-1].sequence+1); j++ {
			bits += 8 * float64(chain[j].facts.size)
			length += chain[j].duration
			if length > target*3/2 {
				break
			}
			if length >= target/2 {
				peak = max(peak, bits/length.Seconds())
			}
		}
	}
	return peak
}

// averageBitrate returns the bit rate over all segments.
func averageBitrate(chain []link) float64 {
	var bits, seconds float64
	for _, l := range chain {
		if l.facts != nil {
			bits += 8 * float64(l.facts.size)
			seconds += l.duration.Seconds()
		}
	}
	if seconds == 0 {
		return 0
	}
	return bits / seconds
}

func checkBandwidth(v multivariantVersion, s variant, chain []link, target time.Duration, f *findings) {
	peak, average := peakBitrate(chain, target), averageBitrate(chain)
	if float64(s.bandwidth+1) < peak {
		f.add("bandwidth-below-peak", v.URL, v.At, "BANDWIDTH is %d while segments up to %d peak at %.0f bit/s",
			s.bandwidth, chain[len(chain)-1].sequence, peak)
	}
	if peak > 0 && len(chain) >= 5 && float64(s.bandwidth) > overstated*peak {
		f.add("bandwidth-overstated", v.URL, v.At, "BANDWIDTH is %d while segments up to %d peak at %.0f bit/s",
			s.bandwidth, chain[len(chain)-1].sequence, peak)
	}
	switch {
	case s.average == 0:
		f.add("variant-attribute-missing", v.URL, v.At, "AVERAGE-BANDWIDTH is missing")
	case s.average > s.bandwidth:
		f.add("average-bandwidth-implausible", v.URL, v.At, "AVERAGE-BANDWIDTH %d is above BANDWIDTH %d", s.average, s.bandwidth)
	case float64(s.average) > averageTolerance*average || float64(s.average)*averageTolerance < average:
		f.add("average-bandwidth-implausible", v.URL, v.At, "AVERAGE-BANDWIDTH is %d, the segments up to %d average %.0f bit/s",
			s.average, chain[len(chain)-1].sequence, average)
	}
}

// checkFormats compares the variant with the newest segment, or with one that
// came just then: the origin knows of a new format before its first segment ends.
func checkFormats(v multivariantVersion, s variant, chain, later []link, f *findings) {
	found := &findings{}
	checkFormat(v, s, chain, found)
	for n := len(chain) + 1; n <= len(later) && len(found.list) > 0; n++ {
		next := &findings{}
		if checkFormat(v, s, later[:n], next); len(next.list) == 0 {
			return
		}
	}
	f.merge(found.list)
}

// checkFormat compares CODECS, RESOLUTION and FRAME-RATE with the last segment.
func checkFormat(v multivariantVersion, s variant, chain []link, f *findings) {
	newest := chain[len(chain)-1]
	_, video := newest.facts.program.video()
	_, audio := newest.facts.program.audio()
	if len(s.codecs) == 0 {
		f.add("variant-attribute-missing", v.URL, v.At, "CODECS is missing")
	} else {
		if problem := codecsProblem(s.codecs, newest.facts, video, audio); problem != "" {
			f.add("codecs-false", v.URL, v.At, "CODECS %q, yet segment %d %s", strings.Join(s.codecs, ","), newest.sequence, problem)
		}
	}
	if !video {
		if s.width != 0 || s.frameRate != 0 {
			f.add("variant-attribute-false", v.URL, v.At, "RESOLUTION or FRAME-RATE in a variant without video")
		}
		return
	}
	if format, err := newest.facts.config.format(); err == nil {
		if s.width == 0 {
			f.add("variant-attribute-missing", v.URL, v.At, "RESOLUTION is missing")
		} else if s.width != format.width || s.height != format.height {
			f.add("resolution-false", v.URL, v.At, "RESOLUTION is %dx%d, the SPS of segment %d says %dx%d",
				s.width, s.height, newest.sequence, format.width, format.height)
		}
	}
	if s.frameRate == 0 {
		f.add("variant-attribute-missing", v.URL, v.At, "FRAME-RATE is missing")
		return
	}
	if rate, off := measuredRate(chain); rate > 0 && math.Abs(rate-s.frameRate) > off {
		f.add("frame-rate-false", v.URL, v.At, "FRAME-RATE is %.3f, the segments up to %d have %.3f frames a second",
			s.frameRate, newest.sequence, rate)
	}
}

// codecsProblem says what of the segment the codecs do not describe, or "".
func codecsProblem(codecs []string, s *segmentFacts, video, audio bool) string {
	has := func(prefix string) bool {
		return slices.ContainsFunc(codecs, func(c string) bool { return strings.HasPrefix(strings.ToLower(c), prefix) })
	}
	if video != (has("avc1.") || has("hvc1.") || has("hev1.")) {
		return fmt.Sprintf("has video: %v", video)
	}
	if audio != has("mp4a.40.") {
		return fmt.Sprintf("has audio: %v", audio)
	}
	if format, err := s.config.format(); video && s.config.sps != "" {
		if err != nil {
			return err.Error()
		}
		if !has(strings.ToLower(format.codec)) {
			return "is " + format.codec
		}
	}
	// HE-AAC travels as its core: ADTS says 2 (LC) for 5 (SBR) and 29 (PS).
	if core := s.config.adts.objectType; audio && core != 0 {
		extended := core == 2 && (has("mp4a.40.5") || has("mp4a.40.29"))
		if !extended && !has(fmt.Sprintf("mp4a.40.%d", core)) {
			return fmt.Sprintf("carries audio object type %d", core)
		}
	}
	return ""
}

// measuredRate returns the frame rate since the last discontinuity, and how far
// a stated rate may be from it: two percent, and the one frame that the first and
// last segment may have gained or lost.
func measuredRate(chain []link) (rate, tolerance float64) {
	var frames, seconds float64
	for i := len(chain) - 1; i >= 0; i-- {
		for _, u := range chain[i].facts.units {
			if u.Kind == Video {
				frames++
			}
		}
		seconds += chain[i].duration.Seconds()
		if chain[i].discontinuity {
			break
		}
	}
	if seconds == 0 {
		return 0, 0
	}
	rate = frames / seconds
	return rate, 0.02*rate + 1/seconds
}
