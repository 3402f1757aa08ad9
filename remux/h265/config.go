package h265

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxVPS, maxSPS and maxPPS are the ids that there can be (7.4.3).
	maxVPS = 16
	maxSPS = 16
	maxPPS = 64
	// maxParameterSets bounds the bytes of all parameter sets: they are kept and
	// repeated before each IRAP. Those of real encoders have 80 to 300 bytes.
	maxParameterSets = 16 << 10
	// recordHeader is the size of the record in front of its arrays.
	recordHeader = 23
	// maxArrays bounds the arrays of a record: one per NALU type.
	maxArrays = 64
)

var (
	errTruncated = errors.New("record ends inside its fields")
	errNoSets    = errors.New("no VPS, no SPS or no PPS")
	errTooLarge  = errors.New("parameter sets are larger than 16 KiB")
)

// Config is a decoder configuration: the parameter sets and the facts of the first
// SPS. It shares no memory with what it was made from, and must not be changed.
type Config struct {
	// VPS, SPS and PPS are NALUs, header included, without start code or length; at
	// least one of each.
	VPS, SPS, PPS [][]byte
	// LengthSize is the number of bytes of a NALU's length in access units: 1, 2
	// or 4.
	LengthSize int

	// ProfileSpace (0 to 3), Tier (0 main, 1 high), Profile, Compatibility (the first
	// flag in the highest bit), Constraints and Level (30 times the number) are the
	// general ones of 7.3.3.
	ProfileSpace, Tier, Profile byte
	Compatibility               uint32
	Constraints                 [6]byte
	Level                       byte
	// Width and Height are those of the cropped picture in pixels, and FPS the
	// frame rate by the VUI; 0 where the SPS does not say it or cannot be read.
	Width, Height int
	FPS           float64

	chroma, lumaDepth, chromaDepth byte
	subLayers                      byte
	nested                         bool
}

// ParseConfig reads an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1).
//
//	| version 8 = 1 | profile space 2 | tier 1 | profile 5 | compatibility 32 |
//	| constraints 48 | level 8 | 1111 | segmentation 12 | 111111 | parallelism 2 |
//	| 111111 | chroma 2 | 11111 | luma depth - 8  3 | 11111 | chroma depth - 8  3 |
//	| frame rate 16 | constant 2 | sub-layers 3 | nested 1 | length size - 1  2 |
//	| arrays 8 | { complete 1 | 0 | type 6 | NALUs 16 | { length 16 | NALU } ... } ...
//
// What stands in front of the arrays is read from the SPS instead, which the decoder
// goes by. Arrays of other types (SEI) are stepped over. A version of 0 is taken for
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
type sets struct{ vps, sps, pps [][]byte }

// of returns the list for a type of NALU, nil for what is no parameter set.
func (s *sets) of(t Type) *[][]byte {
	switch t {
	case TypeVPS:
		return &s.vps
	case TypeSPS:
		return &s.sps
	case TypePPS:
		return &s.pps
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
			*list = append(*list, b[:size])
		}
		b = b[size:]
	}
	return b, nil
}

// ConfigFromParameterSets makes a Config with a LengthSize of 4 from NALUs found in
// an access unit (see ParameterSets). Repeated ones are taken once. It is an error
// if one kind is missing or they are more, or larger, than a Config may hold.
func ConfigFromParameterSets(vps, sps, pps [][]byte) (Config, error) {
	c, err := newConfig(sets{unique(vps), unique(sps), unique(pps)})
	if err != nil {
		return Config{}, fmt.Errorf("make HEVC configuration: %w", err)
	}
	c.LengthSize = 4
	return c, nil
}

// unique returns the sets that are not empty, each once.
func unique(list [][]byte) [][]byte {
	var out [][]byte
	for _, s := range list {
		if len(s) > 0 && !contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func newConfig(s sets) (Config, error) {
	if len(s.vps) == 0 || len(s.sps) == 0 || len(s.pps) == 0 {
		return Config{}, errNoSets
	}
	if len(s.vps) > maxVPS || len(s.sps) > maxSPS || len(s.pps) > maxPPS {
		return Config{}, fmt.Errorf("%d VPS, %d SPS and %d PPS are too many", len(s.vps), len(s.sps), len(s.pps))
	}
	size := 0
	for _, list := range [][][]byte{s.vps, s.sps, s.pps} {
		for _, set := range list {
			size += len(set)
		}
	}
	if size > maxParameterSets {
		return Config{}, errTooLarge
	}
	c := Config{VPS: clone(s.vps), SPS: clone(s.sps), PPS: clone(s.pps)}
	if err := c.readFacts(); err != nil {
		return Config{}, err
	}
	return c, nil
}

func clone(list [][]byte) [][]byte {
	out := make([][]byte, len(list))
	for i, s := range list {
		out[i] = bytes.Clone(s)
	}
	return out
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
	dst = append(dst, c.Level, 0xF0, 0, 0xFC, 0xFC|c.chroma, 0xF8|c.lumaDepth, 0xF8|c.chromaDepth, 0, 0,
		c.subLayers&7<<3|nested<<2|byte(c.LengthSize-1), 3)
	for _, array := range []struct {
		t    Type
		sets [][]byte
	}{{TypeVPS, c.VPS}, {TypeSPS, c.SPS}, {TypePPS, c.PPS}} {
		dst = append(dst, 0x80|byte(array.t), byte(len(array.sets)>>8), byte(len(array.sets)))
		for _, s := range array.sets {
			dst = append(dst, byte(len(s)>>8), byte(len(s)))
			dst = append(dst, s...)
		}
	}
	return dst
}

// AppendAnnexB appends all VPS, SPS and PPS, in this order, to dst, each after a start
// code of 4 bytes: what goes before an IRAP picture in a byte stream.
func (c Config) AppendAnnexB(dst []byte) []byte {
	for _, list := range [][][]byte{c.VPS, c.SPS, c.PPS} {
		for _, s := range list {
			dst = append(dst, 0, 0, 0, 1)
			dst = append(dst, s...)
		}
	}
	return dst
}

// Equal reports whether a decoder would notice no difference: the same parameter
// sets in the same order and the same LengthSize.
func (c Config) Equal(other Config) bool {
	return c.LengthSize == other.LengthSize &&
		slices.EqualFunc(c.VPS, other.VPS, bytes.Equal) &&
		slices.EqualFunc(c.SPS, other.SPS, bytes.Equal) &&
		slices.EqualFunc(c.PPS, other.PPS, bytes.Equal)
}

// Contains reports whether all the given parameter sets are among those of c.
func (c Config) Contains(vps, sps, pps [][]byte) bool {
	return containsAll(c.VPS, vps) && containsAll(c.SPS, sps) && containsAll(c.PPS, pps)
}

func containsAll(list, wanted [][]byte) bool {
	return !slices.ContainsFunc(wanted, func(s []byte) bool { return !contains(list, s) })
}

func contains(list [][]byte, set []byte) bool {
	return slices.ContainsFunc(list, func(s []byte) bool { return bytes.Equal(s, set) })
}

// CodecString returns the name of ISO/IEC 14496-15, annex E.3, such as
// "hvc1.1.6.L93.B0": profile space and profile, the compatibility flags with the first
// one in the lowest bit, tier and level, and the constraint bytes up to the last one
// that is not 0.
func (c Config) CodecString() string {
	var s strings.Builder
	s.WriteString("hvc1.")
	if c.ProfileSpace > 0 {
		s.WriteByte('A' + c.ProfileSpace - 1)
	}
	tier := byte('L')
	if c.Tier == 1 {
		tier = 'H'
	}
	fmt.Fprintf(&s, "%d.%X.%c%s", c.Profile, bits.Reverse32(c.Compatibility), tier, strconv.Itoa(int(c.Level)))
	constraints := bytes.TrimRight(c.Constraints[:], "\x00")
	for _, b := range constraints {
		fmt.Fprintf(&s, ".%X", b)
	}
	return s.String()
}
