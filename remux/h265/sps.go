package h265

import (
	"errors"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

const (
	// maxSide is the largest believable side of a picture, in pixels: level 7.2
	// allows sqrt(8 × 142606336) = 33776.
	maxSide = 33_776
	// maxFPS is the largest believable frame rate: above what any level allows.
	maxFPS = 1_000
	// maxSubLayers is what sps_max_sub_layers_minus1 may say (7.4.3.2.1).
	maxSubLayers = 7
)

// readFacts fills in the facts of the first SPS (7.3.2.2.1).
//
//	| header 16 | VPS id 4 | sub-layers - 1  3 | nesting 1 |
//	| profile space 2 | tier 1 | profile 5 | compatibility 32 | constraints 48 | level 8 |
//	| sub-layers' profiles and levels | id ue(v) | chroma ue(v) | width ue(v) | height ue(v) | ...
//
// Profile and level are required; where the rest cannot be read the facts are 0.
func (c *Config) readFacts() error {
	nalu := c.SPS[0]
	r := newBitReader(nalu)
	r.skip(16 + 4)
	c.subLayers = byte(r.bits(3)) + 1
	c.nested = r.bits(1) == 1
	c.ProfileSpace, c.Tier, c.Profile = byte(r.bits(2)), byte(r.bits(1)), byte(r.bits(5))
	c.Compatibility = r.bits(32)
	for i := range c.Constraints {
		c.Constraints[i] = byte(r.bits(8))
	}
	c.Level = byte(r.bits(8))
	if r.over {
		return errors.New("SPS is shorter than its profile and level")
	}
	c.chroma = 1
	c.readSize(r)
	c.FPS = framesPerSecond(nalu)
	return nil
}

// readSize reads on from behind the general level.
func (c *Config) readSize(r *bitReader) {
	skipSubLayers(r, int(c.subLayers)-1)
	r.ue() // id
	chroma := r.ue()
	planes := chroma == 3 && r.bits(1) == 1
	width, height := int64(r.ue()), int64(r.ue())
	if r.bits(1) == 1 { // the conformance window, in chroma samples
		x, y := int64(1), int64(1)
		if chroma == 1 || chroma == 2 {
			x = 2
		}
		if chroma == 1 {
			y = 2
		}
		width -= x * (int64(r.ue()) + int64(r.ue()))
		height -= y * (int64(r.ue()) + int64(r.ue()))
	}
	luma, depth := r.ue(), r.ue()
	if r.over || chroma > 3 || luma > 7 || depth > 7 {
		return
	}
	c.chroma, c.lumaDepth, c.chromaDepth = byte(chroma), byte(luma), byte(depth)
	if planes {
		c.chroma = 0 // coded as three monochrome pictures (7.4.3.2.1, ChromaArrayType)
	}
	if width > 0 && width <= maxSide && height > 0 && height <= maxSide {
		c.Width, c.Height = int(width), int(height)
	}
}

// skipSubLayers steps over the profiles and levels of n sub-layers (7.3.3).
func skipSubLayers(r *bitReader, n int) {
	if n == 0 || n >= maxSubLayers {
		r.over = r.over || n >= maxSubLayers
		return
	}
	size := 0
	for range n {
		if r.bits(1) == 1 {
			size += 88
		}
		if r.bits(1) == 1 {
			size += 8
		}
	}
	r.skip(2*(8-n) + size)
}

// framesPerSecond returns what the VUI says, 0 if it says nothing believable. The VUI
// is behind much else, which the parser reads.
func framesPerSecond(nalu []byte) float64 {
	var sps h265.SPS
	if err := sps.Unmarshal(nalu); err != nil || sps.VUI == nil {
		return 0
	}
	timing := sps.VUI.TimingInfo
	if timing == nil || timing.NumUnitsInTick == 0 {
		return 0
	}
	if fps := sps.FPS(); fps <= maxFPS {
		return fps
	}
	return 0
}

// bitReader reads the bits of a NALU, leaving out emulation prevention (7.4.2). Behind
// the end it reads zeros and sets over.
type bitReader struct {
	rest  []byte
	zeros int
	left  uint // bits of current that are not read yet
	// current is the byte that is being read.
	current byte
	over    bool
}

func newBitReader(nalu []byte) *bitReader { return &bitReader{rest: nalu} }

func (r *bitReader) next() {
	if r.zeros >= 2 && len(r.rest) > 0 && r.rest[0] == 3 {
		r.rest, r.zeros = r.rest[1:], 0
	}
	r.left = 8
	if len(r.rest) == 0 {
		r.current, r.over = 0, true
		return
	}
	r.current, r.rest = r.rest[0], r.rest[1:]
	if r.current == 0 {
		r.zeros++
	} else {
		r.zeros = 0
	}
}

// bits reads n bits, at most 32.
func (r *bitReader) bits(n uint) uint32 {
	var v uint64
	for n > 0 {
		if r.left == 0 {
			r.next()
		}
		take := min(n, r.left)
		v = v<<take | uint64(r.current>>(r.left-take))&(1<<take-1)
		r.left -= take
		n -= take
	}
	return uint32(v)
}

func (r *bitReader) skip(n int) {
	for ; n > 0 && !r.over; n -= 8 {
		r.bits(uint(min(n, 8)))
	}
}

// ue reads an Exp-Golomb number (9.2).
func (r *bitReader) ue() uint32 {
	zeros := uint(0)
	for r.bits(1) == 0 {
		if zeros++; zeros > 31 || r.over {
			r.over = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.bits(zeros)
}
