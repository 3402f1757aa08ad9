package mpegts

import "slices"

// VideoUnit is one coded access unit.
type VideoUnit struct {
	// DTS and PTS are times on the stream's timeline. A PTS before the DTS is
	// taken as the DTS.
	DTS, PTS int64
	// RandomAccess says that decoding can start here. A unit with an IDR says so by
	// itself.
	RandomAccess bool
	// ParameterSets are SPS and PPS in Annex B, start codes included. They are
	// inserted at a random access point that does not bring its own.
	ParameterSets []byte
	// Data is the access unit in AVCC: NALUs with their length in front.
	Data []byte
	// LengthSize is the number of bytes of a NALU's length: 1, 2 or 4. 0 means 4.
	LengthSize int
}

// delimiter is an access unit delimiter for slices of any type, with its start code
// (ITU-T H.264, 7.3.2.4).
var delimiter = []byte{0, 0, 0, 1, 9, 0xF0}

// startCode begins each NALU: 4 bytes, so that a length of 4 bytes costs nothing.
var startCode = []byte{0, 0, 0, 1}

const (
	naluIDR = 5
	naluSPS = 7
	naluPPS = 8
	naluAUD = 9
)

// VideoSize returns how many bytes AppendVideo would append now.
func (m *Muxer) VideoSize(u VideoUnit) int {
	plan := m.planVideo(&u)
	return (plan.fills + plan.packets) * PacketSize
}

// AppendVideo appends an access unit as one PES packet. The unit begins with exactly
// one access unit delimiter, and with SPS and PPS if it is a random access point.
// Empty NALUs are left out, and so is what is no whole NALU at the end; nothing is
// appended for a unit without a NALU, or if there is no video track.
func (m *Muxer) AppendVideo(dst []byte, u VideoUnit) []byte {
	plan := m.planVideo(&u)
	if plan.packets == 0 {
		return dst
	}
	at := len(dst)
	size := (plan.fills + plan.packets) * PacketSize
	dst = slices.Grow(dst, size)[:at+size]
	buf := m.fillPCRs(dst[at:], plan.fills, u.DTS)

	a := adaptation{flags: m.pcr(u.DTS) | m.video.takeBreak(), pcr: u.DTS}
	if plan.randomAccess {
		a.flags |= flagRandomAccess
	}
	var head [maxPESHeader]byte
	headSize := writePESHeader(&head, streamVideo, u.PTS, u.DTS, plan.payload)
	w := packer{buf: buf, track: &m.video, left: headSize + plan.payload}
	w.open(startBit, a)
	w.put(head[:headSize])
	w.put(delimiter)
	if plan.insert {
		w.put(u.ParameterSets)
	}
	for data := u.Data; ; {
		nalu, rest, ok := cutNALU(data, u.LengthSize)
		if !ok {
			return dst
		}
		if len(nalu) > 0 && nalu[0]&0x1F != naluAUD {
			w.put(startCode)
			w.put(nalu)
		}
		data = rest
	}
}

// videoPlan is what is known of an access unit before it is written.
type videoPlan struct {
	payload      int // bytes of the PES packet after its header
	packets      int
	fills        int // packets with a PCR alone that come before
	randomAccess bool
	insert       bool // the parameter sets must be inserted
}

// planVideo walks over the NALU lengths. It puts defaults in u.
func (m *Muxer) planVideo(u *VideoUnit) videoPlan {
	var p videoPlan
	if m.video.kind == None {
		return p
	}
	if u.LengthSize < 1 || u.LengthSize > 4 {
		u.LengthSize = 4
	}
	u.PTS = max(u.PTS, u.DTS)
	p.randomAccess = u.RandomAccess
	var sliced, sps, pps bool
	for data := u.Data; ; {
		nalu, rest, ok := cutNALU(data, u.LengthSize)
		if !ok {
			break
		}
		data = rest
		if len(nalu) == 0 || nalu[0]&0x1F == naluAUD {
			continue
		}
		p.payload += len(startCode) + len(nalu)
		switch t := nalu[0] & 0x1F; t {
		case naluSPS:
			sps = sps || !sliced
		case naluPPS:
			pps = pps || !sliced
		default:
			sliced = sliced || (t >= 1 && t <= naluIDR)
			p.randomAccess = p.randomAccess || t == naluIDR
		}
	}
	if p.payload == 0 {
		return p
	}
	p.payload += len(delimiter)
	// Its own parameter sets count only in front of the slices that need them.
	if p.randomAccess && (!sps || !pps) {
		p.insert = true
		p.payload += len(u.ParameterSets)
	}
	p.fills = m.missingPCRs(u.DTS, true)
	fields := adaptation{}
	if !m.clocked || u.DTS > m.lastPCR {
		fields.flags |= flagPCR
	}
	if p.randomAccess || m.video.broken {
		fields.flags |= flagRandomAccess
	}
	p.packets = packets(pesHeaderSize(u.PTS, u.DTS)+p.payload, fields.size())
	return p
}

// cutNALU cuts the first NALU from an AVCC access unit; false if there is no whole
// one.
func cutNALU(b []byte, lengthSize int) (nalu, rest []byte, ok bool) {
	var n uint64
	switch {
	case len(b) < lengthSize:
		return nil, nil, false
	case lengthSize == 4:
		n = uint64(b[0])<<24 | uint64(b[1])<<16 | uint64(b[2])<<8 | uint64(b[3])
	default:
		for _, v := range b[:lengthSize] {
			n = n<<8 | uint64(v)
		}
	}
	b = b[lengthSize:]
	if n > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}
