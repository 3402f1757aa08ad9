package mpegts

import "slices"

// VideoUnit is one coded access unit.
type VideoUnit struct {
	// DTS and PTS are times on the stream's timeline. A PTS before the DTS is
	// taken as the DTS.
	DTS, PTS int64
	// RandomAccess says that decoding can start here. A unit with an IDR, or an IRAP
	// picture of HEVC, says so by itself.
	RandomAccess bool
	// ParameterSets are SPS and PPS, of HEVC also VPS before them, in Annex B, start
	// codes included. They are inserted at a random access point that does not bring
	// its own.
	ParameterSets []byte
	// Data is the access unit: NALUs with their length in front.
	Data []byte
	// LengthSize is the number of bytes of a NALU's length: 1, 2 or 4. 0 means 4.
	LengthSize int
}

// startCode begins each NALU: 4 bytes, so that a length of 4 bytes costs nothing.
var startCode = []byte{0, 0, 0, 1}

// VideoSize returns how many bytes AppendVideo would append now.
func (m *Muxer) VideoSize(u VideoUnit) int {
	plan := m.planVideo(&u)
	return (plan.fills + plan.packets) * PacketSize
}

// AppendVideo appends an access unit as one PES packet. The unit begins with exactly
// one access unit delimiter, and with parameter sets if it is a random access point.
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
	codec := m.syntax()
	w.put(codec.delimiter)
	if plan.insert {
		w.put(u.ParameterSets)
	}
	for data := u.Data; ; {
		nalu, rest, ok := cutNALU(data, u.LengthSize)
		if !ok {
			return dst
		}
		if len(nalu) > 0 && codec.roles[nalu[0]] != delimits {
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
	codec := m.syntax()
	var sliced bool
	var own role // the parameter sets that the unit brings in front of its slices
	for data := u.Data; ; {
		nalu, rest, ok := cutNALU(data, u.LengthSize)
		if !ok {
			break
		}
		data = rest
		if len(nalu) == 0 {
			continue
		}
		r := codec.roles[nalu[0]]
		if r == delimits {
			continue
		}
		p.payload += len(startCode) + len(nalu)
		p.randomAccess = p.randomAccess || r&starts != 0
		sliced = sliced || r&isSlice != 0
		if !sliced {
			own |= r
		}
	}
	if p.payload == 0 {
		return p
	}
	p.payload += len(codec.delimiter)
	// Its own parameter sets count only in front of the slices that need them.
	if p.randomAccess && own&codec.needs != codec.needs {
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
