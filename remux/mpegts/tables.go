package mpegts

import "encoding/binary"

// programNumber and streamID name the one program of the one transport stream.
const (
	programNumber = 1
	streamID      = 1
)

// AppendTables appends PAT and PMT, which begin each segment: two packets.
func (m *Muxer) AppendTables(dst []byte) []byte {
	m.tables[3] = 0x10 | m.tableCounter
	m.tables[PacketSize+3] = 0x10 | m.tableCounter
	m.tableCounter = (m.tableCounter + 1) & 0xF
	return append(dst, m.tables[:]...)
}

// writeTables makes the packets of the tables for AppendTables.
//
//	PAT (2.4.4.3):  | program number 16 | 111 | PID of the PMT 13 |
//	PMT (2.4.4.8):  | 111 | PCR PID 13 | 1111 | descriptors length 12 = 0 |
//	                { | stream type 8 | 111 | PID 13 | 1111 | descriptors length 12 = 0 | } ...
func (m *Muxer) writeTables() {
	var pat, pmt [16]byte
	binary.BigEndian.PutUint16(pat[0:], programNumber)
	binary.BigEndian.PutUint16(pat[2:], 0xE000|pidPMT)
	writeSection((*[PacketSize]byte)(m.tables[:]), pidPAT, 0x00, streamID, 0, pat[:4])

	pcrPID := uint16(pidNone)
	if c := m.clock(); c.kind != None {
		pcrPID = c.pid
	}
	binary.BigEndian.PutUint16(pmt[0:], 0xE000|pcrPID)
	binary.BigEndian.PutUint16(pmt[2:], 0xF000)
	size := 4
	for _, t := range []*track{&m.video, &m.audio} {
		if t.kind != None {
			pmt[size] = byte(t.kind)
			binary.BigEndian.PutUint16(pmt[size+1:], 0xE000|t.pid)
			binary.BigEndian.PutUint16(pmt[size+3:], 0xF000)
			size += 5
		}
	}
	writeSection((*[PacketSize]byte)(m.tables[PacketSize:]), pidPMT, 0x02, programNumber, m.version, pmt[:size])
}

// writeSection writes a packet with one section (2.4.4.1) and stuffing behind it.
//
//	| header 32 | pointer 8 = 0 | table id 8 | 1011 | section length 12 |
//	| id 16 | 11 | version 5 | current 1 | section 8 = 0 | last section 8 = 0 | body | CRC 32 |
func writeSection(p *[PacketSize]byte, pid uint16, table byte, id uint16, version uint8, body []byte) {
	p[0], p[1], p[2], p[3] = 0x47, 0x40|byte(pid>>8), byte(pid), 0x10
	p[4] = 0
	s := p[5:]
	s[0] = table
	binary.BigEndian.PutUint16(s[1:], 0xB000|uint16(5+len(body)+4))
	binary.BigEndian.PutUint16(s[3:], id)
	s[5] = 0xC0 | version<<1 | 1
	s[6], s[7] = 0, 0
	end := 8 + copy(s[8:], body)
	binary.BigEndian.PutUint32(s[end:], crc(s[:end]))
	for i := end + 4; i < len(s); i++ {
		s[i] = 0xFF
	}
}

// crc is the CRC_32 of annex A: most significant bit first, no final inversion, which
// hash/crc32 does not have.
func crc(b []byte) uint32 {
	sum := ^uint32(0)
	for _, v := range b {
		sum ^= uint32(v) << 24
		for range 8 {
			carry := sum >> 31
			sum = sum<<1 ^ 0x04C11DB7*carry
		}
	}
	return sum
}
