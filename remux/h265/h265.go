// Package h265 reads what an encoder says about its H.265 (HEVC) video and takes its
// access units apart, without decoding a picture and without copying one.
//
// It is to H.265 what package h264 is to H.264, and the byte formats are the same:
// access units come with a length in front of each NALU (ISO/IEC 14496-15) and leave
// for MPEG-TS with start codes (ITU-T H.265, annex B). So the cursor over NALUs and
// the conversion from Annex B are those of package h264.
//
// # What is different
//
// A NALU header has two bytes, and a configuration has a third kind of parameter set:
//
//	| forbidden 1 | type 6 | layer id 6 | temporal id + 1  3 |   (7.3.1.2)
//
// Decoding can start at several kinds of pictures, together called IRAP: IDR, which
// nothing before matters to; CRA, whose leading pictures may refer to what was before
// it; and BLA, a CRA whose past was cut off.
//
// Encoders lie. Nothing here panics, and nothing takes more memory than it was given:
// parameter sets are bounded, and facts that cannot be believed are 0.
package h265

// Type is a nal_unit_type (ITU-T H.265, table 7-1).
type Type uint8

// The types that matter to a remuxer.
const (
	TypeBLAWLP   Type = 16 // the first of the IRAP types
	TypeBLANLP   Type = 18
	TypeIDRWRADL Type = 19
	TypeIDRNLP   Type = 20
	TypeCRA      Type = 21
	TypeSliceEnd Type = 31 // the last type of a coded slice, those yet undefined included
	TypeVPS      Type = 32
	TypeSPS      Type = 33
	TypePPS      Type = 34
	TypeAUD      Type = 35 // access unit delimiter
	TypeSEI      Type = 39 // that comes before the slices
)

// TypeOf returns the type of a NALU that is not empty.
func TypeOf(nalu []byte) Type { return Type(nalu[0] >> 1 & 0x3F) }

// IsIRAP reports whether decoding can start at a slice of this type.
func (t Type) IsIRAP() bool { return t >= TypeBLAWLP && t <= TypeCRA }

// IsSlice reports whether this is the type of a coded slice.
func (t Type) IsSlice() bool { return t <= TypeSliceEnd }
