package hlscheck

import (
	"crypto/sha256"
	"time"
)

// segmentFacts is what a segment turned out to hold. The bytes are not kept.
type segmentFacts struct {
	url   string
	at    time.Time
	size  int
	sum   [sha256.Size]byte
	etag  string   // of the first answer
	found findings // broken rules that concern this segment alone

	program  program
	counters map[uint16]*counter
	clocks   []int64 // every PCR in order
	units    []AccessUnit
	esBytes  int // elementary stream bytes, start codes and ADTS headers included
	config   config

	hasVideo  bool // some access unit was read
	startsIDR bool // and the first one is an IDR
}

// config is the decoder configuration in force at the end of a segment.
type config struct {
	sps  string // the bytes of the sequence parameter set
	hevc bool   // which is that of H.265
	adts adtsConfig
}

// independent reports whether the segment can be decoded on its own.
func (s *segmentFacts) independent() bool { return !s.hasVideo || s.startsIDR }

// first returns the decode time that rules the segment's timing: that of the
// first video access unit, or without video of the first audio frame.
func (s *segmentFacts) first() int64 {
	for _, u := range s.units {
		if (u.Kind == Video) == s.hasVideo {
			return u.DTS
		}
	}
	return noTime
}

// counter follows the continuity counter of a PID through a segment.
type counter struct {
	first, last   uint8
	firstPayload  bool // the first packet had a payload, so it counts
	discontinuity bool // the first packet had discontinuity_indicator
}

// examiner reads a segment from its first packet to its last.
type examiner struct {
	s       *segmentFacts
	open    map[uint16]*pes
	done    []*pes // in the order of their first packets
	clock   int64  // the last PCR
	number  uint16 // of the program
	started map[uint16]bool
	// extraBits is num_extra_slice_header_bits of the newest PPS of H.265.
	extraBits int
}

// format returns what the SPS says.
func (c config) format() (videoFormat, error) {
	if c.hevc {
		return parseHEVCSPS([]byte(c.sps))
	}
	return parseSPS([]byte(c.sps))
}

// examine reads a segment. It never fails: what cannot be read is a finding.
func examine(url string, at time.Time, body []byte) *segmentFacts {
	s := &segmentFacts{url: url, at: at, size: len(body), sum: sha256.Sum256(body), counters: map[uint16]*counter{}}
	x := &examiner{s: s, open: map[uint16]*pes{}, clock: noTime, started: map[uint16]bool{}}
	if len(body) == 0 || len(body)%packetSize != 0 {
		x.add("ts-length", "%d bytes are not a multiple of 188", len(body))
	}
	for i := 0; (i+1)*packetSize <= len(body); i++ {
		p, problems := parsePacket(i, body[i*packetSize:(i+1)*packetSize])
		for _, problem := range problems {
			x.add("ts-packet-illegal", "packet %d, PID %d: %s", i, p.pid, problem)
		}
		x.packet(p)
	}
	x.finish()
	thirdOpinion(body, x)
	return s
}

func (x *examiner) add(rule, format string, args ...any) {
	x.s.found.add(rule, x.s.url, x.s.at, format, args...)
}

func (x *examiner) packet(p packet) {
	if p.pid == nullPID {
		return
	}
	x.count(p)
	if p.pcr != noTime {
		x.pcr(p)
	}
	switch {
	case p.index == 0 && p.pid != 0:
		x.add("pat-not-first", "the first packet has PID %d", p.pid)
	case p.index == 1 && (x.s.program.pmtPID == 0 || p.pid != x.s.program.pmtPID):
		x.add("pmt-not-second", "the second packet has PID %d", p.pid)
	}
	switch {
	case p.pid == 0:
		x.pat(p)
	case x.s.program.pmtPID != 0 && p.pid == x.s.program.pmtPID:
		x.pmt(p)
	case p.pid <= 0x1f: // DVB service information: legal, and of no use to a player
	default:
		x.stream(p)
	}
}

// count applies ISO 13818-1 2.4.3.3 to the continuity counter. A duplicate packet
// is legal in a broadcast; in a file it is a mistake.
func (x *examiner) count(p packet) {
	c := x.s.counters[p.pid]
	if c == nil {
		x.s.counters[p.pid] = &counter{p.counter, p.counter, p.payload != nil, p.discontinuity}
		return
	}
	want := c.last
	if p.payload != nil {
		want = (want + 1) & 15
	}
	if p.discontinuity {
		x.add("ts-discontinuity-indicator", "packet %d, PID %d has discontinuity_indicator inside a segment", p.index, p.pid)
	} else if p.counter != want {
		x.add("continuity-counter", "packet %d, PID %d: continuity_counter is %d, expected %d", p.index, p.pid, p.counter, want)
	}
	c.last = p.counter
}

func (x *examiner) pcr(p packet) {
	if len(x.s.program.tracks) > 0 && p.pid != x.s.program.pcrPID {
		x.add("pcr-wrong-pid", "packet %d has a PCR on PID %d, the PMT says %d", p.index, p.pid, x.s.program.pcrPID)
		return
	}
	x.clock = p.pcr
	x.s.clocks = append(x.s.clocks, p.pcr)
}

// stream takes a packet of an elementary stream.
func (x *examiner) stream(p packet) {
	t, ok := x.s.program.track(p.pid)
	if !ok {
		x.add("ts-unexpected-pid", "packet %d has PID %d, which no PMT before it names", p.index, p.pid)
		return
	}
	if !x.started[p.pid] && p.pid == x.s.program.pcrPID && p.pcr == noTime && len(x.s.clocks) == 0 {
		x.add("pcr-missing-at-start", "packet %d, the first of PCR_PID %d, has no PCR", p.index, p.pid)
	}
	if p.payload == nil {
		return
	}
	if p.start {
		x.close(p.pid)
		x.open[p.pid] = &pes{pid: p.pid, first: p.index, randomAccess: p.randomAccess, pcr: p.pcr, clockAtStart: x.clock}
		x.done = append(x.done, x.open[p.pid])
	} else if !x.started[p.pid] {
		x.add("pes-starts-before", "PID %d (stream_type 0x%02x) begins in the middle of a PES packet", p.pid, t.streamType)
	}
	x.started[p.pid] = true
	if o := x.open[p.pid]; o != nil {
		o.data = append(o.data, p.payload...)
		o.clockAtEnd = x.clock
	}
}

// close ends the open PES packet of a PID and reads it.
func (x *examiner) close(pid uint16) {
	p := x.open[pid]
	if p == nil {
		return
	}
	delete(x.open, pid)
	t, _ := x.s.program.track(pid)
	video := t.streamType == streamTypeH264 || t.streamType == streamTypeHEVC
	problems, ok := p.parse(video)
	for _, problem := range problems {
		x.add("pes-illegal", "packet %d, PID %d: %s", p.first, pid, problem)
	}
	if !ok {
		return
	}
	if !p.timed() {
		x.add("pes-without-pts", "packet %d, PID %d: a PES packet without PTS", p.first, pid)
		return
	}
	if since(p.dts, p.pts, ptsWrap) < 0 {
		x.add("pts-before-dts", "packet %d, PID %d: PTS %d lies before DTS %d", p.first, pid, p.pts, p.dts)
	}
	x.s.esBytes += len(p.payload)
	switch t.streamType {
	case streamTypeH264:
		x.video(p)
	case streamTypeHEVC:
		x.hevc(p)
	case streamTypeADTS:
		x.audio(p)
	}
}

// finish ends what is open and judges the segment as a whole.
func (x *examiner) finish() {
	for _, t := range x.s.program.tracks {
		x.close(t.pid)
		if !x.started[t.pid] {
			x.add("track-empty", "the PMT names PID %d (stream_type 0x%02x), of which no packet comes", t.pid, t.streamType)
		}
	}
	if len(x.s.program.tracks) == 0 {
		x.add("pmt-malformed", "no readable PMT in the segment")
	}
	if len(x.s.units) == 0 {
		x.add("segment-without-media", "no access unit in %d bytes", x.s.size)
	}
}
