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
	// maxSEI is more than the kinds of SEI that describe a whole stream.
	maxSEI = 16
	// maxParameterSets bounds the bytes of all parameter sets: they are kept and
	// repeated before each IRAP. Those of real encoders have 80 to 300 bytes.
	maxParameterSets = 16 << 10
)

var (
	errNoSets   = errors.New("no VPS, no SPS or no PPS")
	errTooLarge = errors.New("parameter sets and SEI are larger than 16 KiB")
)

// Config is a decoder configuration: the parameter sets and the facts of the first
// SPS. It shares no memory with what it was made from, and must not be changed.
type Config struct {
	// VPS, SPS and PPS are NALUs, header included, without start code or length; at
	// least one of each.
	VPS, SPS, PPS [][]byte
	// SEI are the SEI NALUs of a record, which hold for the whole stream: the colours and
	// the light of HDR pictures. Other SEI are left out.
	SEI [][]byte
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

// ConfigFromParameterSets makes a Config with a LengthSize of 4 from NALUs found in
// an access unit (see ParameterSets). Repeated ones are taken once. It is an error
// if one kind is missing or they are more, or larger, than a Config may hold.
func ConfigFromParameterSets(vps, sps, pps [][]byte) (Config, error) {
	c, err := newConfig(sets{vps: unique(vps), sps: unique(sps), pps: unique(pps)})
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
	s.sei = s.sei[:min(len(s.sei), maxSEI)]
	size := 0
	for _, list := range [][][]byte{s.vps, s.sps, s.pps, s.sei} {
		for _, set := range list {
			size += len(set)
		}
	}
	if size > maxParameterSets {
		return Config{}, errTooLarge
	}
	c := Config{VPS: clone(s.vps), SPS: clone(s.sps), PPS: clone(s.pps), SEI: clone(s.sei)}
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

// AppendAnnexB appends all VPS, SPS, PPS and SEI, in this order, to dst, each after a start
// code of 4 bytes: what goes before an IRAP picture in a byte stream.
func (c Config) AppendAnnexB(dst []byte) []byte {
	for _, list := range [][][]byte{c.VPS, c.SPS, c.PPS, c.SEI} {
		for _, s := range list {
			dst = append(dst, 0, 0, 0, 1)
			dst = append(dst, s...)
		}
	}
	return dst
}

// Equal reports whether a decoder would notice no difference: the same parameter
// sets and SEI in the same order and the same LengthSize.
func (c Config) Equal(other Config) bool {
	return c.LengthSize == other.LengthSize &&
		slices.EqualFunc(c.VPS, other.VPS, bytes.Equal) &&
		slices.EqualFunc(c.SPS, other.SPS, bytes.Equal) &&
		slices.EqualFunc(c.PPS, other.PPS, bytes.Equal) &&
		slices.EqualFunc(c.SEI, other.SEI, bytes.Equal)
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
