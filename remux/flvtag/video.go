package flvtag

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrTruncated reports a body that ends inside its own header.
var ErrTruncated = errors.New("tag body ends inside its header")

// FrameType is the kind of a video frame (annex E.4.3.1).
type FrameType uint8

// The frame types that matter to a remuxer.
const (
	FrameKey     FrameType = 1
	FrameInter   FrameType = 2
	FrameCommand FrameType = 5
)

// Packet says what a body carries.
type Packet uint8

// The kinds of packets, for audio and for video.
const (
	// Frames is coded media.
	Frames Packet = iota + 1
	// SequenceHeader is the decoder configuration.
	SequenceHeader
	// EndOfSequence has no data and is no frame, whatever its frame type says.
	EndOfSequence
	// Metadata describes the frames to come (Enhanced RTMP): HDR colour information
	// of video, the order of channels of audio.
	Metadata
	// Multitrack holds tracks with their ids; VideoTracks and AudioTracks take it
	// apart.
	Multitrack
	// Other is a packet that carries no media, such as a seek command.
	Other
)

// VideoHeader is what stands in front of the coded data of a video body.
type VideoHeader struct {
	Codec  Codec
	Frame  FrameType
	Packet Packet
	// Composition is PTS less DTS in milliseconds, -8388608 to 8388607, as the
	// encoder sent it; 0 where the packet has none.
	Composition int32
	// Data is the offset of the coded data in the body.
	Data int
	// Enhanced tells a FourCC header from the one of annex E.
	Enhanced bool
}

// Enhanced RTMP v2, "Enhanced Video": VideoPacketType.
const (
	exSequenceStart  = 0
	exCodedFrames    = 1
	exSequenceEnd    = 2
	exCodedFramesX   = 3
	exMetadata       = 4
	exMPEG2TSSeq     = 5
	exMultitrack     = 6
	exModEx          = 7
	exAudioMultichan = 4
	exAudioMultitrk  = 5
	maxModEx         = 8 // more modifiers than the specification defines are a loop in disguise
)

// ParseVideo reads the header of a video body. The errors wrap ErrTruncated.
//
//	annex E:  | frame type 4 | codec id 4 | packet type 8 | composition 24 | data...   (AVC)
//	enhanced: | 1 | frame type 3 | packet type 4 | ModEx... | FourCC 32 | [composition 24] | data...
func ParseVideo(body []byte) (VideoHeader, error) {
	if len(body) == 0 {
		return VideoHeader{}, fmt.Errorf("read video header: %w", ErrTruncated)
	}
	if body[0]&0x80 != 0 {
		return parseExVideo(body)
	}
	h := VideoHeader{
		Codec:  legacyVideo[body[0]&0x0f],
		Frame:  FrameType(body[0] >> 4 & 7),
		Packet: Frames,
		Data:   1,
	}
	if h.Frame == FrameCommand {
		h.Packet = Other
		return h, nil
	}
	if h.Codec != H264 && h.Codec != HEVC {
		return h, nil
	}
	if len(body) < 5 {
		return h, fmt.Errorf("read AVC video header: %w", ErrTruncated)
	}
	h.Composition = int24(body[2:])
	h.Data = 5
	switch body[1] {
	case 0:
		h.Packet = SequenceHeader
	case 1:
	case 2:
		h.Packet = EndOfSequence
	default:
		h.Packet = Other
	}
	return h, nil
}

func parseExVideo(body []byte) (VideoHeader, error) {
	h := VideoHeader{Frame: FrameType(body[0] >> 4 & 7), Enhanced: true}
	packetType, at, err := skipModEx(body, body[0]&0x0f)
	if err != nil {
		return h, fmt.Errorf("read enhanced video header: %w", err)
	}
	if h.Frame == FrameCommand && packetType != exMetadata {
		h.Packet, h.Data = Other, at
		return h, nil
	}
	if packetType == exMultitrack {
		h.Packet, h.Data = Multitrack, at
		return h, nil
	}
	if len(body) < at+4 {
		return h, fmt.Errorf("read enhanced video header: %w", ErrTruncated)
	}
	h.Codec = Codec(binary.BigEndian.Uint32(body[at:]))
	h.Data = at + 4
	return h.exPacket(body, packetType)
}

// exPacket finishes a header whose FourCC is known with what packetType means.
func (h VideoHeader) exPacket(body []byte, packetType byte) (VideoHeader, error) {
	switch packetType {
	case exSequenceStart:
		h.Packet = SequenceHeader
	case exCodedFrames:
		h.Packet = Frames
		if h.Codec != H264 && h.Codec != HEVC && h.Codec != VVC {
			return h, nil
		}
		if len(body) < h.Data+3 {
			return h, fmt.Errorf("read composition time: %w", ErrTruncated)
		}
		h.Composition = int24(body[h.Data:])
		h.Data += 3
	case exCodedFramesX:
		h.Packet = Frames
	case exSequenceEnd:
		h.Packet = EndOfSequence
	case exMetadata:
		h.Packet = Metadata
	default: // exMPEG2TSSeq and what is not yet defined
		h.Packet = Other
	}
	return h, nil
}

// skipModEx steps over the modifiers (nanosecond offsets and the like) that may
// stand between the packet type and the FourCC, and returns the packet type
// behind them and its offset.
//
//	| size-1 8 (255: 16 more) | data | modifier type 4 | packet type 4 |
func skipModEx(body []byte, packetType byte) (next byte, at int, err error) {
	at = 1
	for range maxModEx {
		if packetType != exModEx {
			return packetType, at, nil
		}
		if len(body) < at+1 {
			return 0, 0, ErrTruncated
		}
		size := int(body[at]) + 1
		at++
		if size == 256 {
			if len(body) < at+2 {
				return 0, 0, ErrTruncated
			}
			size = int(binary.BigEndian.Uint16(body[at:])) + 1
			at += 2
		}
		if len(body) < at+size+1 {
			return 0, 0, ErrTruncated
		}
		at += size
		packetType = body[at] & 0x0f
		at++
	}
	return 0, 0, errors.New("more modifiers than any encoder sends")
}

func int24(b []byte) int32 {
	return int32(uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8) >> 8
}
