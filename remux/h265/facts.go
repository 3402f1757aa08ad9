package h265

import (
	"github.com/headwater-live/headwater/remux/h264"
)

// Facts is what an access unit contains.
type Facts struct {
	NALUs         int  // whole NALUs that are not empty
	Slices        int  // those of them that belong to the coded picture
	IRAP          bool // a slice of an IDR, CRA or BLA picture: decoding can start here
	VPS, SPS, PPS bool
	// Truncated: the access unit ends within a NALU, which was not counted.
	Truncated bool
}

// Inspect returns the facts of an access unit with lengths of lengthSize bytes. It
// reads the NALU headers only.
func Inspect(au []byte, lengthSize int) Facts {
	var f Facts
	c := h264.NALUs(au, lengthSize)
	for c.Next() {
		f.NALUs++
		switch t := TypeOf(c.NALU()); {
		case t.IsSlice():
			f.Slices++
			f.IRAP = f.IRAP || t.IsIRAP()
		case t == TypeVPS:
			f.VPS = true
		case t == TypeSPS:
			f.SPS = true
		case t == TypePPS:
			f.PPS = true
		}
	}
	f.Truncated = c.Truncated()
	return f
}

// ParameterSets returns the VPS, SPS and PPS NALUs in an access unit. They alias it. At
// most one more of each kind is returned than a Config may hold.
func ParameterSets(au []byte, lengthSize int) (vps, sps, pps [][]byte) {
	for c := h264.NALUs(au, lengthSize); c.Next(); {
		switch t := TypeOf(c.NALU()); {
		case t == TypeVPS && len(vps) <= maxVPS:
			vps = append(vps, c.NALU())
		case t == TypeSPS && len(sps) <= maxSPS:
			sps = append(sps, c.NALU())
		case t == TypePPS && len(pps) <= maxPPS:
			pps = append(pps, c.NALU())
		}
	}
	return vps, sps, pps
}

// IsAnnexB reports whether an access unit is in Annex B where lengths belong. See
// h264.IsAnnexB for how the two are told apart.
func IsAnnexB(au []byte) bool { return h264.HasStartCodes(au, beginsUnit) }

// beginsUnit reports whether an access unit can begin with a NALU (7.4.2.4.4): of the
// base layer, with a temporal id, of a type that is defined for that place.
func beginsUnit(nalu []byte) bool {
	if len(nalu) < 2 || nalu[0]&0x81 != 0 || nalu[1]>>3 != 0 || nalu[1]&7 == 0 {
		return false
	}
	t := TypeOf(nalu)
	return t <= 9 || t.IsIRAP() || (t >= TypeVPS && t <= TypeAUD) || t == TypeSEI
}
