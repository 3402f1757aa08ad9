package hlscheck

// pat takes a packet of PID 0.
func (x *examiner) pat(p packet) {
	if !p.start {
		x.add("pat-malformed", "packet %d: the PAT spans packets", p.index)
		return
	}
	number, pid, err := parsePAT(p.payload)
	if err != nil {
		x.add("pat-malformed", "packet %d: %v", p.index, err)
		return
	}
	if x.s.program.pmtPID != 0 && (pid != x.s.program.pmtPID || number != x.number) {
		x.add("pat-malformed", "packet %d: the PAT changes inside the segment", p.index)
	}
	x.number, x.s.program.pmtPID = number, pid
}

// pmt takes a packet of the PMT's PID.
func (x *examiner) pmt(p packet) {
	if !p.start {
		x.add("pmt-malformed", "packet %d: the PMT spans packets", p.index)
		return
	}
	read, err := parsePMT(p.payload, x.number, p.pid)
	if err != nil {
		x.add("pmt-malformed", "packet %d: %v", p.index, err)
		return
	}
	for _, t := range read.tracks {
		if t.streamType != streamTypeH264 && t.streamType != streamTypeHEVC && t.streamType != streamTypeADTS {
			x.add("stream-type-unknown", "PID %d has stream_type 0x%02x", t.pid, t.streamType)
		}
	}
	if _, ok := read.track(read.pcrPID); !ok {
		x.add("pcr-wrong-pid", "the PMT's PCR_PID %d is none of its streams", read.pcrPID)
	}
	if x.s.program.tracks != nil && !sameTracks(x.s.program, read) {
		x.add("pmt-malformed", "packet %d: the PMT changes inside the segment", p.index)
	}
	x.s.program = read
}

// sameTracks reports whether two programs have the same streams on the same PIDs.
func sameTracks(a, b program) bool {
	if len(a.tracks) != len(b.tracks) || a.pcrPID != b.pcrPID || a.pmtPID != b.pmtPID {
		return false
	}
	for i := range a.tracks {
		if a.tracks[i] != b.tracks[i] {
			return false
		}
	}
	return true
}
