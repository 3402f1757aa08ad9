package aac

import (
	"errors"
	"fmt"
)

// sampleRates are the rates of samplingFrequencyIndex 0 to 12 (table 1.18).
var sampleRates = [...]int{
	96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
}

// escapeIndex is the samplingFrequencyIndex of a rate that is written out.
const escapeIndex = 15

// maxSampleRate is the highest believable rate: twice the highest of the table.
const maxSampleRate = 192_000

// channelCounts are the channels of channelConfiguration 0 to 15 (table 1.19); 0
// where it does not say, or is reserved.
var channelCounts = [16]int{0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 24, 8, 0}

var errTruncated = errors.New("configuration ends inside its fields")

// ParseConfig reads an AudioSpecificConfig (1.6.2.1).
//
//	| object type 5 | [111111 → 6 more] | frequency index 4 | [15 → rate 24] | channels 4 |
//	  object type 5 or 29: | extension frequency index 4 | [rate 24] | core object type 5 |
//	| frame length flag 1 | core coder 1 | [delay 14] | extension flag 1 | [channels 0 → program]   (4.4.1)
//	  at the end, maybe: | 0x2B7 11 | 5 | present 1 | frequency index 4 | 0x548 11 | PS present 1 |
//
// Both ways of signalling SBR and PS are read: in front, and at the end where old
// decoders do not look. Other trailing bytes are not looked at. Object types that
// MPEG-TS cannot carry as ADTS parse as well; AppendADTSHeader refuses them.
func ParseConfig(asc []byte) (Config, error) {
	r := bitReader{data: asc}
	c, err := parse(&r)
	if err == nil && r.short {
		err = errTruncated
	}
	if err != nil {
		return Config{}, fmt.Errorf("read AudioSpecificConfig: %w", err)
	}
	if c.Extension == 0 {
		c.readTrailingExtension(r)
	}
	return c, nil
}

func parse(r *bitReader) (Config, error) {
	var c Config
	c.Type = r.objectType()
	c.frequencyIndex, c.SampleRate = r.sampleRate()
	c.OutputSampleRate = c.SampleRate
	c.layout = uint8(r.bits(4))
	c.Channels = channelCounts[c.layout]
	c.SamplesPerFrame = 1024
	if c.Type == TypeSBR || c.Type == TypePS {
		c.Extension = c.Type
		_, c.OutputSampleRate = r.sampleRate()
		c.Type = r.objectType()
	}
	switch {
	case r.short:
		return c, errTruncated
	case c.Type == 0:
		return c, errors.New("object type 0")
	case c.SampleRate <= 0 || c.SampleRate > maxSampleRate,
		c.OutputSampleRate <= 0 || c.OutputSampleRate > maxSampleRate:
		return c, errors.New("sample rate out of range")
	case c.layout != 0 && c.Channels == 0:
		return c, fmt.Errorf("channel configuration %d is reserved", c.layout)
	}
	c.readGASpecific(r)
	return c, nil
}

const (
	typeScalable   ObjectType = 6
	typeTwinVQ     ObjectType = 7
	typeERLC       ObjectType = 17
	typeERLTP      ObjectType = 19
	typeERScalable ObjectType = 20
	typeERTwinVQ   ObjectType = 21
	typeERBSAC     ObjectType = 22
	typeERLD       ObjectType = 23 // low delay
	typeERELD      ObjectType = 39 // enhanced low delay
)

// readGASpecific reads the GASpecificConfig (4.4.1), or as much of another type's
// configuration as says how long a frame is.
func (c *Config) readGASpecific(r *bitReader) {
	switch c.Type {
	case TypeMain, TypeLC, TypeSSR, TypeLTP, typeScalable, typeTwinVQ,
		typeERLC, typeERLTP, typeERScalable, typeERTwinVQ, typeERBSAC, typeERLD:
	case typeERELD:
		c.SamplesPerFrame = 512 - 32*int(r.bits(1))
		return
	default:
		return
	}
	short := r.bits(1) == 1
	switch {
	case c.Type == typeERLD:
		c.SamplesPerFrame = 512
		if short {
			c.SamplesPerFrame = 480
		}
	case short:
		c.SamplesPerFrame = 960
	}
	if r.bits(1) == 1 { // dependsOnCoreCoder
		r.bits(14)
	}
	// The extension flag has fields behind it only for the error resilient types;
	// encoders that set it for AAC-LC mean nothing by it.
	r.bits(1)
	if c.layout == 0 && c.Type <= TypeLTP {
		c.readProgram(r)
	}
}

// readTrailingExtension reads the backward compatible signalling of SBR and PS. What
// does not parse is not there. r is a copy: nothing is read after it.
func (c *Config) readTrailingExtension(r bitReader) {
	if c.Type > TypeLTP || r.bits(11) != 0x2B7 {
		return
	}
	if r.objectType() != TypeSBR || r.bits(1) == 0 {
		return
	}
	_, rate := r.sampleRate()
	if r.short || rate <= 0 || rate > maxSampleRate {
		return
	}
	c.Extension, c.OutputSampleRate = TypeSBR, rate
	if r.bits(11) == 0x548 && r.bits(1) == 1 && !r.short {
		c.Extension = TypePS
	}
}

// bitReader reads big-endian bit fields. Past the end it reads zeros and sets short.
type bitReader struct {
	data  []byte
	pos   int // in bits
	short bool
}

func (r *bitReader) bits(n int) uint32 {
	var v uint32
	for range n {
		v <<= 1
		if at := r.pos >> 3; at < len(r.data) {
			v |= uint32(r.data[at]>>(7-r.pos&7)) & 1
		} else {
			r.short = true
		}
		r.pos++
	}
	return v
}

func (r *bitReader) objectType() ObjectType {
	t := r.bits(5)
	if t == 31 {
		t = 32 + r.bits(6)
	}
	return ObjectType(t)
}

// sampleRate reads an index, with the rate behind it if there is one. A written-out
// rate that is in the table gets its index.
func (r *bitReader) sampleRate() (index uint8, rate int) {
	index = uint8(r.bits(4))
	if index == escapeIndex {
		rate = int(r.bits(24))
		for i, known := range sampleRates {
			if rate == known {
				index = uint8(i)
			}
		}
		return index, rate
	}
	if int(index) < len(sampleRates) {
		rate = sampleRates[index]
	}
	return index, rate
}
