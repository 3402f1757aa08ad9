package hlscheck

import "fmt"

// pes is one PES packet, put together from its transport packets.
type pes struct {
	pid          uint16
	first        int   // index of its first transport packet
	randomAccess bool  // of that packet
	pcr          int64 // of that packet, or noTime
	clockAtStart int64 // the last PCR up to its first packet, or noTime
	clockAtEnd   int64 // the last PCR up to its last packet, or noTime
	data         []byte

	aligned  bool
	pts, dts int64
	payload  []byte // of the elementary stream
}

// timed reports whether the header gave a PTS. Without one nothing can be checked.
func (p *pes) timed() bool { return p.pts != noTime }

// parse reads the header. It returns what is illegal in it, and whether the
// payload could be found.
//
//	ISO 13818-1 2.4.3.6
//	 0                          3        4                 6          8        9
//	+--------------------------+--------+-----------------+----------+--------+----
//	| 00 00 01                 |strm_id |PES_packet_length|10.. flags|hdr len | PTS, DTS, stuffing, payload
//	+--------------------------+--------+-----------------+----------+--------+----
func (p *pes) parse(video bool) (problems []string, ok bool) {
	p.pts, p.dts = noTime, noTime
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	b := p.data
	if len(b) < 9 || b[0] != 0 || b[1] != 0 || b[2] != 1 {
		problem("no packet_start_code_prefix")
		return problems, false
	}
	if video && b[3]&0xf0 != 0xe0 || !video && b[3]&0xe0 != 0xc0 {
		problem("stream_id 0x%02x does not fit the stream type", b[3])
	}
	switch length := int(b[4])<<8 | int(b[5]); {
	case length == 0 && !video:
		problem("PES_packet_length 0, which only video may have")
	case length != 0 && length != len(b)-6:
		problem("PES_packet_length is %d, the packet has %d bytes", length, len(b)-6)
	}
	if b[6]&0xc0 != 0x80 || b[6]&0x30 != 0 {
		problem("marker bits or scrambling control are wrong: 0x%02x", b[6])
	}
	p.aligned = b[6]&0x04 != 0
	if end := 9 + int(b[8]); end > len(b) {
		problem("PES_header_data_length %d runs over the packet", b[8])
		return problems, false
	}
	header := b[9 : 9+int(b[8])]
	p.payload = b[9+int(b[8]):]
	more, header := p.times(b[7]>>6, header)
	problems = append(problems, more...)
	if b[7]&0x3f == 0 && !stuffed(header) {
		problem("header stuffing other than 0xff")
	}
	if len(p.payload) == 0 {
		problem("no payload")
	}
	return problems, true
}

// times reads PTS and DTS and returns the rest of the header.
func (p *pes) times(flags byte, header []byte) (problems []string, rest []byte) {
	need := map[byte]int{2: 5, 3: 10}[flags]
	if flags == 1 {
		return []string{"PTS_DTS_flags 01 is forbidden"}, nil
	}
	if len(header) < need {
		return []string{"the header is too short for its PTS and DTS"}, nil
	}
	stamp := func(b []byte, prefix byte) int64 {
		if b[0]>>4 != prefix || b[0]&b[2]&b[4]&1 == 0 {
			problems = append(problems, fmt.Sprintf("prefix or marker bits of a time stamp are wrong: %x", b[:5]))
		}
		return int64(b[0]>>1&7)<<30 | int64(b[1])<<22 | int64(b[2]>>1)<<15 | int64(b[3])<<7 | int64(b[4]>>1)
	}
	switch flags {
	case 2:
		p.pts = stamp(header, 2)
		p.dts = p.pts
	case 3:
		p.pts = stamp(header, 3)
		p.dts = stamp(header[5:], 1)
		if p.pts == p.dts {
			problems = append(problems, "a DTS that equals the PTS shall not be sent (ISO 13818-1 2.7.5)")
		}
	}
	return problems, header[need:]
}
