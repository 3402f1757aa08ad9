package remux

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/headwater-live/headwater/remux/flvtag"
)

// The diagnosis of a publication says why a stream is bad, for whoever is called when it is. Each
// packet adds to a few counters; once a second they are judged, and what is found is kept as
// findings. All of it is guarded by the stream's lock and takes no memory per packet.

const (
	// judgeEvery is the time between two judgements.
	judgeEvery = time.Second
	// measureWindow is the time that rates and shares are measured over: several GOPs of
	// usual length, so that the size of a keyframe does not matter.
	measureWindow = 10 * time.Second

	// maxGOPLength (ms) is the longest GOP that is no finding. Segments are as long as GOPs,
	// and a player holds three of them: beyond 4 s viewers are 12 s late and more.
	maxGOPLength = 4_000
	// gopMemory is the number of GOPs that are compared, gopOddities how many of them may
	// differ from the median by more than gopTolerance (ms) and a quarter: a scene cut now
	// and then is usual.
	gopMemory    = 8
	gopOddities  = 2
	gopTolerance = 500
	// maxWithoutKeyframe (ms) is longer than the 8.3 s that x264 chooses by itself.
	maxWithoutKeyframe = 10_000

	// maxUnsteady is the share of frame intervals that may be off by more than half of the
	// usual one. Timestamps of whole milliseconds are off by a tenth at most up to 200 fps.
	maxUnsteady = 0.05
	// minIntervals is the least number of intervals that a share is taken of.
	minIntervals = 20
	// intervalStep is how fast the usual interval follows, as a share of itself per frame: a
	// change from 30 to 60 fps takes 45 frames.
	intervalStep = 1.0 / 64

	// maxOffset and maxDrift (ms) bound how far audio may arrive from video, and how far
	// this may change. Interleaving alone makes some hundred ms, but always the same; ITU-R
	// BT.1359 puts what viewers accept at 90 to 185 ms.
	maxOffset = 1_000
	maxDrift  = 300

	// maxClamped is the number of timestamps in a window that may not increase: rounding
	// makes one now and then.
	maxClamped = 2

	// minGap is the shortest silence that is a gap: players of HTTP-FLV hold about a
	// second. usualGap is how many frame intervals it must be, for streams of slides.
	minGap   = time.Second
	usualGap = 3
	// maxBehind is how much later than before media may come. Half of it is what a WLAN
	// does at its worst.
	maxBehind = 3 * time.Second
	// lagSpan is how long the best delay is remembered. The encoder's clock and ours part
	// by up to 100 ppm, which are 12 ms in that time.
	lagSpan = time.Minute

	// bitrateFactor is how far a window's bitrate may be from the usual, bitrateLearn how
	// many windows are needed to know the usual.
	bitrateFactor = 3
	bitrateLearn  = 3
	// minBitsPerPixel is a fifth of what streaming services ask for at 1080p30 with H.264
	// (3 Mbit/s), so that slides pass.
	minBitsPerPixel = 0.01

	// trackWait is how long a track may be missing: longer than a slow audio device takes to
	// start.
	trackWait = 5 * time.Second
	// configurationWait is how long frames may wait for their configuration: longer than
	// the second after which the tracks are decided.
	configurationWait = 3 * time.Second
)

// diagnosis is the state of a publication's diagnosis.
type diagnosis struct {
	states  [numFindings]findingState
	judged  time.Time // the last judgement
	seen    Counters  // the counters then
	arrival arrivals
	video   videoMeter
	drift   driftMeter
	window  windowMeter
	missing [numTracks]time.Time // since when a track has been missing
	waiting time.Time            // since when frames have waited for their configuration
	codecs  [numTracks]codecVerdict
}

// diagnose takes note of an arrival and judges once a second.
func (p *Publication) diagnose(now time.Time) {
	d := &p.diagnosis
	d.arrival.add(now, p.stream.timeline.End(), d.video.usual)
	if d.judged.IsZero() {
		d.judged, d.window.began = now, now
		d.missing = [numTracks]time.Time{now, now}
		return
	}
	if now.Sub(d.judged) < judgeEvery {
		return
	}
	p.judge(now)
	d.judged, d.seen = now, p.counters
}

// judge looks at everything that can be said at any time, and at the rest once a window.
func (p *Publication) judge(now time.Time) {
	d, c := &p.diagnosis, &p.counters
	p.judgeKeyframes(now)
	p.judgeArrivals(now)
	p.judgeTracks(now)
	p.judgeCodecs(now)
	p.find(timestampsJumped, now, c.Jumped > d.seen.Jumped, figures(float64(c.Jumped)))
	p.find(timestampsRealigned, now, c.Realigned > d.seen.Realigned, figures(float64(c.Realigned)))
	p.find(bFrames, now, d.video.reordered, figures(float64(d.video.compositionMost)))
	d.video.reordered = false
	name := p.encoder()
	p.find(encoderName, now, name != "", measures{text: name})
	if now.Sub(d.window.began) >= measureWindow {
		p.judgeWindow(now)
	} else {
		p.expireWindow(now)
	}
}

func figures(n ...float64) measures {
	var v measures
	copy(v.n[:], n)
	return v
}

func (p *Publication) judgeKeyframes(now time.Time) {
	d := &p.diagnosis
	v := &d.video
	open := v.open()
	longest := max(v.gop, open)
	p.find(gopTooLong, now, longest > maxGOPLength && v.keyed, figures(float64(longest)/1000))
	p.find(noKeyframes, now, open > maxWithoutKeyframe, figures(float64(open)/1000, float64(p.counters.Undecodable)))
	odd, median := v.oddGOPs()
	p.find(gopIrregular, now, odd > gopOddities, figures(float64(odd), gopMemory, float64(median)/1000))
}

func (p *Publication) judgeArrivals(now time.Time) {
	a := &p.diagnosis.arrival
	p.find(gapsBetweenPackets, now, a.fresh, figures(a.gap.Seconds(), float64(a.gapMedia)/1000, float64(a.gaps)))
	a.fresh = false
	behind := a.behind()
	p.find(publisherBehind, now, behind >= maxBehind, figures(behind.Seconds()))
}

// judgeTracks looks for a track that sends nothing while the other does, and for frames that
// wait for a configuration.
func (p *Publication) judgeTracks(now time.Time) {
	d, c := &p.diagnosis, &p.counters
	if c.VideoFrames != d.seen.VideoFrames {
		d.missing[Video] = now
	}
	if c.AudioFrames != d.seen.AudioFrames {
		d.missing[Audio] = now
	}
	for track, f := range [numTracks]finding{Video: videoMissing, Audio: audioMissing} {
		other := Track(track).other()
		absent := now.Sub(d.missing[track])
		v := figures(absent.Seconds())
		v.mild = f == videoMissing && c.VideoFrames == 0 // a radio
		p.find(f, now, absent >= trackWait && now.Sub(d.missing[other]) < trackWait, v)
	}
	if len(p.video.early)+len(p.audio.early) == 0 && c.Unconfigured == d.seen.Unconfigured {
		d.waiting = time.Time{}
	} else if d.waiting.IsZero() {
		d.waiting = now
	}
	wait := now.Sub(d.waiting)
	p.find(configurationMissing, now, !d.waiting.IsZero() && wait >= configurationWait,
		figures(wait.Seconds(), float64(c.Unconfigured)))
}

// maxEncoderName bounds the name of an encoder, which is what a peer says: the longest that is
// known (OBS with its library version) has half of it.
const maxEncoderName = 128

// encoder is the name the encoder gives itself: in its metadata, else in its connect command,
// where most pretend to be another.
func (p *Publication) encoder() string {
	i := slices.IndexFunc(p.properties, func(q flvtag.Property) bool { return q.Name == "encoder" })
	if i >= 0 {
		if name, ok := p.properties[i].Value.(string); ok && name != "" {
			return cutName(name)
		}
	}
	return cutName(p.publisher.Encoder)
}

// cutName bounds a name, and leaves out what could deceive who reads it in a terminal.
func cutName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name[:min(len(name), maxEncoderName)])
}
