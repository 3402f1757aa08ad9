package mpegts

import "encoding/binary"

// pcr returns the flag for a packet of the clock's track at a time, and takes note
// of it: none if the PCR would not advance.
func (m *Muxer) pcr(at int64) byte {
	if m.clocked && at <= m.lastPCR {
		return 0
	}
	m.lastPCR, m.clocked = at, true
	return flagPCR
}

// missingPCRs returns how many packets with nothing but a PCR must come before a
// unit at a time. carries tells whether the unit has a PCR of its own.
func (m *Muxer) missingPCRs(at int64, carries bool) int {
	gap := at - m.lastPCR
	if !m.clocked || gap > maxPCRFill {
		if carries {
			return 0
		}
		return 1
	}
	if gap <= maxPCRInterval {
		return 0
	}
	return int((gap - 1) / maxPCRInterval)
}

// fillPCRs writes n such packets to buf, spaced evenly up to the time, and returns
// the rest of buf.
func (m *Muxer) fillPCRs(buf []byte, n int, at int64) []byte {
	last, gap := m.lastPCR, at-m.lastPCR
	if !m.clocked || gap > maxPCRFill {
		last, gap = at, 0
	}
	t := m.clock()
	for i := range n {
		p := (*[PacketSize]byte)(buf)
		// The counter stands still in a packet without payload (2.4.3.3).
		binary.LittleEndian.PutUint32(p[:], header(t.pid, controlField|(t.counter-1)&0xF))
		a := adaptation{flags: flagPCR | t.takeBreak(), pcr: last + gap*int64(i+1)/int64(n+1)}
		a.write(p[4:])
		m.lastPCR, m.clocked = a.pcr, true
		buf = buf[PacketSize:]
	}
	return buf
}

// takeBreak returns the discontinuity flag if it is due.
func (t *track) takeBreak() byte {
	if !t.broken {
		return 0
	}
	t.broken = false
	return flagDiscontinuity
}
