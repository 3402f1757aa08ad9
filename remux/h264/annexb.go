package h264

import (
	"bytes"
	"encoding/binary"
)

var startCode = []byte{0, 0, 1}

// IsAnnexB reports whether an access unit is in Annex B where AVCC belongs: some
// encoders (and the muxers of some cameras) send it as it left the codec.
//
// Both may begin alike: 00 00 00 01 is also the AVCC length of an end-of-sequence
// NALU of one byte, and 00 00 01 xx that of a NALU of 256 to 511 bytes. So a unit
// that is clean as AVCC is AVCC, and so is one whose first NALU is whole and of a
// type that begins an access unit, even if it is truncated later.
func IsAnnexB(au []byte) bool { return HasStartCodes(au, beginsUnit) }

// HasStartCodes is IsAnnexB for any codec with these byte formats: beginsUnit reports
// whether an access unit can begin with a NALU, which is not empty.
func HasStartCodes(au []byte, beginsUnit func(nalu []byte) bool) bool {
	var header int
	switch {
	case len(au) > 4 && au[0] == 0 && au[1] == 0 && au[2] == 0 && au[3] == 1:
		header = 4
	case len(au) > 3 && au[0] == 0 && au[1] == 0 && au[2] == 1:
		header = 3
	default:
		return false
	}
	if !beginsUnit(au[header:]) {
		return false
	}
	c := NALUs(au, 4)
	whole, plausible := 0, false
	for c.Next() {
		if whole == 0 {
			plausible = beginsUnit(c.NALU())
		}
		whole++
	}
	if whole > 0 && !c.Truncated() {
		return false
	}
	return header == 4 || !plausible
}

// beginsUnit reports whether a NALU is one that an access unit can begin with
// (7.4.1.2.3), where a reference picture has a nal_ref_idc that says so.
func beginsUnit(nalu []byte) bool {
	header := nalu[0]
	if header&0x80 != 0 {
		return false
	}
	isReference := header&0x60 != 0
	switch Type(header & 0x1F) {
	case TypeSlice, 2:
		return true
	case TypeIDR, TypeSPS, TypePPS:
		return isReference
	case TypeSEI, TypeAUD:
		return !isReference
	}
	return false
}

// AppendAVCC appends an Annex B byte stream to dst as AVCC with lengths of 4 bytes.
// Start codes of 3 and 4 bytes, zeros between NALUs and empty NALUs are taken as
// annex B.1 allows them; bytes before the first start code are left out.
func AppendAVCC(dst, annexB []byte) []byte {
	at := bytes.Index(annexB, startCode)
	if at < 0 {
		return dst
	}
	for rest := annexB[at+len(startCode):]; rest != nil; {
		nalu := rest
		if end := bytes.Index(rest, startCode); end >= 0 {
			nalu, rest = rest[:end], rest[end+len(startCode):]
		} else {
			rest = nil
		}
		// A NALU never ends in a zero byte (7.4.1): those belong to the next start
		// code or are padding.
		nalu = bytes.TrimRight(nalu, "\x00")
		if len(nalu) > 0 {
			dst = binary.BigEndian.AppendUint32(dst, uint32(len(nalu)))
			dst = append(dst, nalu...)
		}
	}
	return dst
}
