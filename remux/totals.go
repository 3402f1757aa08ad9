package remux

// Totals are the sums over all publications of a hub since it was made, and over those that
// are in progress. Sums never go back.
type Totals struct {
	// Streams are those that exist, Live those of them that are being published.
	Streams, Live int
	Begun         uint64
	// Bitrate is of all publications in progress, in bits per second; Gaps counts silences of
	// publishers that viewers may have noticed.
	Bitrate, Gaps uint64
	// Ended has all reasons.
	Ended    map[EndReason]uint64
	Counters Counters
	// Raised counts findings by code, Active those of publications in progress. Both have
	// all codes.
	Raised map[FindingCode]uint64
	Active map[FindingCode]int
}

// tally is what the ended publications of a stream add up to.
type tally struct {
	begun    uint64
	ended    map[EndReason]uint64
	counters Counters
	gaps     uint64
	raised   [numFindings]uint64
}

// end adds a publication that has ended.
func (t *tally) end(p *Publication) {
	if t.ended == nil {
		t.ended = make(map[EndReason]uint64)
	}
	t.ended[p.reason]++
	t.counters.add(&p.counters)
	t.gaps += uint64(p.diagnosis.arrival.gaps)
}

// merge adds the tally of a stream that has ended.
func (t *tally) merge(o *tally) {
	t.begun += o.begun
	if t.ended == nil {
		t.ended = make(map[EndReason]uint64)
	}
	for reason, n := range o.ended {
		t.ended[reason] += n
	}
	t.counters.add(&o.counters)
	t.gaps += o.gaps
	for f, n := range o.raised {
		t.raised[f] += n
	}
}

func (c *Counters) add(o *Counters) {
	c.Messages += o.Messages
	c.Bytes += o.Bytes
	c.VideoFrames += o.VideoFrames
	c.AudioFrames += o.AudioFrames
	c.Keyframes += o.Keyframes
	c.Clamped += o.Clamped
	c.Realigned += o.Realigned
	c.Jumped += o.Jumped
	c.Malformed += o.Malformed
	c.Unconfigured += o.Unconfigured
	c.Undecodable += o.Undecodable
	c.Ignored += o.Ignored
}

// Totals adds everything up. It takes each stream's lock for a moment.
func (h *Hub) Totals() Totals {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	var sum tally
	sum.merge(&h.gone)
	t := Totals{Streams: len(h.streams), Raised: make(map[FindingCode]uint64), Active: make(map[FindingCode]int)}
	for _, s := range h.streams {
		s.mu.Lock()
		sum.merge(&s.tally)
		if p := s.publication; p != nil {
			t.Live++
			sum.counters.add(&p.counters)
			sum.gaps += uint64(p.diagnosis.arrival.gaps)
			t.Bitrate += p.rate.bitsPerSecond(now)
			for f := range p.diagnosis.states {
				if p.diagnosis.states[f].active {
					t.Active[kinds[f].code]++
				}
			}
		}
		s.mu.Unlock()
	}
	for f, kind := range kinds {
		t.Raised[kind.code] = sum.raised[f]
		t.Active[kind.code] += 0
	}
	for _, reason := range endReasons {
		sum.ended[reason] += 0
	}
	t.Gaps = sum.gaps
	t.Begun, t.Ended, t.Counters = sum.begun, sum.ended, sum.counters
	return t
}
