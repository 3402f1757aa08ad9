package hlscheck

// Limits of ISO 13818-1: 2.7.2 asks for a PCR every 100 ms, and 2.4.2.6 lets a
// byte wait one second at most in the decoder's buffers.
const (
	maxPCRGap = pcrHz / 10
	maxDelay  = pcrHz
)

// clockBefore checks a PES packet against the program clock. It must begin to
// arrive before the first decode time, have arrived before the last one (which
// differs when it gathers several audio frames), and not wait too long.
func (x *examiner) clockBefore(p *pes, first, last int64) {
	if p.clockAtStart == noTime {
		return // pcr-missing-at-start says so
	}
	const tick = pcrHz / ptsHz
	early := since(p.clockAtStart, first*tick, pcrWrap)
	if early < 0 {
		x.add("pcr-after-dts", "packet %d, PID %d: the clock is %d when the access unit with DTS %d begins, %.1f ms too late",
			p.first, p.pid, p.clockAtStart/tick, first, float64(-early)/(pcrHz/1000))
	} else if since(p.clockAtEnd, last*tick, pcrWrap) < 0 {
		x.add("pcr-after-dts", "packet %d, PID %d: the clock is %d when the access unit with DTS %d ends",
			p.first, p.pid, p.clockAtEnd/tick, last)
	}
	if early > maxDelay {
		x.add("pcr-too-early", "packet %d, PID %d: DTS %d is %.0f ms after the clock, more than the second a decoder buffers",
			p.first, p.pid, first, float64(early)/(pcrHz/1000))
	}
}
