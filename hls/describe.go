package hls

import "math"

// description is what the multivariant playlist says of the tracks.
type description struct {
	codecs        string
	width, height int
	frameRate     float64
}

// describe returns the description of the open tracks.
func (c *segmenter) describe() description {
	var d description
	if c.video != nil {
		d.codecs = c.video.codec
		d.width, d.height = c.video.width, c.video.height
		d.frameRate = c.meter.rate(c.video.fps)
	}
	if c.audio != nil {
		if d.codecs != "" {
			d.codecs += ","
		}
		d.codecs += c.audio.CodecString()
	}
	return d
}

// frameRate measures frames per second from timestamps.
type frameRate struct {
	frames int   // that followed each other
	length ticks // that they took
	stated float64
}

// add takes the time between two frames.
func (f *frameRate) add(step ticks) {
	if step > 0 {
		f.frames++
		f.length += step
	}
}

// commonRates are what cameras and encoders are set to. The exact one is stated where
// the measured one is near, since RTMP's milliseconds don't show it.
var commonRates = [...]float64{
	10, 12, 12.5, 15, 20, 24000.0 / 1001, 24, 25, 30000.0 / 1001, 30, 48, 50, 60000.0 / 1001, 60, 100, 120,
}

const (
	// statedTolerance is how far the measured rate may be from the one of the SPS.
	statedTolerance = 0.02
	// commonTolerance is the same for a common rate.
	commonTolerance = 0.005
	// steadyTolerance keeps the rate that was stated before.
	steadyTolerance = 0.05
)

// rate returns the rate to state: that of the SPS if it is true, a common one if it is
// near, the measured one otherwise. It does not change as long as it is about right.
func (f *frameRate) rate(sps float64) float64 {
	if f.frames == 0 {
		return sps
	}
	measured := float64(f.frames) * perSecond / float64(f.length)
	if f.stated == 0 || !near(f.stated, measured, steadyTolerance) {
		f.stated = roundRate(measured, sps)
	}
	return f.stated
}

func roundRate(measured, sps float64) float64 {
	if near(sps, measured, statedTolerance) {
		return sps
	}
	best := math.Round(measured*10) / 10
	distance := commonTolerance * measured
	for _, common := range commonRates {
		if d := math.Abs(common - measured); d <= distance {
			best, distance = common, d
		}
	}
	return best
}

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance*b }
