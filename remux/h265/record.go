package h265

import (
	"errors"
	"fmt"
)

const (
	// recordHeader is the size of the record in front of its arrays.
	recordHeader = 23
	// maxArrays bounds the arrays of a record: one per NALU type.
	maxArrays = 64
)

var errTruncated = errors.New("record ends inside its fields")

// ParseConfig reads an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1).
//
//	| version 8 = 1 | profile space 2 | tier 1 | profile 5 | compatibility 32 |
//	| constraints 48 | level 8 | 1111 | segmentation 12 | 111111 | parallelism 2 |
//	| 111111 | chroma 2 | 11111 | luma depth - 8  3 | 11111 | chroma depth - 8  3 |
//	| frame rate 16 | constant 2 | sub-layers 3 | nested 1 | length size - 1  2 |
//	| arrays 8 | { complete 1 | 0 | type 6 | NALUs 16 | { length 16 | NALU } ... } ...
//
// What stands in front of the arrays is read from the SPS instead, which the decoder
// goes by. Arrays of other types, and SEI that are about one picture, are left out. A version of 0 is taken for
// 1: encoders of before the standard was final write it. A record without a VPS, an
// SPS or a PPS is an error. An SPS whose size cannot be read is none.
func ParseConfig(hvcC []byte) (Config, error) {
	if len(hvcC) < recordHeader {
		return Config{}, fmt.Errorf("read HEVC configuration: %w", errTruncated)
	}
	if hvcC[0] > 1 {
		return Config{}, fmt.Errorf("read HEVC configuration: version %d is unknown", hvcC[0])
	}
	lengthSize := int(hvcC[21]&3) + 1
	if lengthSize == 3 {
		return Config{}, errors.New("read HEVC configuration: NALU length of 3 bytes is not allowed")
	}
	if hvcC[22] > maxArrays {
		return Config{}, fmt.Errorf("read HEVC configuration: %d arrays are too many", hvcC[22])
	}
	var s sets
	rest := hvcC[recordHeader:]
	for range hvcC[22] {
		var err error
		if rest, err = s.cutArray(rest); err != nil {
			return Config{}, fmt.Errorf("read HEVC configuration: %w", err)
		}
	}
	c, err := newConfig(s)
	if err != nil {
		return Config{}, fmt.Errorf("read HEVC configuration: %w", err)
	}
	c.LengthSize = lengthSize
	return c, nil
}

// sets are parameter sets by kind.
type sets struct{ vps, sps, pps, sei [][]byte }

// of returns the list for a type of NALU, nil for what is not kept.
func (s *sets) of(t Type) *[][]byte {
	switch t {
	case TypeVPS:
		return &s.vps
	case TypeSPS:
		return &s.sps
	case TypePPS:
		return &s.pps
	case TypeSEI:
		return &s.sei
	}
	return nil
}

// cutArray takes the NALUs of one array. Empty ones are left out.
func (s *sets) cutArray(b []byte) (rest []byte, err error) {
	if len(b) < 3 {
		return nil, errTruncated
	}
	t, n := Type(b[0]&0x3F), int(b[1])<<8|int(b[2])
	list := s.of(t)
	b = b[3:]
	for range n {
		if len(b) < 2 {
			return nil, errTruncated
		}
		size := int(b[0])<<8 | int(b[1])
		b = b[2:]
		if size > len(b) {
			return nil, errTruncated
		}
		if list != nil && size > 0 {
			if TypeOf(b) != t {
				return nil, fmt.Errorf("NALU of type %d among those of type %d", TypeOf(b), t)
			}
		}
		if list != nil && size > 0 && (t != TypeSEI || describesStream(b[:size])) {
			*list = append(*list, b[:size])
		}
		b = b[size:]
	}
	return b, nil
}

// describesStream reports whether an SEI NALU, by its first message, holds for all
// pictures (annex D, payloadType): mastering display 137, light level 144, preferred
// transfer 147, ambient light 148. Others are about one picture, or the encoder's 1 to 2
// KB about itself.
func describesStream(nalu []byte) bool {
	if len(nalu) < 3 {
		return false
	}
	switch nalu[2] {
	case 137, 144, 147, 148:
		return true
	}
	return false
}

// Append appends an HEVCDecoderConfigurationRecord to dst. What only hints at the
// best way to decode is stated as unknown: segmentation, parallelism, frame rate.
func (c Config) Append(dst []byte) []byte {
	dst = append(dst, 1, c.ProfileSpace<<6|c.Tier<<5|c.Profile,
		byte(c.Compatibility>>24), byte(c.Compatibility>>16), byte(c.Compatibility>>8), byte(c.Compatibility))
	dst = append(dst, c.Constraints[:]...)
	nested := byte(0)
	if c.nested {
		nested = 1
	}
	arrays := []struct {
		t    Type
		sets [][]byte
	}{{TypeVPS, c.VPS}, {TypeSPS, c.SPS}, {TypePPS, c.PPS}, {TypeSEI, c.SEI}}
	if len(c.SEI) == 0 {
		arrays = arrays[:3]
	}
	dst = append(dst, c.Level, 0xF0, 0, 0xFC, 0xFC|c.chroma, 0xF8|c.lumaDepth, 0xF8|c.chromaDepth, 0, 0,
		c.subLayers&7<<3|nested<<2|byte(c.LengthSize-1), byte(len(arrays)))
	for _, array := range arrays {
		dst = append(dst, 0x80|byte(array.t), byte(len(array.sets)>>8), byte(len(array.sets)))
		for _, s := range array.sets {
			dst = append(dst, byte(len(s)>>8), byte(len(s)))
			dst = append(dst, s...)
		}
	}
	return dst
}
