package hlscheck

import (
	"fmt"
	"math/bits"
	"strings"
)

// parseHEVCSPS reads a sequence parameter set of ITU-T H.265 (7.3.2.2) as far as the size
// of the picture.
func parseHEVCSPS(nalu []byte) (videoFormat, error) {
	if len(nalu) < 4 || hevcType(nalu) != hevcSPS {
		return videoFormat{}, fmt.Errorf("not a sequence parameter set")
	}
	r := &bitReader{b: unescape(nalu[2:])}
	r.u(4) // sps_video_parameter_set_id
	layers := int(r.u(3))
	r.u(1) // sps_temporal_id_nesting_flag
	v := videoFormat{codec: profileTierLevel(r, layers)}
	r.ue() // sps_seq_parameter_set_id
	chroma := r.ue()
	separate := chroma == 3 && r.u(1) == 1
	width, height := int(r.ue()), int(r.ue())
	if r.u(1) == 1 { // conformance_window_flag
		unitX, unitY := 1, 1
		if !separate && (chroma == 1 || chroma == 2) {
			unitX = 2
		}
		if !separate && chroma == 1 {
			unitY = 2
		}
		width -= unitX * int(r.ue()+r.ue())
		height -= unitY * int(r.ue()+r.ue())
	}
	if r.short || width <= 0 || height <= 0 {
		return videoFormat{}, fmt.Errorf("the sequence parameter set is cut short")
	}
	v.width, v.height = width, height
	return v, nil
}

// profileTierLevel reads 7.3.3 and returns what ISO 14496-15 annex E makes of it, for
// example "hvc1.1.6.L93.B0".
func profileTierLevel(r *bitReader, layers int) string {
	space, tier, profile := r.u(2), r.u(1), r.u(5)
	compatible := bits.Reverse32(r.u(32))
	var constraints []uint32
	for range 6 {
		constraints = append(constraints, r.u(8))
	}
	level := r.u(8)
	var present [8][2]bool
	for i := range layers {
		present[i] = [2]bool{r.u(1) == 1, r.u(1) == 1}
	}
	if layers > 0 {
		r.u(2 * (8 - layers))
	}
	for _, p := range present {
		if p[0] {
			r.u(88)
		}
		if p[1] {
			r.u(8)
		}
	}
	var b strings.Builder
	b.WriteString("hvc1.")
	if space > 0 {
		b.WriteByte("ABC"[space-1])
	}
	fmt.Fprintf(&b, "%d.%X.%c%d", profile, compatible, "LH"[tier], level)
	for len(constraints) > 0 && constraints[len(constraints)-1] == 0 {
		constraints = constraints[:len(constraints)-1]
	}
	for _, c := range constraints {
		fmt.Fprintf(&b, ".%X", c)
	}
	return b.String()
}
