package hlscheck

import (
	"bytes"
	"fmt"
)

// videoFormat is what the CODECS and RESOLUTION of a variant must say.
type videoFormat struct {
	codec         string // RFC 6381, for example "avc1.64001f"
	width, height int    // after cropping
}

// bitReader reads the fields of an RBSP, ITU-T H.264 7.2 and 9.1.
type bitReader struct {
	b     []byte
	pos   int
	short bool // more was read than there is
}

func (r *bitReader) u(n int) (v uint32) {
	for range n {
		v <<= 1
		if r.pos >= 8*len(r.b) {
			r.short = true
			continue
		}
		v |= uint32(r.b[r.pos/8]>>(7-r.pos%8)) & 1
		r.pos++
	}
	return v
}

func (r *bitReader) ue() uint32 {
	zeros := 0
	for r.u(1) == 0 {
		if zeros++; zeros > 31 || r.short {
			r.short = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.u(zeros)
}

func (r *bitReader) se() int32 {
	v := r.ue()
	if v&1 == 1 {
		return int32(v/2) + 1
	}
	return -int32(v / 2)
}

// unescape removes emulation prevention bytes.
func unescape(b []byte) []byte {
	return bytes.ReplaceAll(b, []byte{0, 0, 3}, []byte{0, 0})
}

// highProfiles have a chroma format and scaling matrices, ITU-T H.264 7.3.2.1.1.
var highProfiles = []byte{100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}

// parseSPS reads a sequence parameter set as far as the size of the picture.
func parseSPS(nalu []byte) (videoFormat, error) {
	if len(nalu) < 5 || nalu[0]&0x1f != naluSPS {
		return videoFormat{}, fmt.Errorf("not a sequence parameter set")
	}
	v := videoFormat{codec: fmt.Sprintf("avc1.%02x%02x%02x", nalu[1], nalu[2], nalu[3])}
	r := &bitReader{b: unescape(nalu[4:])}
	r.ue() // seq_parameter_set_id
	chroma, separate := uint32(1), uint32(0)
	if bytes.IndexByte(highProfiles, nalu[1]) >= 0 {
		if chroma = r.ue(); chroma == 3 {
			separate = r.u(1)
		}
		r.ue() // bit_depth_luma_minus8
		r.ue() // bit_depth_chroma_minus8
		r.u(1) // qpprime_y_zero_transform_bypass_flag
		if r.u(1) == 1 {
			skipScaling(r, chroma)
		}
	}
	r.ue() // log2_max_frame_num_minus4
	switch r.ue() {
	case 0:
		r.ue() // log2_max_pic_order_cnt_lsb_minus4
	case 1:
		r.u(1) // delta_pic_order_always_zero_flag
		r.se() // offset_for_non_ref_pic
		r.se() // offset_for_top_to_bottom_field
		for n := r.ue(); n > 0 && !r.short; n-- {
			r.se()
		}
	}
	r.ue() // max_num_ref_frames
	r.u(1) // gaps_in_frame_num_value_allowed_flag
	width, height := 16*int(r.ue()+1), 16*int(r.ue()+1)
	frames := int(r.u(1)) // frame_mbs_only_flag
	if frames == 0 {
		r.u(1) // mb_adaptive_frame_field_flag
	}
	height *= 2 - frames
	r.u(1) // direct_8x8_inference_flag
	if r.u(1) == 1 {
		unitX, unitY := 1, 2-frames
		if separate == 0 && (chroma == 1 || chroma == 2) {
			unitX = 2
		}
		if separate == 0 && chroma == 1 {
			unitY *= 2
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

// skipScaling reads past the scaling lists, ITU-T H.264 7.3.2.1.1.1.
func skipScaling(r *bitReader, chroma uint32) {
	lists := 8
	if chroma == 3 {
		lists = 12
	}
	for i := range lists {
		if r.u(1) == 0 {
			continue
		}
		size := 16
		if i >= 6 {
			size = 64
		}
		last, next := int32(8), int32(8)
		for range size {
			if next != 0 {
				next = (last + r.se() + 256) % 256
			}
			if next != 0 {
				last = next
			}
		}
	}
}
