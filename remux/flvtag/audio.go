package flvtag

import (
	"encoding/binary"
	"fmt"
)

// AudioHeader is what stands in front of the coded data of an audio body.
type AudioHeader struct {
	Codec  Codec
	Packet Packet
	// Data is the offset of the coded data in the body.
	Data int
	// Enhanced tells a FourCC header from the one of annex E.
	Enhanced bool
}

// soundFormatEx is the SoundFormat that announces an enhanced header.
const soundFormatEx = 9

// ParseAudio reads the header of an audio body. The errors wrap ErrTruncated.
//
//	annex E:  | sound format 4 | rate 2 | size 1 | channels 1 | AAC packet type 8 | data...
//	enhanced: | 9 (4) | packet type 4 | ModEx... | FourCC 32 | data...
func ParseAudio(body []byte) (AudioHeader, error) {
	if len(body) == 0 {
		return AudioHeader{}, fmt.Errorf("read audio header: %w", ErrTruncated)
	}
	format := body[0] >> 4
	if format == soundFormatEx {
		return parseExAudio(body)
	}
	h := AudioHeader{Codec: legacyAudio[format], Packet: Frames, Data: 1}
	if h.Codec != AAC {
		return h, nil
	}
	if len(body) < 2 {
		return h, fmt.Errorf("read AAC audio header: %w", ErrTruncated)
	}
	h.Data = 2
	switch body[1] {
	case 0:
		h.Packet = SequenceHeader
	case 1:
	default:
		h.Packet = Other
	}
	return h, nil
}

func parseExAudio(body []byte) (AudioHeader, error) {
	h := AudioHeader{Enhanced: true}
	packetType, at, err := skipModEx(body, body[0]&0x0f)
	if err != nil {
		return h, fmt.Errorf("read enhanced audio header: %w", err)
	}
	if packetType == exAudioMultitrk {
		h.Packet, h.Data = Multitrack, at
		return h, nil
	}
	if len(body) < at+4 {
		return h, fmt.Errorf("read enhanced audio header: %w", ErrTruncated)
	}
	h.Codec = Codec(binary.BigEndian.Uint32(body[at:]))
	h.Data = at + 4
	h.Packet = exAudioPacket(packetType)
	return h, nil
}

func exAudioPacket(packetType byte) Packet {
	switch packetType {
	case exSequenceStart:
		return SequenceHeader
	case exCodedFrames:
		return Frames
	case exSequenceEnd:
		return EndOfSequence
	case exAudioMultichan:
		return Metadata
	default: // what is not yet defined
		return Other
	}
}
