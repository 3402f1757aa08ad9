package remux

import (
	"math"
	"slices"
	"time"
)

// arrivals compares when media came with what time it says.
type arrivals struct {
	last time.Time
	end  int64 // the timeline's end then
	// first and firstEnd are where delay is measured from.
	first    time.Time
	firstEnd int64
	gap      time.Duration // the newest gap, and by what the media went on in it (ms)
	gapMedia int64
	gaps     int
	fresh    bool // the gap was not judged yet
	// best is the least delay of the running span and of the one before.
	best [2]time.Duration
	span time.Time
	lag  time.Duration
}

func (a *arrivals) add(now time.Time, end int64, usual float64) {
	if a.last.IsZero() {
		a.last, a.end, a.first, a.firstEnd, a.span = now, end, now, end, now
		return
	}
	silence := now.Sub(a.last)
	if silence >= minGap && silence.Seconds()*1000 >= usualGap*usual {
		a.gap, a.gapMedia, a.fresh = silence, end-a.end, true
		a.gaps++
	}
	a.last, a.end = now, end
	a.lag = now.Sub(a.first) - time.Duration(end-a.firstEnd)*time.Millisecond
	if now.Sub(a.span) >= lagSpan {
		a.best[1], a.best[0], a.span = a.best[0], a.lag, now
	}
	a.best[0] = min(a.best[0], a.lag)
}

// behind is how much later media comes than at its best in the last minute or two.
func (a *arrivals) behind() time.Duration { return a.lag - min(a.best[0], a.best[1]) }

// A hole is where frames are missing: an interval of at least holeLength ms and of holeFrames usual ones. It says
// nothing of how often the encoder makes keyframes.
const (
	holeLength = 1_000
	holeFrames = 3
)

// videoMeter measures GOPs, frame intervals and reordering.
type videoMeter struct {
	seen     bool
	first    int64 // DTS of the first frame
	last     int64 // DTS of the newest frame
	keyed    bool  // a keyframe has come
	keyframe int64 // its DTS
	gop      int64 // length of the newest whole GOP, ms
	gops     [gopMemory]int64
	count    int   // of gops ever seen
	missing  int64 // what the newest GOP would be shorter by without its holes, ms

	usual          float64 // the median interval, approached step by step, ms
	intervals, odd int     // in the window
	uneven         float64 // share of odd intervals in the window before
	span           int64   // sum of the intervals in the window, ms

	compositionMost int32
	composition     int32
	composed        bool
	reordered       bool // composition times differ: frames are shown in another order
}

// frame takes the DTS of a frame, be it passed on or not.
func (v *videoMeter) frame(dts int64) {
	if !v.seen {
		v.seen, v.first, v.last = true, dts, dts
		return
	}
	step := float64(dts - v.last)
	v.last = dts
	if v.usual == 0 {
		v.usual = step
		return
	}
	if step >= holeLength && step >= holeFrames*v.usual {
		v.missing += int64(step - v.usual)
	}
	v.intervals++
	v.span += int64(step)
	if math.Abs(step-v.usual) > v.usual/2 {
		v.odd++
	}
	if step > v.usual {
		v.usual = min(step, v.usual*(1+intervalStep))
	} else {
		v.usual = max(step, v.usual*(1-intervalStep))
	}
}

// packet takes a frame that is passed on.
func (v *videoMeter) packet(pkt *Packet) {
	if v.composed && pkt.Composition != v.composition {
		v.reordered = true
	}
	v.composition, v.composed = pkt.Composition, true
	v.compositionMost = max(v.compositionMost, pkt.Composition)
	if !pkt.Keyframe {
		return
	}
	if v.keyed {
		v.gop = pkt.DTS - v.keyframe - v.missing
		v.gops[v.count%gopMemory] = v.gop
		v.count++
	}
	v.keyframe, v.keyed, v.missing = pkt.DTS, true, 0
}

// open is how long, in ms, the newest GOP is so far.
func (v *videoMeter) open() int64 {
	switch {
	case !v.seen:
		return 0
	case v.keyed:
		return v.last - v.keyframe - v.missing
	}
	return v.last - v.first - v.missing
}

// oddGOPs counts the remembered GOPs that are unlike the median, and returns that.
func (v *videoMeter) oddGOPs() (odd int, median int64) {
	if v.count < gopMemory {
		return 0, 0
	}
	sorted := v.gops
	slices.Sort(sorted[:])
	median = sorted[gopMemory/2]
	for _, length := range sorted {
		if off := max(length-median, median-length); off > gopTolerance && off*4 > median {
			odd++
		}
	}
	return odd, median
}

// driftMeter measures how far audio is from video when they arrive.
type driftMeter struct {
	audio    int64 // DTS of the newest audio frame
	heard    bool  // one came since the newest video frame: audio that ceases does not drift
	sum      int64
	n        int64
	offset   float64 // of the window before, if there was one
	before   bool
	base     float64 // the usual offset, once it is known
	baseline bool
}

func (m *driftMeter) frame(track Track, dts int64) {
	switch {
	case track == Audio:
		m.audio, m.heard = dts, true
	case m.heard:
		m.sum += m.audio - dts
		m.n++
		m.heard = false
	}
}

// restart forgets what was usual, after a track was put somewhere else.
func (m *driftMeter) restart() { *m = driftMeter{audio: m.audio} }

// frame takes note of a frame that was put on the timeline.
func (d *diagnosis) frame(track Track, dts int64, repair Repair) {
	if repair == Realigned || repair == Jumped {
		d.drift.restart()
	}
	if track == Video {
		d.video.frame(dts)
	}
	d.drift.frame(track, dts)
}

// packet takes note of a packet that is passed on.
func (d *diagnosis) packet(pkt *Packet) {
	switch pkt.Kind {
	case VideoFrame:
		d.video.packet(pkt)
		d.window.videoBytes += uint64(len(pkt.Payload))
		d.window.videoFrames++
		d.codecs[Video].codec = pkt.Codec
	case AudioFrame:
		d.codecs[Audio].codec = pkt.Codec
	}
}
