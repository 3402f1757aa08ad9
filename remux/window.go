package remux

import (
	"math"
	"time"

	"github.com/headwater-live/headwater/remux/flvtag"
)

// windowMeter holds what is measured over a window of some seconds.
type windowMeter struct {
	began       time.Time
	counters    Counters // when it began
	videoBytes  uint64
	videoFrames uint64
	videoRate   float64 // bits per second of video in the window before
	// bitrate is the usual one, in bits per second, learnt from so many windows.
	bitrate float64
	learnt  int
}

// ofWindow are the findings that only judgeWindow finds.
var ofWindow = [...]finding{frameRateUnsteady, audioVideoDrift, timestampsClamped, bitrateUnsteady, bitrateTooLow, malformedMessages}

// expireWindow clears findings between the ends of windows.
func (p *Publication) expireWindow(now time.Time) {
	for _, f := range ofWindow {
		p.find(f, now, false, measures{})
	}
}

// judgeWindow judges what was measured over a window and begins the next.
func (p *Publication) judgeWindow(now time.Time) {
	w, c := &p.diagnosis.window, &p.counters
	seconds := now.Sub(w.began).Seconds()
	clamped := c.Clamped - w.counters.Clamped
	p.find(timestampsClamped, now, clamped > maxClamped, figures(float64(clamped), seconds, float64(c.Clamped)))
	malformed := c.Malformed - w.counters.Malformed
	p.find(malformedMessages, now, malformed > 0, figures(float64(malformed), seconds, float64(c.Malformed)))
	p.judgeFrameRate(now)
	p.judgeDrift(now)
	p.judgeBitrate(now, seconds)
	w.began, w.counters, w.videoBytes, w.videoFrames = now, *c, 0, 0
}

func (p *Publication) judgeFrameRate(now time.Time) {
	v := &p.diagnosis.video
	if v.intervals >= minIntervals {
		v.uneven = float64(v.odd) / float64(v.intervals)
		p.find(frameRateUnsteady, now, v.uneven > maxUnsteady,
			figures(v.uneven*100, 1000/v.usual, float64(v.intervals)*1000/float64(v.span)))
	}
	v.intervals, v.odd, v.span = 0, 0, 0
}

func (p *Publication) judgeDrift(now time.Time) {
	m := &p.diagnosis.drift
	if m.n >= minIntervals {
		offset := float64(m.sum) / float64(m.n)
		// Two windows that agree are the usual: one alone may hold a change.
		if !m.baseline && m.before && math.Abs(offset) <= maxOffset && math.Abs(offset-m.offset) < maxDrift/2 {
			m.base, m.baseline = offset, true
		}
		m.offset, m.before = offset, true
		drift := 0.0
		if m.baseline {
			drift = offset - m.base
		}
		p.find(audioVideoDrift, now, math.Abs(offset) > maxOffset || math.Abs(drift) > maxDrift,
			figures(offset/1000, drift/1000))
	}
	m.sum, m.n = 0, 0
}

func (p *Publication) judgeBitrate(now time.Time, seconds float64) {
	w := &p.diagnosis.window
	rate := float64(p.counters.Bytes-w.counters.Bytes) * 8 / seconds
	if w.learnt >= bitrateLearn {
		p.find(bitrateUnsteady, now, rate*bitrateFactor < w.bitrate || rate > w.bitrate*bitrateFactor,
			figures(rate/1000, w.bitrate/1000))
	}
	// The mean of the first windows, and later a slow one: what stays becomes usual.
	w.learnt++
	w.bitrate += (rate - w.bitrate) / float64(min(w.learnt, 2*bitrateLearn))
	w.videoRate = float64(w.videoBytes) * 8 / seconds
	size := p.video.facts
	pixels := float64(size.Width) * float64(size.Height) * float64(w.videoFrames)
	if p.video.codec == flvtag.H264 && w.videoFrames >= minIntervals && pixels > 0 {
		perPixel := float64(w.videoBytes) * 8 / pixels
		p.find(bitrateTooLow, now, perPixel < minBitsPerPixel,
			figures(w.videoRate/1000, perPixel, minBitsPerPixel))
	}
}

// codecVerdict remembers what was said of a track's codec.
type codecVerdict struct {
	codec, asked flvtag.Codec
	verdict      string
}

// judgeCodecs asks, once for each codec, which outputs cannot carry it.
func (p *Publication) judgeCodecs(now time.Time) {
	text := ""
	for track := range p.diagnosis.codecs {
		v := &p.diagnosis.codecs[track]
		if v.codec != v.asked {
			v.asked, v.verdict = v.codec, ""
			if ask := p.stream.hub.config.CannotCarry; ask != nil {
				if outputs := ask(v.codec); outputs != "" {
					v.verdict = v.codec.String() + " cannot be carried by " + outputs
				}
			}
		}
		if v.verdict != "" {
			if text != "" {
				text += "; "
			}
			text += v.verdict
		}
	}
	p.find(codecUnsupported, now, text != "", measures{text: text})
}
