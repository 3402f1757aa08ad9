package hlscheck

import (
	"bytes"
	"fmt"
)

// NALU types of ITU-T H.264 table 7-1.
const (
	naluSlice = 1
	naluPartA = 2
	naluIDR   = 5
	naluSEI   = 6
	naluSPS   = 7
	naluPPS   = 8
	naluAUD   = 9
)

// videoUnit is what the NALUs of one access unit say.
type videoUnit struct {
	types  []byte // NALU types in order
	idr    bool
	pes    *pes
	hasSPS bool
	hasPPS bool
}

// splitAnnexB returns the NALUs of a byte stream, ITU-T H.264 and H.265 annex B, and
// what is wrong with the stream itself. isSet tells parameter sets.
func splitAnnexB(b []byte, isSet func(nalu []byte) bool) (nalus [][]byte, problems []string) {
	start := nextStartCode(b, 0)
	if start > 1 || start == 1 && b[0] != 0 {
		problems = append(problems, "the payload does not begin with a start code")
	}
	if start == len(b) {
		return nil, problems
	}
	for start < len(b) {
		begin := start + 3
		end := nextStartCode(b, begin)
		nalu := bytes.TrimRight(b[begin:end], "\x00")
		switch {
		case len(nalu) == 0:
			problems = append(problems, "an empty NALU")
		default:
			long := start > 0 && b[start-1] == 0
			if !long && (len(nalus) == 0 || isSet(nalu)) {
				problems = append(problems, fmt.Sprintf("NALU %d (%02x) needs a start code of four bytes (B.1.2)", len(nalus), nalu[0]))
			}
			if nalu[0]&0x80 != 0 {
				problems = append(problems, fmt.Sprintf("NALU %d has forbidden_zero_bit set", len(nalus)))
			}
			if bytes.Contains(nalu, []byte{0, 0, 0}) {
				problems = append(problems, fmt.Sprintf("NALU %d (%02x) holds three zero bytes", len(nalus), nalu[0]))
			}
			nalus = append(nalus, nalu)
		}
		start = end
	}
	return nalus, problems
}

// nextStartCode returns the index of 00 00 01 at or after from, or len(b).
func nextStartCode(b []byte, from int) int {
	if i := bytes.Index(b[from:], []byte{0, 0, 1}); i >= 0 {
		return from + i
	}
	return len(b)
}

// video judges a video PES packet: it must be one access unit.
func (x *examiner) video(p *pes) {
	nalus, problems := splitAnnexB(p.payload, func(n []byte) bool { return n[0]&0x1f == naluSPS || n[0]&0x1f == naluPPS })
	for _, problem := range problems {
		x.add("annexb-illegal", "packet %d: %s", p.first, problem)
	}
	if len(nalus) == 0 {
		x.add("stream-type-false", "packet %d: PID %d is H.264 by its stream_type, and holds no NALU", p.first, p.pid)
		return
	}
	u := &videoUnit{pes: p}
	for _, n := range nalus {
		x.nalu(u, n)
	}
	x.judgeUnit(u, nalus)
	if !x.s.hasVideo {
		x.s.hasVideo, x.s.startsIDR = true, u.idr
		x.judgeFirst(u)
	}
	x.clockBefore(p, p.dts, p.dts)
	sum, size := VideoSum(nalus)
	x.s.units = append(x.s.units, AccessUnit{
		Kind: Video, PTS: p.pts, DTS: p.dts, Size: size, Sum: sum, Random: u.idr, Segment: x.s.url,
	})
}

func (x *examiner) nalu(u *videoUnit, n []byte) {
	t := n[0] & 0x1f
	u.types = append(u.types, t)
	switch t {
	case naluSPS:
		if x.s.config.sps != "" && x.s.config.sps != string(n) {
			x.add("configuration-changed", "packet %d: another SPS inside the segment", u.pes.first)
		}
		x.s.config.sps = string(n)
		u.hasSPS = true
	case naluPPS:
		u.hasPPS = true
	case naluIDR:
		if !u.idr && (!u.hasSPS || !u.hasPPS) {
			x.add("idr-without-parameters", "packet %d: an IDR with SPS %v and PPS %v before it", u.pes.first, u.hasSPS, u.hasPPS)
		}
		u.idr = true
	}
}

// judgeUnit applies ITU-T H.264 7.4.1.2.3 (order of NALUs) and 13818-1 2.14
// (one delimiter, first in the access unit).
func (x *examiner) judgeUnit(u *videoUnit, nalus [][]byte) {
	n := u.pes.first
	if count := bytes.Count(u.types, []byte{naluAUD}); u.types[0] != naluAUD || count != 1 {
		x.add("aud-missing", "packet %d: the access unit begins with NALU type %d and has %d delimiters (NALUs %v)", n, u.types[0], count, u.types)
	}
	slice := bytes.IndexAny(u.types, string([]byte{naluSlice, naluPartA, naluIDR}))
	if slice < 0 {
		x.add("access-unit-without-picture", "packet %d: no slice among the NALUs %v", n, u.types)
		return
	}
	if after := bytes.IndexAny(u.types[slice:], string([]byte{naluSEI, naluSPS, naluPPS, naluAUD})); after >= 0 {
		x.add("nalu-order", "packet %d: NALU type %d after a slice (%v)", n, u.types[slice+after], u.types)
	}
	if !u.pes.aligned {
		x.add("data-alignment", "packet %d: data_alignment_indicator is not set", n)
	}
	if u.idr && bytes.IndexByte(u.types, naluSlice) >= 0 {
		x.add("nalu-order", "packet %d: IDR and non-IDR slices in one access unit (%v)", n, u.types)
	}
	if u.pes.randomAccess && !u.idr {
		x.add("random-access-false", "packet %d: random_access_indicator on an access unit without IDR", n)
	}
	if u.idr && !u.pes.randomAccess {
		x.add("random-access-missing", "packet %d: an IDR without random_access_indicator", n)
	}
	checkDelimiter(x, n, nalus)
}

// sliceTypesOf lists, by primary_pic_type, the slice types (modulo 5: P, B, I, SP,
// SI) that an access unit delimiter allows, ITU-T H.264 table 7-5.
var sliceTypesOf = [8]string{"\x02", "\x00\x02", "\x00\x01\x02", "\x04", "\x03\x04", "\x02\x04", "\x00\x02\x03\x04", "\x00\x01\x02\x03\x04"}

// checkDelimiter compares the delimiter with the slices after it.
func checkDelimiter(x *examiner, n int, nalus [][]byte) {
	if nalus[0][0]&0x1f != naluAUD {
		return
	}
	if len(nalus[0]) != 2 || nalus[0][1]&0x1f != 0x10 {
		x.add("aud-malformed", "packet %d: the delimiter is %x", n, nalus[0])
		return
	}
	allowed := sliceTypesOf[nalus[0][1]>>5]
	for _, nalu := range nalus[1:] {
		if t := nalu[0] & 0x1f; t != naluSlice && t != naluIDR {
			continue
		}
		r := bitReader{b: unescape(nalu[1:min(len(nalu), 16)])}
		r.ue() // first_mb_in_slice
		if s := r.ue(); !r.short && bytes.IndexByte([]byte(allowed), byte(s%5)) < 0 {
			x.add("aud-malformed", "packet %d: primary_pic_type %d does not allow slice_type %d", n, nalus[0][1]>>5, s)
		}
	}
}

// judgeFirst checks that the first access unit can be decoded with nothing before
// it. A forced cut is allowed to break this, at the price of the claim that
// segments are independent: see checkIndependence.
func (x *examiner) judgeFirst(u *videoUnit) {
	if !u.idr {
		return
	}
	sps, pps := bytes.IndexByte(u.types, naluSPS), bytes.IndexByte(u.types, naluPPS)
	if idr := bytes.IndexByte(u.types, naluIDR); sps < 0 || pps < sps || idr < pps {
		x.add("first-unit-order", "packet %d: the first access unit is %v, not AUD, SPS, PPS, IDR", u.pes.first, u.types)
	}
}
