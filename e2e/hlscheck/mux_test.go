package hlscheck

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// The tests' own transport stream writer. It is plain rather than fast, and every
// field that a test wants to spoil is in reach.

const (
	testPMT   = 0x1000
	testVideo = 0x100
	testAudio = 0x101
)

// testPES is one PES packet to write.
type testPES struct {
	pid        uint16
	pts, dts   int64
	pcr        int64 // noTime for none
	random     bool
	unaligned  bool
	noPTS      bool
	zeroLength bool
	payload    []byte
	order      int64 // decode time by which the packet is placed
}

// testSegment is one segment to write.
type testSegment struct {
	tracks   []track
	pcrPID   uint16
	pes      []testPES
	restart  bool // continuity counters begin anew
	sdtFirst bool
}

// testMux writes segments; its counters run on.
type testMux struct {
	counters map[uint16]byte
	out      []byte
}

func (m *testMux) segment(s testSegment) []byte {
	if m.counters == nil || s.restart {
		m.counters = map[uint16]byte{}
	}
	m.out = nil
	if s.sdtFirst {
		m.table(0x11, 0x42, []byte{0, 1, 0xff, 0, 1, 0xfc, 0x80, 0})
	}
	m.table(0, 0, []byte{0, 1, 0xe0 | testPMT>>8, testPMT & 0xff})
	body := []byte{0xe0 | byte(s.pcrPID>>8), byte(s.pcrPID), 0xf0, 0}
	for _, t := range s.tracks {
		body = append(body, t.streamType, 0xe0|byte(t.pid>>8), byte(t.pid), 0xf0, 0)
	}
	m.table(testPMT, 2, body)
	slices.SortStableFunc(s.pes, func(a, b testPES) int { return int(since(b.order, a.order, ptsWrap)) })
	for _, p := range s.pes {
		m.pes(p)
	}
	return m.out
}

func (m *testMux) table(pid uint16, id byte, body []byte) {
	s := []byte{0, id, 0xb0, byte(len(body) + 9), 0, 1, 0xc1, 0, 0}
	s = append(s, body...)
	s = binary.BigEndian.AppendUint32(s, crc32MPEG(s[1:]))
	m.packet(pid, true, nil, append(s, bytes.Repeat([]byte{0xff}, 184-len(s))...))
}

// packet writes one packet; adaptation is what follows adaptation_field_length.
func (m *testMux) packet(pid uint16, start bool, adaptation, payload []byte) {
	b := []byte{0x47, byte(pid >> 8), byte(pid), 0x10 | m.counters[pid]}
	m.counters[pid] = (m.counters[pid] + 1) & 15
	if start {
		b[1] |= 0x40
	}
	if room := 184 - len(payload); room > 0 {
		b[3] |= 0x20
		b = append(b, byte(room-1))
		if room > 1 {
			if len(adaptation) == 0 {
				adaptation = []byte{0}
			}
			b = append(b, adaptation...)
			b = append(b, bytes.Repeat([]byte{0xff}, room-1-len(adaptation))...)
		}
	}
	m.out = append(m.out, append(b, payload...)...)
}

func (m *testMux) pes(p testPES) {
	flags, stamps := byte(0x80), testStamp(2, p.pts)
	switch {
	case p.noPTS:
		flags, stamps = 0, nil
	case p.pts != p.dts:
		flags, stamps = 0xc0, append(testStamp(3, p.pts), testStamp(1, p.dts)...)
	}
	id, aligned := byte(0xc0), byte(0x84)
	if p.pid == testVideo {
		id = 0xe0
	}
	if p.unaligned {
		aligned = 0x80
	}
	b := append([]byte{0, 0, 1, id, 0, 0, aligned, flags, byte(len(stamps))}, stamps...)
	b = append(b, p.payload...)
	if p.pid != testVideo && !p.zeroLength {
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-6))
	}
	var adaptation []byte
	if p.random || p.pcr != noTime {
		adaptation = testAdaptation(p.random, p.pcr)
	}
	for first := true; len(b) > 0; first = false {
		room := 184
		if first && adaptation != nil {
			room -= 1 + len(adaptation)
		}
		n := min(room, len(b))
		m.packet(p.pid, first, adaptation, b[:n])
		b, adaptation = b[n:], nil
	}
}

func testAdaptation(random bool, pcr int64) []byte {
	a := []byte{0}
	if random {
		a[0] |= 0x40
	}
	if pcr == noTime {
		return a
	}
	a[0] |= 0x10
	base, extension := pcr/300, pcr%300
	return append(a, byte(base>>25), byte(base>>17), byte(base>>9), byte(base>>1),
		byte(base<<7)|0x7e|byte(extension>>8), byte(extension))
}

func testStamp(prefix byte, t int64) []byte {
	return []byte{prefix<<4 | byte(t>>29)&0x0e | 1, byte(t >> 22), byte(t>>14) | 1, byte(t >> 7), byte(t<<1) | 1}
}

// testAnnexB joins NALUs with start codes of four bytes.
func testAnnexB(nalus ...[]byte) []byte {
	var b []byte
	for _, n := range nalus {
		b = append(append(b, 0, 0, 0, 1), n...)
	}
	return b
}

// testADTS puts an ADTS header before a frame of 48 kHz stereo AAC-LC.
func testADTS(frame []byte) []byte {
	n := len(frame) + 7
	return append([]byte{0xff, 0xf1, 0x4c, 0x80 | byte(n>>11), byte(n >> 3), byte(n<<5) | 0x1f, 0xfc}, frame...)
}
