package hlscheck

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// NALU types of ITU-T H.265 table 7-1.
const (
	hevcBLA       = 16 // the first type of pictures at which decoding can begin
	hevcLastIRAP  = 23 // and the last
	hevcLastSlice = 31
	hevcVPS       = 32
	hevcSPS       = 33
	hevcPPS       = 34
	hevcAUD       = 35
	hevcPrefixSEI = 39
)

func hevcType(n []byte) byte { return n[0] >> 1 & 0x3f }

func isIRAP(t byte) bool { return t >= hevcBLA && t <= hevcLastIRAP }

// HEVCSum is VideoSum for H.265: it leaves out delimiters, VPS, SPS and PPS.
func HEVCSum(nalus [][]byte) (sum Sum, size int) {
	h := sha256.New()
	for _, n := range nalus {
		if len(n) == 0 {
			continue
		}
		if t := hevcType(n); t >= hevcVPS && t <= hevcAUD {
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

// hevc judges a PES packet of H.265: it must be one access unit.
func (x *examiner) hevc(p *pes) {
	nalus, problems := splitAnnexB(p.payload, func(n []byte) bool {
		t := hevcType(n)
		return t == hevcVPS || t == hevcSPS || t == hevcPPS
	})
	for i, n := range nalus {
		if len(n) < 3 || n[0]&1 != 0 || n[1]>>3 != 0 || n[1]&7 == 0 {
			problems = append(problems, fmt.Sprintf("NALU %d has the header %x (7.3.1.2, one layer)", i, n[:min(2, len(n))]))
		}
	}
	for _, problem := range problems {
		x.add("annexb-illegal", "packet %d: %s", p.first, problem)
	}
	if len(nalus) == 0 || len(nalus[0]) < 3 {
		x.add("stream-type-false", "packet %d: PID %d is H.265 by its stream_type, and holds no NALU of it", p.first, p.pid)
		return
	}
	u := &hevcUnit{pes: p}
	for _, n := range nalus {
		x.hevcNALU(u, n)
	}
	x.judgeHEVC(u, nalus)
	if !x.s.hasVideo {
		x.s.hasVideo, x.s.startsIDR = true, u.irap
		if order := u.order(); u.irap && !bytes.Equal(order, []byte{hevcVPS, hevcSPS, hevcPPS}) {
			x.add("first-unit-order", "packet %d: the first access unit is %v, not AUD, VPS, SPS, PPS, IRAP", p.first, u.types)
		}
	}
	x.clockBefore(p, p.dts, p.dts)
	sum, size := HEVCSum(nalus)
	x.s.units = append(x.s.units, AccessUnit{
		Kind: Video, PTS: p.pts, DTS: p.dts, Size: size, Sum: sum, Random: u.irap, Segment: x.s.url,
	})
}

// hevcUnit is what the NALUs of an access unit say.
type hevcUnit struct {
	pes   *pes
	types []byte // in order
	irap  bool
}

// order returns the types of the parameter sets before the first slice.
func (u *hevcUnit) order() (sets []byte) {
	for _, t := range u.types {
		if t <= hevcLastSlice {
			break
		}
		if t <= hevcPPS {
			sets = append(sets, t)
		}
	}
	return sets
}

func (x *examiner) hevcNALU(u *hevcUnit, n []byte) {
	t := hevcType(n)
	if isIRAP(t) && !u.irap {
		u.irap = true
		for _, set := range []byte{hevcVPS, hevcSPS, hevcPPS} {
			if bytes.IndexByte(u.types, set) < 0 {
				x.add("idr-without-parameters", "packet %d: a picture of type %d, and no NALU of type %d before it", u.pes.first, t, set)
			}
		}
	}
	u.types = append(u.types, t)
	switch {
	case t == hevcSPS:
		if x.s.config.sps != "" && x.s.config.sps != string(n) {
			x.add("configuration-changed", "packet %d: another SPS inside the segment", u.pes.first)
		}
		x.s.config.sps, x.s.config.hevc = string(n), true
	case t == hevcPPS && len(n) > 3:
		r := bitReader{b: unescape(n[2:])}
		r.ue() // pps_pic_parameter_set_id
		r.ue() // pps_seq_parameter_set_id
		r.u(2) // dependent_slice_segments_enabled_flag, output_flag_present_flag
		x.extraBits = int(r.u(3))
	}
}

// judgeHEVC applies ITU-T H.265 7.4.2.4.4 (order of NALUs), 7.4.2.2 (one type of
// slices in a picture) and 13818-1 2.17 (one delimiter, first in the access unit).
func (x *examiner) judgeHEVC(u *hevcUnit, nalus [][]byte) {
	n := u.pes.first
	if count := bytes.Count(u.types, []byte{hevcAUD}); u.types[0] != hevcAUD || count != 1 {
		x.add("aud-missing", "packet %d: the access unit begins with NALU type %d and has %d delimiters (NALUs %v)", n, u.types[0], count, u.types)
	}
	slice := bytes.IndexFunc(u.types, func(t rune) bool { return t <= hevcLastSlice })
	if slice < 0 {
		x.add("access-unit-without-picture", "packet %d: no slice among the NALUs %v", n, u.types)
		return
	}
	for _, t := range u.types[slice:] {
		switch {
		case t >= hevcVPS && t <= hevcAUD || t == hevcPrefixSEI:
			x.add("nalu-order", "packet %d: NALU type %d after a slice (%v)", n, t, u.types)
		case t <= hevcLastSlice && t != u.types[slice]:
			x.add("nalu-order", "packet %d: slices of types %d and %d in one picture (%v)", n, u.types[slice], t, u.types)
		}
	}
	if !u.pes.aligned {
		x.add("data-alignment", "packet %d: data_alignment_indicator is not set", n)
	}
	if u.pes.randomAccess && !u.irap {
		x.add("random-access-false", "packet %d: random_access_indicator on an access unit that is no random access point", n)
	}
	if u.irap && !u.pes.randomAccess {
		x.add("random-access-missing", "packet %d: a random access point without random_access_indicator", n)
	}
	x.checkHEVCDelimiter(n, nalus)
}

// checkHEVCDelimiter compares the delimiter with the first slice: pic_type 0 allows I, 1
// P as well, 2 all (table 7-2); slice_type is 0 for B, 1 for P, 2 for I (table 7-7).
func (x *examiner) checkHEVCDelimiter(n int, nalus [][]byte) {
	if hevcType(nalus[0]) != hevcAUD {
		return
	}
	if len(nalus[0]) != 3 || nalus[0][2]&0x1f != 0x10 || nalus[0][2]>>5 > 2 {
		x.add("aud-malformed", "packet %d: the delimiter is %x", n, nalus[0])
		return
	}
	for _, nalu := range nalus[1:] {
		t := hevcType(nalu)
		if t > hevcLastSlice {
			continue
		}
		r := bitReader{b: unescape(nalu[2:min(len(nalu), 16)])}
		if r.u(1) == 0 { // only the first slice segment can be read without the SPS
			continue
		}
		if isIRAP(t) {
			r.u(1) // no_output_of_prior_pics_flag
		}
		r.ue() // slice_pic_parameter_set_id
		r.u(x.extraBits)
		if s := r.ue(); !r.short && (s > 2 || s < 2-uint32(nalus[0][2]>>5)) {
			x.add("aud-malformed", "packet %d: pic_type %d does not allow slice_type %d", n, nalus[0][2]>>5, s)
		}
	}
}
