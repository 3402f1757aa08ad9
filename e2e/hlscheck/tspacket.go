package hlscheck

import "fmt"

const (
	packetSize = 188
	pcrHz      = 27_000_000
	ptsHz      = 90_000
	ptsWrap    = 1 << 33       // PTS and DTS are 33 bits wide
	pcrWrap    = ptsWrap * 300 // and so is the PCR base
	nullPID    = 0x1fff        // ISO 13818-1 table 2-3
	noTime     = int64(-1)     // a PTS, DTS or PCR that is absent
	tick       = pcrHz / ptsHz // PCR ticks in one of 90 kHz
	millis     = int64(ptsHz) / 1000
)

// packet is one transport packet.
//
//	ISO 13818-1 2.4.3.2
//	 0        1        2        3        4
//	+--------+--------+--------+--------+----------------+---------+
//	| 0x47   |EPT  PID (13)    |SC AF CC| adaptation     | payload |
//	+--------+--------+--------+--------+----------------+---------+
//	E transport_error, P payload_unit_start, T priority, SC scrambling,
//	AF adaptation_field_control, CC continuity_counter
type packet struct {
	index         int
	pid           uint16
	start         bool // payload_unit_start_indicator
	counter       uint8
	discontinuity bool // discontinuity_indicator
	randomAccess  bool // random_access_indicator
	pcr           int64
	payload       []byte // nil if there is none
}

// parsePacket reads 188 bytes. Problems are what is illegal yet does not keep the
// packet from being read.
func parsePacket(index int, b []byte) (p packet, problems []string) {
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	p = packet{index: index, pcr: noTime}
	if b[0] != 0x47 {
		problem("sync byte 0x%02x", b[0])
	}
	if b[1]&0x80 != 0 {
		problem("transport_error_indicator is set")
	}
	p.start = b[1]&0x40 != 0
	p.pid = uint16(b[1]&0x1f)<<8 | uint16(b[2])
	if b[3]&0xc0 != 0 {
		problem("transport_scrambling_control is %d", b[3]>>6)
	}
	p.counter = b[3] & 0x0f
	control := b[3] >> 4 & 3
	rest := b[4:]
	if control == 0 {
		problem("adaptation_field_control 0 is reserved")
		return p, problems
	}
	if control&2 != 0 {
		length := int(rest[0])
		if control == 2 && length != 183 || control == 3 && length > 182 {
			problem("adaptation_field_length %d with adaptation_field_control %d", length, control)
			return p, problems
		}
		problems = append(problems, p.adaptation(rest[1:1+length])...)
		rest = rest[1+length:]
	}
	if control&1 != 0 {
		p.payload = rest
	}
	return p, problems
}

// adaptation reads an adaptation field after its length, ISO 13818-1 2.4.3.4.
func (p *packet) adaptation(b []byte) (problems []string) {
	if len(b) == 0 {
		return nil // one byte of stuffing
	}
	flags := b[0]
	p.discontinuity = flags&0x80 != 0
	p.randomAccess = flags&0x40 != 0
	b = b[1:]
	if flags&0x10 != 0 {
		if len(b) < 6 {
			return []string{"an adaptation field too short for its PCR"}
		}
		base := int64(b[0])<<25 | int64(b[1])<<17 | int64(b[2])<<9 | int64(b[3])<<1 | int64(b[4])>>7
		extension := int64(b[4]&1)<<8 | int64(b[5])
		p.pcr = base*300 + extension
		if extension >= 300 {
			problems = append(problems, fmt.Sprintf("PCR extension %d is not below 300", extension))
		}
		if b[4]&0x7e != 0x7e {
			problems = append(problems, "reserved bits of the PCR are not ones")
		}
		b = b[6:]
	}
	if flags&0x0f != 0 {
		return problems // OPCR, splicing, private data: legal, and nothing here depends on it
	}
	if !stuffed(b) {
		problems = append(problems, "stuffing bytes other than 0xff")
	}
	return problems
}

// stuffed reports whether all bytes are stuffing.
func stuffed(b []byte) bool {
	for _, c := range b {
		if c != 0xff {
			return false
		}
	}
	return true
}

// since returns b-a on a clock that wraps, between -wrap/2 and wrap/2.
func since(a, b, wrap int64) int64 {
	d := (b - a) % wrap
	switch {
	case d >= wrap/2:
		return d - wrap
	case d < -wrap/2:
		return d + wrap
	}
	return d
}
