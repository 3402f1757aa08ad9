package h264

// Facts is what an access unit contains.
type Facts struct {
	NALUs         int  // whole NALUs that are not empty
	Slices        int  // those of them that belong to the coded picture
	IDR           bool // a slice of an IDR picture
	RecoveryPoint bool // an SEI recovery point: decoding can start here (7.4.1.2.1)
	AUD           bool
	SPS           bool
	PPS           bool
	// Truncated: the access unit ends within a NALU, which was not counted.
	Truncated bool
}

// Inspect returns the facts of an AVCC access unit. It reads the NALU headers and the
// SEI messages only.
func Inspect(au []byte, lengthSize int) Facts {
	var f Facts
	c := NALUs(au, lengthSize)
	for c.Next() {
		f.NALUs++
		switch t := TypeOf(c.NALU()); t {
		case TypeIDR:
			f.IDR = true
			f.Slices++
		case TypeSEI:
			f.RecoveryPoint = f.RecoveryPoint || hasRecoveryPoint(c.NALU())
		case TypeSPS:
			f.SPS = true
		case TypePPS:
			f.PPS = true
		case TypeAUD:
			f.AUD = true
		default:
			if t >= TypeSlice && t <= TypePartitionC {
				f.Slices++
			}
		}
	}
	f.Truncated = c.Truncated()
	return f
}

// ParameterSets returns the SPS and PPS NALUs in an AVCC access unit. They alias it.
// At most one more of each kind is returned than a Config may hold.
func ParameterSets(au []byte, lengthSize int) (sps, pps [][]byte) {
	for c := NALUs(au, lengthSize); c.Next(); {
		switch t := TypeOf(c.NALU()); {
		case t == TypeSPS && len(sps) <= maxSPS:
			sps = append(sps, c.NALU())
		case t == TypePPS && len(pps) <= maxPPS:
			pps = append(pps, c.NALU())
		}
	}
	return sps, pps
}

// seiRecoveryPoint is the payloadType of a recovery point (annex D.1).
const seiRecoveryPoint = 6

// hasRecoveryPoint reports whether an SEI NALU has a recovery point message.
//
//	| header 8 | { type: FF... xx | size: FF... xx | payload } ... | stop bit |   (7.3.2.3)
func hasRecoveryPoint(nalu []byte) bool {
	r := rbsp{rest: nalu[1:]}
	// What is shorter than a type, a size and a byte of payload is the stop bit.
	for len(r.rest) > 2 {
		payloadType := r.number()
		size := r.number()
		if payloadType == seiRecoveryPoint {
			return size > 0 && len(r.rest) > 0
		}
		for ; size > 0 && len(r.rest) > 0; size-- {
			r.next()
		}
	}
	return false
}

// rbsp reads the bytes of a NALU, leaving out emulation prevention (7.4.1).
type rbsp struct {
	rest  []byte
	zeros int
}

// next returns the next byte, or 0 at the end.
func (r *rbsp) next() byte {
	if r.zeros >= 2 && len(r.rest) > 0 && r.rest[0] == 3 {
		r.rest, r.zeros = r.rest[1:], 0
	}
	if len(r.rest) == 0 {
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	if b == 0 {
		r.zeros++
	} else {
		r.zeros = 0
	}
	return b
}

// number reads a number that is coded as a run of FF and a last byte. It cannot
// overflow: each FF takes a byte of a NALU.
func (r *rbsp) number() int {
	n := 0
	for {
		b := r.next()
		n += int(b)
		if b != 0xFF {
			return n
		}
	}
}
