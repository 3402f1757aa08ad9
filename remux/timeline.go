package remux

// Track is one of the two tracks of a stream.
type Track uint8

// The tracks.
const (
	Video Track = iota
	Audio
	numTracks = 2
)

func (t Track) other() Track { return 1 - t }

// Repair says what a Timeline did to a timestamp.
type Repair uint8

// The repairs.
const (
	// Intact: the timestamp was taken as it came.
	Intact Repair = iota
	// Clamped: it did not increase, and was moved to 1 ms after the one before.
	Clamped
	// Realigned: this track alone jumped, and was put back beside the other one.
	Realigned
	// Jumped: the clock of all tracks jumped. The timeline goes on without a gap,
	// and the packet is the first after a discontinuity.
	Jumped
)

const (
	// maxForward is the longest gap, in ms, that is believed. Longer ones are
	// a clock that was set or an encoder that started over.
	maxForward = 10_000
	// maxBack is the longest step back, in ms, that is smoothed over by clamping:
	// longer ones would squeeze a second of frames into a few milliseconds.
	maxBack = 1_000
	// activeSpan is how far, in ms, a track may lie behind the stream's newest
	// packet and still be expected to go on.
	activeSpan = 2_000
	// rebaseAt is where a publisher's clock is kept out of the upper half of its
	// 32 bits: an FLV timestamp is signed, and players stop at the wrap.
	rebaseAt = 1 << 31
	// rebaseStart leaves room for the other track to begin a little earlier.
	rebaseStart = 1_000
	// defaultStep and maxStep bound, in ms, what is taken for a frame's duration.
	defaultStep = 33
	maxStep     = 250
)

// A Timeline turns RTMP's 32-bit timestamps, which wrap, jump and drift, into one
// 64-bit timeline in milliseconds that is strictly increasing on each track. Both
// tracks share one offset, so that they stay as the encoder aligned them; only a
// track that jumps alone gets an offset of its own.
//
// Timestamps are compared by serial number arithmetic (RFC 1982) modulo 2^32.
// The zero Timeline is ready for a stream's first publication.
type Timeline struct {
	tracks [numTracks]clock
	// end is the newest DTS handed out by any track.
	end     int64
	started bool
	// resumed: an earlier publication has used the timeline.
	resumed bool
	// jumped: Rebase was called and the next packet is the first after it.
	jumped bool
}

// clock is the state of one track.
type clock struct {
	active bool
	raw    int64 // the newest timestamp, unwrapped
	dts    int64 // the newest DTS handed out, meaningful if used
	used   bool  // some publication has used this track: dts must not be repeated
	step   int64 // the newest plausible frame duration
	offset int64 // DTS = raw + offset
}

// Resume prepares the timeline for the next publication of the same stream: its
// first packet follows the last one of the publication before.
func (t *Timeline) Resume() {
	if !t.started {
		return
	}
	t.started, t.resumed = false, true
	for i := range t.tracks {
		t.tracks[i].active = false
	}
}

// End returns the newest DTS handed out.
func (t *Timeline) End() int64 { return t.end }

// Jumps reports whether a timestamp lies so far from what its track, and the
// stream, should have now that the publisher's clock must have jumped.
func (t *Timeline) Jumps(track Track, timestamp uint32) bool {
	c := &t.tracks[track]
	if !t.started {
		return false
	}
	dts := t.unwrap(track, timestamp) + t.offset(track)
	if !c.active {
		return dts > t.end+maxForward || dts < t.end-maxForward
	}
	return dts < c.dts-maxBack || (dts > c.dts+maxForward && dts > t.end+maxForward)
}

// Alone reports whether no other track would confirm a jump of this one.
func (t *Timeline) Alone(track Track) bool {
	o := &t.tracks[track.other()]
	return !o.active || o.dts < t.end-activeSpan
}

// Rebase says that all tracks jump: the earliest of the timestamps that are known
// from after the jump will follow the stream's end without a gap.
func (t *Timeline) Rebase(track Track, timestamps ...uint32) {
	c := &t.tracks[track]
	if len(timestamps) == 0 {
		return
	}
	first := t.unwrap(track, timestamps[0])
	low := first
	for _, ts := range timestamps[1:] {
		if raw := first + int64(int32(ts-timestamps[0])); raw < low {
			low = raw
		}
	}
	c.offset = t.end + t.step(track) - low
	t.jumped = true
}

// Place returns the DTS of a frame and what had to be repaired. A timestamp that
// jumps where no Rebase came first is realigned; the first packet after a Rebase
// is Jumped.
func (t *Timeline) Place(track Track, timestamp uint32) (int64, Repair) {
	c := &t.tracks[track]
	repair := Intact
	jumps := t.Jumps(track, timestamp) // false for a publication's first
	if !t.started {
		t.begin(track, timestamp)
	}
	raw := t.unwrap(track, timestamp)
	if !c.active {
		c.offset, c.active = t.offset(track), true
	}
	switch {
	case t.jumped:
		repair, t.jumped = Jumped, false
	case jumps:
		repair = t.realign(track, raw)
	}
	dts := raw + c.offset
	if c.used && dts <= c.dts {
		dts = c.dts + 1
		if repair == Intact {
			repair = Clamped
		}
	}
	if step := dts - c.dts; c.used && repair == Intact && step > 0 && step <= maxStep {
		c.step = step
	}
	c.raw, c.dts, c.used = raw, dts, true
	t.end = max(t.end, dts)
	return dts, repair
}

// Beside returns where a timestamp lies beside the frames of its track, for what goes
// along with them: a further track has no timestamps of its own to repair. It changes
// nothing. What lies too far off is put at the stream's end.
func (t *Timeline) Beside(track Track, timestamp uint32) int64 {
	if !t.started {
		return t.end
	}
	dts := t.unwrap(track, timestamp) + t.offset(track)
	if dts < t.end-maxForward || dts > t.end+maxForward {
		return t.end
	}
	return dts
}

// begin sets the offset of a publication from its first packet. A stream's first
// publication keeps its encoder's timestamps.
func (t *Timeline) begin(track Track, timestamp uint32) {
	c := &t.tracks[track]
	raw := int64(timestamp)
	switch {
	case t.resumed:
		c.offset = t.end + t.step(track) - raw
	case timestamp >= rebaseAt:
		c.offset = rebaseStart - raw
	default:
		c.offset = 0
	}
	c.raw, c.active = raw, true
	t.started = true
}

// realign puts a track that jumped where it belongs: on the other track's offset
// if that makes sense (the other one jumped before it), else at the stream's end.
func (t *Timeline) realign(track Track, raw int64) Repair {
	c, o := &t.tracks[track], &t.tracks[track.other()]
	if o.active {
		dts := raw + o.offset
		if dts >= c.dts-maxBack && dts <= t.end+maxForward && dts >= t.end-maxForward {
			c.offset = o.offset
			return Intact
		}
	}
	c.offset = max(t.end, c.dts+t.step(track)) - raw
	return Realigned
}

// unwrap returns the timestamp as a 64-bit number near the newest one of its
// track, or of the other one while its own has none.
func (t *Timeline) unwrap(track Track, timestamp uint32) int64 {
	ref := &t.tracks[track]
	if !ref.active {
		ref = &t.tracks[track.other()]
	}
	return ref.raw + int64(int32(timestamp-uint32(ref.raw)))
}

// offset returns the offset of a track, which is the other one's until it has sent
// something.
func (t *Timeline) offset(track Track) int64 {
	if c := &t.tracks[track]; c.active {
		return c.offset
	}
	return t.tracks[track.other()].offset
}

func (t *Timeline) step(track Track) int64 {
	if s := t.tracks[track].step; s > 0 {
		return s
	}
	return defaultStep
}
