// Package h264 reads what an encoder says about its H.264 video and takes its access
// units apart, without decoding a picture and without copying one.
//
// # The two byte formats
//
// RTMP, FLV and MP4 carry access units as AVCC (ISO/IEC 14496-15): each NALU has its
// length in front, in 1, 2 or 4 bytes as the Config says. MPEG-TS carries them as
// Annex B (ITU-T H.264): each NALU has a start code in front.
//
//	AVCC:    | length | NALU | length | NALU | ...
//	Annex B: | 00 00 00 01 | NALU | 00 00 00 01 | NALU | ...
//
// A Config is the AVCDecoderConfigurationRecord that comes before the access units,
// with the parameter sets in it and the facts of the first SPS. A Cursor walks over
// the NALUs of an AVCC access unit, and Inspect says in one walk what is in it.
//
// Encoders lie. Nothing here panics, and nothing takes more memory than it was
// given: a NALU that reaches past the end of its access unit is left out, an empty
// one is passed over, and parameter sets are bounded.
package h264

// Type is a nal_unit_type (ITU-T H.264, table 7-1).
type Type uint8

// The types that matter to a remuxer.
const (
	TypeSlice      Type = 1 // a slice of a picture that is no IDR
	TypePartitionC Type = 4 // the last of the coded slices that are no IDR
	TypeIDR        Type = 5
	TypeSEI        Type = 6
	TypeSPS        Type = 7
	TypePPS        Type = 8
	TypeAUD        Type = 9 // access unit delimiter
)

// TypeOf returns the type of a NALU that is not empty.
func TypeOf(nalu []byte) Type { return Type(nalu[0] & 0x1F) }
