package aac

import (
	"errors"
	"fmt"
)

const (
	// ADTSHeaderSize is the size of a header without CRC, in bytes.
	ADTSHeaderSize = 7
	// maxADTSFrame is what aac_frame_length can say (13 bits), header included.
	maxADTSFrame = 1<<13 - 1
)

var errFrameTooLarge = errors.New("write ADTS header: frame is larger than 8191 bytes")

// AppendADTSHeader appends what a bare frame of payloadLen bytes needs in front of it
// (1.A.2.2): a header of ADTSHeaderSize bytes, and behind it the list of the channels
// where no channel configuration names them.
//
//	| 111111111111 | MPEG-4 0 | layer 00 | no CRC 1 |
//	| object type - 1  2 | frequency index 4 | private 0 | channels 3 | 0000 |
//	| frame length 13 | buffer fullness 11 = 7FF, variable rate | frames - 1  2 = 00 |
//
// It returns dst unchanged and an error for what ADTS cannot carry: a frame that is
// too large, another object type than 1 to 4 (HE-AAC counts as its core), a sample
// rate or channel layout without a number, frames that are not of 1024 samples.
func (c Config) AppendADTSHeader(dst []byte, payloadLen int) ([]byte, error) {
	size := ADTSHeaderSize + len(c.program) + payloadLen
	switch {
	case payloadLen < 0 || size > maxADTSFrame:
		return dst, errFrameTooLarge
	case c.Type < TypeMain || c.Type > TypeLTP:
		return dst, fmt.Errorf("write ADTS header: object type %d has none", c.Type)
	case int(c.frequencyIndex) >= len(sampleRates):
		return dst, fmt.Errorf("write ADTS header: sample rate %d has no number", c.SampleRate)
	case c.layout > 7:
		return dst, fmt.Errorf("write ADTS header: channel configuration %d does not fit", c.layout)
	case c.SamplesPerFrame != 1024:
		return dst, fmt.Errorf("write ADTS header: frames of %d samples", c.SamplesPerFrame)
	}
	dst = append(dst,
		0xFF,
		0xF1,
		byte(c.Type-1)<<6|c.frequencyIndex<<2|c.layout>>2,
		c.layout<<6|byte(size>>11),
		byte(size>>3),
		byte(size<<5)|0x1F,
		0xFC)
	return append(dst, c.program...), nil
}
