package mpegts

const (
	// GatherWithVideo is how long audio frames may wait for each other beside
	// video, in 1/90000 s: 200 ms leaves most of DecodeDelay for the encoder's
	// interleaving.
	GatherWithVideo = 18_000
	// GatherAlone is the same for audio without video, where the PCR waits as well:
	// not longer than DecodeDelay.
	GatherAlone = DecodeDelay

	// gatherBytes fills 16 packets with a PES header and five PCRs, and is less than
	// the 3584 bytes of the audio buffer of the system target decoder (2.4.2.7).
	gatherBytes = 16*payloadSize - 14 - 5*8
	// gatherSlack is how far, in 1/90000 s, a frame may begin from the end of the
	// one before and still be in the same PES packet, which has one PTS: 1 ms.
	gatherSlack = 90
	// neatAfter is from where a unit of audio without video ends as soon as its last
	// packet is nearly full, and neatStuffing what may be left of that, in bytes: a frame
	// of 32 kbit/s has 100 bytes, and half a packet of stuffing would be 5% more.
	neatAfter    = GatherAlone * 3 / 5
	neatStuffing = payloadSize / 5
	// smallFrame is up to where frames leave a choice of how full that packet is.
	smallFrame = payloadSize * 2 / 3
)

// AudioGatherer collects ADTS frames into AudioUnits: a PES packet costs a header and
// on average half a packet of stuffing, which would be half as much as a frame of 64
// kbit/s. Its memory is reused from unit to unit.
//
//	if g.Full(pts, len(header)+len(frame)) {
//		segment = m.AppendAudio(segment, g.Take())
//	}
//	g.Add(pts, duration, header, frame)
//
// The zero AudioGatherer gathers nothing: each frame is a unit. Use NewAudioGatherer.
type AudioGatherer struct {
	maxDuration int64
	frames      []byte
	begin, end  int64 // times
}

// NewAudioGatherer returns a gatherer for units that last at most maxDuration:
// GatherWithVideo or GatherAlone.
func NewAudioGatherer(maxDuration int64) *AudioGatherer {
	return &AudioGatherer{maxDuration: maxDuration}
}

// Full reports whether what is gathered must be taken before a frame of size bytes,
// header included, that begins at pts: because of its size or duration, or because
// the frame does not follow on. It is never so while nothing is gathered.
func (g *AudioGatherer) Full(pts int64, size int) bool {
	if len(g.frames) == 0 {
		return false
	}
	gap := pts - g.end
	return gap > gatherSlack || gap < -gatherSlack ||
		len(g.frames)+size > gatherBytes || pts-g.begin >= g.maxDuration || g.isNeat(size)
}

// isNeat reports whether what is gathered wastes little of its last packet. That is
// worth the header of another unit where nothing but audio is sent.
func (g *AudioGatherer) isNeat(next int) bool {
	duration := g.end - g.begin
	if g.maxDuration < GatherAlone || duration < neatAfter || next > smallFrame {
		return false
	}
	pcrs := (duration + innerPCRInterval - 1) / innerPCRInterval
	size := pesHeaderSize(0, 0) + len(g.frames) + int(pcrs)*pcrFieldSize
	return (payloadSize-size%payloadSize)%payloadSize <= neatStuffing
}

// Add adds a frame that begins at pts and lasts duration. It copies header and frame.
func (g *AudioGatherer) Add(pts, duration int64, header, frame []byte) {
	if len(g.frames) == 0 {
		g.begin = pts
	}
	g.frames = append(append(g.frames, header...), frame...)
	g.end = pts + duration
}

// Take returns what is gathered, which is valid until the next Add, and starts anew.
// It is empty if nothing was gathered.
func (g *AudioGatherer) Take() AudioUnit {
	u := g.Gathered()
	g.frames = g.frames[:0]
	return u
}

// Gathered returns what Take would.
func (g *AudioGatherer) Gathered() AudioUnit {
	if len(g.frames) == 0 {
		return AudioUnit{}
	}
	return AudioUnit{PTS: g.begin, Duration: g.end - g.begin, Frames: g.frames}
}
