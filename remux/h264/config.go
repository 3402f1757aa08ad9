package h264

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

const (
	// maxSPS and maxPPS are what the counts of the record can say (5 and 8 bits).
	maxSPS = 31
	maxPPS = 255
	// maxParameterSets bounds the bytes of all parameter sets: they are kept and
	// repeated before each IDR. Those of real encoders have 30 to 200 bytes.
	maxParameterSets = 16 << 10
)

var (
	errTruncated = errors.New("record ends inside its fields")
	errNoSets    = errors.New("no SPS or no PPS")
	errTooLarge  = errors.New("parameter sets are larger than 16 KiB")
)

// Config is a decoder configuration: the parameter sets and the facts of the first
// SPS. It shares no memory with what it was made from, and must not be changed.
type Config struct {
	// SPS and PPS are NALUs, header included, without start code or length; at
	// least one of each.
	SPS, PPS [][]byte
	// LengthSize is the number of bytes of a NALU's length in access units: 1, 2
	// or 4.
	LengthSize int

	// Profile, Constraints and Level are profile_idc, the constraint_set flags as
	// one byte, and level_idc.
	Profile, Constraints, Level byte
	// Width and Height are those of the cropped picture in pixels, and FPS the
	// frame rate by the VUI; 0 where the SPS does not say it or cannot be read.
	Width, Height int
	FPS           float64

	// chroma and depths are the extension of the record for high profiles.
	chroma, lumaDepth, chromaDepth byte
}

// ParseConfig reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1).
//
//	| version 8 = 1 | profile 8 | compatibility 8 | level 8 |
//	| 111111 | length size - 1  2 |
//	| 111 | SPS count 5 | { length 16 | SPS } ... |
//	| PPS count 8 | { length 16 | PPS } ... |
//	| 111111 | chroma format 2 | 11111 | luma depth - 8  3 | 11111 | chroma depth - 8  3 | ...  (high profiles)
//
// What follows the PPS is not read: many encoders leave it out, and the SPS says the
// same. A record without an SPS or a PPS is an error. An SPS with unreadable facts
// is none, since players may be able to read it.
func ParseConfig(avcC []byte) (Config, error) {
	if len(avcC) < 6 {
		return Config{}, fmt.Errorf("read AVC configuration: %w", errTruncated)
	}
	if avcC[0] != 1 {
		return Config{}, fmt.Errorf("read AVC configuration: version %d is unknown", avcC[0])
	}
	lengthSize := int(avcC[4]&3) + 1
	if lengthSize == 3 {
		return Config{}, errors.New("read AVC configuration: NALU length of 3 bytes is not allowed")
	}
	sps, rest, err := cutSets(avcC[6:], int(avcC[5]&0x1F), TypeSPS)
	if err != nil {
		return Config{}, fmt.Errorf("read AVC configuration: SPS: %w", err)
	}
	if len(rest) < 1 {
		return Config{}, fmt.Errorf("read AVC configuration: PPS count: %w", errTruncated)
	}
	pps, _, err := cutSets(rest[1:], int(rest[0]), TypePPS)
	if err != nil {
		return Config{}, fmt.Errorf("read AVC configuration: PPS: %w", err)
	}
	c, err := newConfig(sps, pps)
	if err != nil {
		return Config{}, fmt.Errorf("read AVC configuration: %w", err)
	}
	c.LengthSize = lengthSize
	return c, nil
}

// cutSets cuts n parameter sets with 16-bit lengths from b. Empty ones are left out.
func cutSets(b []byte, n int, t Type) (sets [][]byte, rest []byte, err error) {
	for range n {
		if len(b) < 2 {
			return nil, nil, errTruncated
		}
		size := int(b[0])<<8 | int(b[1])
		b = b[2:]
		if size > len(b) {
			return nil, nil, errTruncated
		}
		if size > 0 {
			if TypeOf(b) != t {
				return nil, nil, fmt.Errorf("NALU of type %d", TypeOf(b))
			}
			sets = append(sets, b[:size])
		}
		b = b[size:]
	}
	return sets, b, nil
}

// ConfigFromParameterSets makes a Config with a LengthSize of 4 from NALUs found in
// an access unit (see ParameterSets). Repeated ones are taken once. It is an error
// if one kind is missing or they are more, or larger, than a record may hold.
func ConfigFromParameterSets(sps, pps [][]byte) (Config, error) {
	c, err := newConfig(unique(sps), unique(pps))
	if err != nil {
		return Config{}, fmt.Errorf("make AVC configuration: %w", err)
	}
	c.LengthSize = 4
	return c, nil
}

// unique returns the sets that are not empty, each once.
func unique(sets [][]byte) [][]byte {
	var out [][]byte
	for _, s := range sets {
		if len(s) > 0 && !contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func newConfig(sps, pps [][]byte) (Config, error) {
	if len(sps) == 0 || len(pps) == 0 {
		return Config{}, errNoSets
	}
	if len(sps) > maxSPS || len(pps) > maxPPS {
		return Config{}, fmt.Errorf("%d SPS and %d PPS are too many", len(sps), len(pps))
	}
	size := 0
	for _, sets := range [][][]byte{sps, pps} {
		for _, s := range sets {
			size += len(s)
		}
	}
	if size > maxParameterSets {
		return Config{}, errTooLarge
	}
	block := make([]byte, 0, size)
	clone := func(sets [][]byte) [][]byte {
		out := make([][]byte, len(sets))
		for i, s := range sets {
			at := len(block)
			block = append(block, s...)
			out[i] = block[at:len(block):len(block)]
		}
		return out
	}
	c := Config{SPS: clone(sps), PPS: clone(pps)}
	if err := c.readFacts(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// Append appends the AVCDecoderConfigurationRecord to dst.
func (c Config) Append(dst []byte) []byte {
	dst = append(dst, 1, c.Profile, c.Constraints, c.Level, 0xFC|byte(c.LengthSize-1), 0xE0|byte(len(c.SPS)))
	dst = appendSets(dst, c.SPS)
	dst = append(dst, byte(len(c.PPS)))
	dst = appendSets(dst, c.PPS)
	switch c.Profile {
	case 100, 110, 122, 144, 244:
		dst = append(dst, 0xFC|c.chroma, 0xF8|c.lumaDepth, 0xF8|c.chromaDepth, 0)
	}
	return dst
}

func appendSets(dst []byte, sets [][]byte) []byte {
	for _, s := range sets {
		dst = append(dst, byte(len(s)>>8), byte(len(s)))
		dst = append(dst, s...)
	}
	return dst
}

// AppendAnnexB appends all SPS and then all PPS to dst, each after a start code of 4
// bytes: what goes before an IDR in a byte stream.
func (c Config) AppendAnnexB(dst []byte) []byte {
	for _, sets := range [][][]byte{c.SPS, c.PPS} {
		for _, s := range sets {
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
		slices.EqualFunc(c.SPS, other.SPS, bytes.Equal) &&
		slices.EqualFunc(c.PPS, other.PPS, bytes.Equal)
}

// Contains reports whether all the given parameter sets are among those of c.
func (c Config) Contains(sps, pps [][]byte) bool {
	for _, s := range sps {
		if !contains(c.SPS, s) {
			return false
		}
	}
	for _, s := range pps {
		if !contains(c.PPS, s) {
			return false
		}
	}
	return true
}

func contains(sets [][]byte, set []byte) bool {
	return slices.ContainsFunc(sets, func(s []byte) bool { return bytes.Equal(s, set) })
}

// CodecString returns the name of RFC 6381, section 3.3, such as "avc1.64001f": the
// three bytes after the header of the first SPS, in hexadecimal.
func (c Config) CodecString() string {
	return fmt.Sprintf("avc1.%02x%02x%02x", c.Profile, c.Constraints, c.Level)
}
