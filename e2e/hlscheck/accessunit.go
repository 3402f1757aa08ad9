package hlscheck

import (
	"crypto/sha256"
	"encoding/binary"
)

// Kind tells video from audio.
type Kind int

const (
	// Video is H.264 or H.265.
	Video Kind = iota
	// Audio is AAC in ADTS.
	Audio
)

func (k Kind) String() string {
	if k == Video {
		return "video"
	}
	return "audio"
}

// AccessUnit is one frame that came out of the origin.
type AccessUnit struct {
	Kind     Kind
	PTS, DTS int64 // 90 kHz, modulo 2^33; of the second and later AAC frames of a PES packet by count
	Size     int   // bytes that Sum covers
	Sum      Sum
	Random   bool   // video: an IDR; audio: always
	Segment  string // URL
	Sequence int64  // media sequence number of the segment
}

// Sum is what an access unit is recognised by: SHA-256 over what the encoder sent
// and the origin must not alter. See VideoSum and AudioSum.
type Sum [sha256.Size]byte

// VideoSum returns the Sum of a video access unit: each NALU preceded by its
// length in four bytes, leaving out access unit delimiters, SPS and PPS. So it is
// the same for AVCC with four-byte lengths and for Annex B.
func VideoSum(nalus [][]byte) (sum Sum, size int) {
	h := sha256.New()
	for _, n := range nalus {
		if len(n) == 0 {
			continue
		}
		if t := n[0] & 0x1f; t == naluAUD || t == naluSPS || t == naluPPS {
			continue
		}
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(n)))
		h.Write(length[:])
		h.Write(n)
		size += 4 + len(n)
	}
	h.Sum(sum[:0])
	return sum, size
}

// AudioSum returns the Sum of a raw AAC frame, without ADTS header.
func AudioSum(frame []byte) Sum { return sha256.Sum256(frame) }
