package h264

import (
	"errors"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

const (
	// maxSide is the largest believable side of a picture, in pixels: level 6.2
	// allows 139264 macroblocks and at most sqrt(8 × 139264) × 16 = 16888 a side.
	maxSide = 16_888
	// maxFPS is the largest believable frame rate: above what any level allows.
	maxFPS = 1_000
)

// readFacts fills in the facts of the first SPS (7.3.2.1.1).
//
//	| header 8 | profile_idc 8 | constraint flags 8 | level_idc 8 | ue(v)... |
func (c *Config) readFacts() error {
	nalu := c.SPS[0]
	if len(nalu) < 4 {
		return errors.New("SPS is shorter than its profile and level")
	}
	c.Profile, c.Constraints, c.Level = nalu[1], nalu[2], nalu[3]
	c.chroma = 1
	var sps h264.SPS
	// The VUI is the last part: where only that is unreadable the rest is good.
	if err := sps.Unmarshal(nalu); err != nil && sps.VUI == nil {
		return nil
	}
	c.chroma = byte(sps.ChromaFormatIdc & 3)
	c.lumaDepth, c.chromaDepth = byte(sps.BitDepthLumaMinus8&7), byte(sps.BitDepthChromaMinus8&7)
	width, height := sps.Width(), sps.Height()
	// The parser crops the width only where there is chroma; a crop unit is one
	// luma sample then (7.4.2.1.1, ChromaArrayType 0).
	if crop := sps.FrameCropping; crop != nil && (sps.ChromaFormatIdc == 0 || sps.SeparateColourPlaneFlag) {
		width -= int(crop.LeftOffset) + int(crop.RightOffset)
	}
	if width > 0 && width <= maxSide && height > 0 && height <= maxSide {
		c.Width, c.Height = width, height
	}
	if vui := sps.VUI; vui != nil && vui.TimingInfo != nil && vui.TimingInfo.NumUnitsInTick > 0 {
		if fps := sps.FPS(); fps <= maxFPS {
			c.FPS = fps
		}
	}
	return nil
}
