package remux

import (
	"encoding/binary"

	"github.com/headwater-live/headwater/remux/flvtag"
	"github.com/headwater-live/headwater/remux/h264"
	"github.com/headwater-live/headwater/remux/h265"
)

// videoFacts is what a decoder configuration says; 0 and "" where it is not known.
type videoFacts struct {
	Width, Height int
	FPS           float64
	CodecString   string
	lengthSize    int // of NALUs
}

// unitFacts is what an access unit contains.
type unitFacts struct {
	nalus, slices int
	start         bool // decoding can start here
	recovery      bool // or here, after a while
	sets          bool // a whole set of parameter sets
}

// decoder is a decoder configuration of a codec that is looked into.
type decoder interface {
	facts() videoFacts
	// holds reports whether it has all parameter sets that are in an access unit.
	holds(au []byte, lengthSize int) bool
	// Append appends the configuration record.
	Append(dst []byte) []byte
}

// syntax is how to look into the access units of a codec.
type syntax struct {
	codec flvtag.Codec
	id    byte // CodecID of annex E
	parse func(record []byte) (decoder, error)
	// derive makes a configuration of the parameter sets in an access unit.
	derive   func(au []byte, lengthSize int) (decoder, error)
	isAnnexB func(au []byte) bool
	inspect  func(au []byte, lengthSize int) unitFacts
}

// syntaxOf returns the syntax of a codec, nil for one that is passed on as it is.
func syntaxOf(c flvtag.Codec) *syntax {
	switch c {
	case flvtag.H264:
		return &syntaxH264
	case flvtag.HEVC:
		return &syntaxHEVC
	}
	return nil
}

// header returns the front of a sequence header, in the style of the frames.
func (s *syntax) header(enhanced bool) []byte {
	const sequenceStart = 0
	if enhanced {
		return binary.BigEndian.AppendUint32([]byte{0x80 | byte(flvtag.FrameKey)<<4 | sequenceStart}, uint32(s.codec))
	}
	return []byte{byte(flvtag.FrameKey)<<4 | s.id, sequenceStart, 0, 0, 0}
}

var syntaxH264 = syntax{
	codec: flvtag.H264,
	id:    7,
	parse: func(record []byte) (decoder, error) {
		c, err := h264.ParseConfig(record)
		return avc{c}, err
	},
	derive: func(au []byte, lengthSize int) (decoder, error) {
		c, err := h264.ConfigFromParameterSets(h264.ParameterSets(au, lengthSize))
		c.LengthSize = lengthSize
		return avc{c}, err
	},
	isAnnexB: h264.IsAnnexB,
	inspect: func(au []byte, lengthSize int) unitFacts {
		f := h264.Inspect(au, lengthSize)
		return unitFacts{f.NALUs, f.Slices, f.IDR, f.RecoveryPoint, f.SPS && f.PPS}
	},
}

type avc struct{ h264.Config }

func (c avc) facts() videoFacts {
	return videoFacts{c.Width, c.Height, c.FPS, c.CodecString(), c.LengthSize}
}

func (c avc) holds(au []byte, lengthSize int) bool {
	return c.Contains(h264.ParameterSets(au, lengthSize))
}

var syntaxHEVC = syntax{
	codec: flvtag.HEVC,
	id:    12,
	parse: func(record []byte) (decoder, error) {
		c, err := h265.ParseConfig(record)
		return hevc{c}, err
	},
	derive: func(au []byte, lengthSize int) (decoder, error) {
		c, err := h265.ConfigFromParameterSets(h265.ParameterSets(au, lengthSize))
		c.LengthSize = lengthSize
		return hevc{c}, err
	},
	isAnnexB: h265.IsAnnexB,
	inspect: func(au []byte, lengthSize int) unitFacts {
		f := h265.Inspect(au, lengthSize)
		// A CRA picture is a start; intra refresh shows in the encoder's flag alone.
		return unitFacts{f.NALUs, f.Slices, f.IRAP, false, f.VPS && f.SPS && f.PPS}
	},
}

type hevc struct{ h265.Config }

func (c hevc) facts() videoFacts {
	return videoFacts{c.Width, c.Height, c.FPS, c.CodecString(), c.LengthSize}
}

func (c hevc) holds(au []byte, lengthSize int) bool {
	return c.Contains(h265.ParameterSets(au, lengthSize))
}
