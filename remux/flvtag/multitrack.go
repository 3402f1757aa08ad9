package flvtag

import (
	"encoding/binary"
	"fmt"
)

// AvMultitrackType of Enhanced RTMP v2.
const (
	oneTrack             = 0
	manyTracks           = 1
	manyTracksManyCodecs = 2
)

// Track is one track of a multitrack body.
type Track struct {
	ID    uint8
	Codec Codec
	// Packet and Composition are as in VideoHeader.
	Packet      Packet
	Composition int32
	// Data is the coded data, which lies at offset At of the body that was taken
	// apart.
	Data []byte
	At   int
}

// VideoTracks calls yield for each track of a multitrack video body, in order,
// until it returns false. h is what ParseVideo said of the body.
//
//	| type 4 | packet type 4 | [FourCC 32] | ( [FourCC 32] | track id 8 | [size 24] | data )...
//
// FourCC stands once in front, or before each track where their codecs differ; a
// body of one track has no size.
func VideoTracks(body []byte, h VideoHeader, yield func(Track) bool) error {
	return tracks(body, h.Data, func(t Track, packetType byte) bool {
		th, err := VideoHeader{Codec: t.Codec}.exPacket(t.Data, packetType)
		if err != nil {
			return true
		}
		t.Packet, t.Composition = th.Packet, th.Composition
		t.Data, t.At = t.Data[th.Data:], t.At+th.Data
		return yield(t)
	})
}

// AudioTracks is VideoTracks for an audio body.
func AudioTracks(body []byte, h AudioHeader, yield func(Track) bool) error {
	return tracks(body, h.Data, func(t Track, packetType byte) bool {
		t.Packet = exAudioPacket(packetType)
		return yield(t)
	})
}

func tracks(body []byte, at int, yield func(Track, byte) bool) error {
	if len(body) < at+1 {
		return fmt.Errorf("read multitrack header: %w", ErrTruncated)
	}
	kind, packetType := body[at]>>4, body[at]&0x0f
	at++
	var codec Codec
	if kind != manyTracksManyCodecs {
		if len(body) < at+4 {
			return fmt.Errorf("read multitrack codec: %w", ErrTruncated)
		}
		codec = Codec(binary.BigEndian.Uint32(body[at:]))
		at += 4
	}
	for at < len(body) {
		t := Track{Codec: codec}
		if kind == manyTracksManyCodecs {
			if len(body) < at+4 {
				return fmt.Errorf("read track codec: %w", ErrTruncated)
			}
			t.Codec = Codec(binary.BigEndian.Uint32(body[at:]))
			at += 4
		}
		if len(body) < at+1 {
			return fmt.Errorf("read track id: %w", ErrTruncated)
		}
		t.ID = body[at]
		at++
		size := len(body) - at
		if kind == manyTracks || kind == manyTracksManyCodecs {
			if len(body) < at+3 {
				return fmt.Errorf("read track size: %w", ErrTruncated)
			}
			size = int(body[at])<<16 | int(body[at+1])<<8 | int(body[at+2])
			at += 3
		}
		if size > len(body)-at {
			return fmt.Errorf("read track of %d bytes: %w", size, ErrTruncated)
		}
		t.Data, t.At = body[at:at+size], at
		at += size
		if !yield(t, packetType) {
			return nil
		}
		if kind == oneTrack {
			return nil
		}
	}
	return nil
}
