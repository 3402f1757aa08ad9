package hlscheck

import "fmt"

// Stream types of ISO 13818-1 table 2-34 that an HLS origin sends here.
const (
	streamTypeADTS = 0x0f
	streamTypeH264 = 0x1b
	streamTypeHEVC = 0x24
)

// program is what PAT and PMT say.
type program struct {
	pmtPID uint16
	pcrPID uint16
	tracks []track
}

// track is an elementary stream of the PMT.
type track struct {
	pid        uint16
	streamType uint8
}

// video returns the PID of the H.264 or H.265 track.
func (p program) video() (uint16, bool) {
	if pid, ok := p.find(streamTypeH264); ok {
		return pid, true
	}
	return p.find(streamTypeHEVC)
}

// audio returns the PID of the ADTS track.
func (p program) audio() (uint16, bool) { return p.find(streamTypeADTS) }

func (p program) find(streamType uint8) (uint16, bool) {
	for _, t := range p.tracks {
		if t.streamType == streamType {
			return t.pid, true
		}
	}
	return 0, false
}

// track returns the track of a PID.
func (p program) track(pid uint16) (track, bool) {
	for _, t := range p.tracks {
		if t.pid == pid {
			return t, true
		}
	}
	return track{}, false
}

// section returns the body of the one section in the payload of a packet, between
// its eight-byte header and its CRC. A PAT or PMT of one program fits a packet.
//
//	ISO 13818-1 2.4.4: pointer_field, then
//	 0        1                 3                 5        6        7        8
//	+--------+-----------------+-----------------+--------+--------+--------+----
//	|table_id|1011 length (12) |program or TS id |11 v  c |section | last   | ...
//	+--------+-----------------+-----------------+--------+--------+--------+----
func section(payload []byte, tableID uint8) (id uint16, body []byte, err error) {
	if len(payload) == 0 || 1+int(payload[0])+12 > len(payload) {
		return 0, nil, fmt.Errorf("pointer_field runs over the packet")
	}
	b := payload[1+int(payload[0]):]
	if b[0] != tableID {
		return 0, nil, fmt.Errorf("table_id is %d, not %d", b[0], tableID)
	}
	if b[1]&0xf0 != 0xb0 {
		return 0, nil, fmt.Errorf("section_syntax_indicator or reserved bits are 0x%x, not 0xb", b[1]>>4)
	}
	length := int(b[1]&0x0f)<<8 | int(b[2])
	if length < 9 || 3+length > len(b) {
		return 0, nil, fmt.Errorf("section_length %d does not fit the packet", length)
	}
	whole, stuffing := b[:3+length], b[3+length:]
	if crc := crc32MPEG(whole); crc != 0 {
		return 0, nil, fmt.Errorf("CRC_32 is wrong")
	}
	if b[5]&0xc1 != 0xc1 {
		return 0, nil, fmt.Errorf("reserved bits are not ones, or current_next_indicator is 0")
	}
	if b[6] != 0 || b[7] != 0 {
		return 0, nil, fmt.Errorf("section %d of %d, where one is enough", b[6], b[7])
	}
	if !stuffed(stuffing) {
		return 0, nil, fmt.Errorf("bytes other than 0xff after the section")
	}
	return uint16(b[3])<<8 | uint16(b[4]), whole[8 : len(whole)-4], nil
}

// parsePAT returns the PMT's PID and the number of the only program.
func parsePAT(payload []byte) (number, pmtPID uint16, err error) {
	_, body, err := section(payload, 0)
	if err != nil {
		return 0, 0, err
	}
	if len(body) != 4 {
		return 0, 0, fmt.Errorf("%d bytes of programs, where an HLS segment holds exactly one", len(body))
	}
	number = uint16(body[0])<<8 | uint16(body[1])
	if number == 0 {
		return 0, 0, fmt.Errorf("the only program is the network PID")
	}
	return number, uint16(body[2]&0x1f)<<8 | uint16(body[3]), nil
}

// parsePMT returns the tracks of the program.
func parsePMT(payload []byte, number, pmtPID uint16) (program, error) {
	p := program{pmtPID: pmtPID}
	id, body, err := section(payload, 2)
	if err != nil {
		return p, err
	}
	if id != number {
		return p, fmt.Errorf("program_number is %d, the PAT says %d", id, number)
	}
	if len(body) < 4 {
		return p, fmt.Errorf("too short")
	}
	p.pcrPID = uint16(body[0]&0x1f)<<8 | uint16(body[1])
	info := int(body[2]&0x0f)<<8 | int(body[3])
	if 4+info > len(body) {
		return p, fmt.Errorf("program_info_length %d runs over the section", info)
	}
	for rest := body[4+info:]; len(rest) > 0; {
		if len(rest) < 5 || 5+(int(rest[3]&0x0f)<<8|int(rest[4])) > len(rest) {
			return p, fmt.Errorf("the list of streams does not fill the section exactly")
		}
		p.tracks = append(p.tracks, track{pid: uint16(rest[1]&0x1f)<<8 | uint16(rest[2]), streamType: rest[0]})
		rest = rest[5+(int(rest[3]&0x0f)<<8|int(rest[4])):]
	}
	if len(p.tracks) == 0 {
		return p, fmt.Errorf("no stream")
	}
	return p, nil
}

// crc32MPEG is the CRC of ISO 13818-1 annex A; over a section and its CRC it is 0.
func crc32MPEG(b []byte) uint32 {
	crc := uint32(0xffffffff)
	for _, c := range b {
		crc ^= uint32(c) << 24
		for range 8 {
			if crc&0x80000000 != 0 {
				crc = crc<<1 ^ 0x04c11db7
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}
