package hls

import (
	"bytes"
	"errors"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/flvtag"
	"github.com/headwater-live/headwater/remux/h264"
	"github.com/headwater-live/headwater/remux/h265"
	"github.com/headwater-live/headwater/remux/mpegts"
)

// Carries reports whether HLS can carry a codec: MPEG-TS holds more, but what players take
// from it is H.264, HEVC and AAC. What it cannot carry is left out, and the other track is
// served.
func Carries(c flvtag.Codec) bool { return carriesVideo(c) || c == flvtag.AAC }

func carriesVideo(c flvtag.Codec) bool { return c == flvtag.H264 || c == flvtag.HEVC }

// picture is what a segmenter must know of a video configuration, whatever its codec.
type picture struct {
	kind mpegts.StreamType
	// sets are the parameter sets in Annex B, which precede each random access point.
	sets []byte
	// lengthSize is the size of NALU lengths in access units.
	lengthSize    int
	codec         string // by RFC 6381
	width, height int
	fps           float64
}

// readPicture reads a configuration of a video codec that is carried.
func readPicture(pkt *remux.Packet) (*picture, error) {
	switch pkt.Codec {
	case flvtag.H264:
		c, err := h264.ParseConfig(pkt.Body())
		if err != nil {
			return nil, err
		}
		return &picture{mpegts.H264, c.AppendAnnexB(nil), c.LengthSize, c.CodecString(), c.Width, c.Height, c.FPS}, nil
	case flvtag.HEVC:
		c, err := h265.ParseConfig(pkt.Body())
		if err != nil {
			return nil, err
		}
		return &picture{mpegts.HEVC, c.AppendAnnexB(nil), c.LengthSize, c.CodecString(), c.Width, c.Height, c.FPS}, nil
	}
	return nil, errors.New("the codec is not carried")
}

// equal reports whether a decoder would notice no difference.
func (p *picture) equal(other *picture) bool {
	return p.kind == other.kind && p.lengthSize == other.lengthSize && bytes.Equal(p.sets, other.sets)
}
