package load

// picture writes H.264 in the baseline profile without an encoder: a grey picture in which some macroblocks
// are raw samples (I_PCM), as many as the wanted size takes. In the frames between keyframes the others are
// skipped. Section numbers are those of ITU-T H.264.
type picture struct {
	width, height int // of the cropped picture
	columns, rows int // of macroblocks
	fps           int
}

const (
	macroblock = 16
	// pcmBytes is an I_PCM macroblock in 4:2:0: 256 samples of luma, 128 of chroma, and about two bytes for
	// mb_skip_run, mb_type and alignment.
	pcmBytes = 256 + 128 + 2

	frameNumBits = 8
	sliceI       = 7 // slice_type, where all slices of the picture are such
	sliceP       = 5
)

func newPicture(width, height, fps int) picture {
	return picture{
		width: width, height: height, fps: fps,
		columns: (width + macroblock - 1) / macroblock, rows: (height + macroblock - 1) / macroblock,
	}
}

// level returns the lowest level_idc of table A-1 that has room for the picture and its rate.
func (p picture) level() uint32 {
	size := p.columns * p.rows
	for _, l := range []struct{ idc, size, rate int }{
		{30, 1620, 40_500}, {31, 3600, 108_000}, {32, 5120, 216_000}, {40, 8192, 245_760}, {42, 8704, 522_240},
		{50, 22_080, 589_824}, {51, 36_864, 983_040},
	} {
		if size <= l.size && size*p.fps <= l.rate {
			return uint32(l.idc)
		}
	}
	return 52
}

// sps writes seq_parameter_set_rbsp (7.3.2.1.1).
func (p picture) sps() []byte {
	w := bitWriter{}
	w.u(8, 0x67)
	w.u(8, 66)   // profile_idc: baseline,
	w.u(8, 0xc0) // and constrained baseline
	w.u(8, p.level())
	w.ue(0)                // seq_parameter_set_id
	w.ue(frameNumBits - 4) // log2_max_frame_num_minus4
	w.ue(2)                // pic_order_cnt_type: pictures are shown in the order in which they come
	w.ue(1)                // max_num_ref_frames
	w.u(1, 0)              // gaps_in_frame_num_value_allowed_flag
	w.ue(uint32(p.columns - 1))
	w.ue(uint32(p.rows - 1))
	w.u(1, 1) // frame_mbs_only_flag
	w.u(1, 1) // direct_8x8_inference_flag
	right, bottom := p.columns*macroblock-p.width, p.rows*macroblock-p.height
	if right > 0 || bottom > 0 {
		w.u(1, 1)
		w.ue(0)
		w.ue(uint32(right / 2))
		w.ue(0)
		w.ue(uint32(bottom / 2))
	} else {
		w.u(1, 0)
	}
	w.u(1, 1) // vui_parameters_present_flag, of which only the timing (E.1.1):
	w.u(4, 0)
	w.u(1, 1)
	w.u(32, 1)
	w.u(32, uint32(2*p.fps)) // time_scale counts fields
	w.u(1, 1)                // fixed_frame_rate_flag
	w.u(4, 0)
	w.trailing()
	return escape(w.b)
}

// pps writes pic_parameter_set_rbsp (7.3.2.2).
func (p picture) pps() []byte {
	w := bitWriter{}
	w.u(8, 0x68)
	w.ue(0)
	w.ue(0)
	w.u(2, 0) // entropy_coding_mode_flag: CAVLC
	w.ue(0)   // num_slice_groups_minus1
	w.ue(0)
	w.ue(0)
	w.u(3, 0) // weighted prediction: none
	w.ue(0)
	w.ue(0)
	w.ue(0)
	w.u(3, 0b100) // deblocking_filter_control_present_flag
	w.trailing()
	return escape(w.b)
}

// sliceHeader writes slice_header (7.3.3) of a picture of one slice, without what differs between the types.
func sliceHeader(w *bitWriter, sliceType uint32, frameNum int) {
	w.ue(0) // first_mb_in_slice
	w.ue(sliceType)
	w.ue(0)
	w.u(frameNumBits, uint32(frameNum))
}

// idr writes a keyframe of about so many bytes.
func (p picture) idr(id, seed, size int) []byte {
	w := bitWriter{b: make([]byte, 0, max(size, 0)+64)}
	w.u(8, 0x65)
	sliceHeader(&w, sliceI, 0)
	w.ue(uint32(id)) // idr_pic_id
	w.u(2, 0)        // dec_ref_pic_marking
	w.ue(0)          // slice_qp_delta, of which a signed 0 looks the same
	w.ue(1)          // disable_deblocking_filter_idc
	total := p.columns * p.rows
	raw := p.raw(seed, max(size-total, 0)) // a grey macroblock takes up to a byte and a half
	for i := range total {
		if raw.has(i) {
			w.ue(25) // mb_type I_PCM (table 7-11)
			pcm(&w, i+seed)
			continue
		}
		w.ue(3) // mb_type I_16x16_2_0_0: predicted from the mean, nothing coded
		w.ue(0) // intra_chroma_pred_mode
		w.ue(0) // mb_qp_delta
		p.noDC(&w, i, raw)
	}
	w.trailing()
	return escape(w.b)
}

// noDC writes coeff_token for no coefficients (9.2.1). Which table it is from depends on how many there are
// in the blocks to the left and above, where a raw macroblock counts as 16.
func (p picture) noDC(w *bitWriter, i int, raw span) {
	around, n := 0, 0
	if i%p.columns > 0 {
		n++
		if raw.has(i - 1) {
			around += 16
		}
	}
	if i >= p.columns {
		n++
		if raw.has(i - p.columns) {
			around += 16
		}
	}
	if n == 2 {
		around = (around + 1) / 2
	}
	if around >= 8 {
		w.u(6, 0b000011)
	} else {
		w.u(1, 1)
	}
}

// inter writes a frame of about so many bytes that is predicted from the one before.
func (p picture) inter(frameNum, seed, size int) []byte {
	w := bitWriter{b: make([]byte, 0, max(size, 0)+64)}
	w.u(8, 0x41)
	sliceHeader(&w, sliceP, frameNum)
	w.u(1, 0) // num_ref_idx_active_override_flag
	w.u(1, 0) // ref_pic_list_modification_flag_l0
	w.u(1, 0) // adaptive_ref_pic_marking_mode_flag
	w.ue(0)   // slice_qp_delta
	w.ue(1)   // disable_deblocking_filter_idc
	raw := p.raw(seed, size)
	skipped := uint32(raw.from)
	for i := raw.from; i < raw.to; i++ {
		w.ue(skipped) // mb_skip_run
		w.ue(5 + 25)  // mb_type I_PCM in a P slice (table 7-13)
		pcm(&w, i+seed)
		skipped = 0
	}
	if rest := p.columns*p.rows - raw.to; rest > 0 || raw.from == raw.to {
		w.ue(skipped + uint32(rest))
	}
	w.trailing()
	return escape(w.b)
}

// span is a run of macroblocks.
type span struct{ from, to int }

func (s span) has(i int) bool { return s.from <= i && i < s.to }

// raw chooses which macroblocks are raw: a run that fits the size and wanders over the picture.
func (p picture) raw(seed, size int) span {
	total := p.columns * p.rows
	n := min(max((size+pcmBytes/2)/pcmBytes, 0), total)
	from := 0
	if n < total {
		from = seed * max(n, 1) % (total - n + 1)
	}
	return span{from, from + n}
}

// pcm writes the samples of a raw macroblock, of one colour. None is 0, so nothing needs to be escaped.
func pcm(w *bitWriter, seed int) {
	w.align()
	for plane, n := range []int{256, 64, 64} {
		sample := byte(16 + (seed*(37+plane*11)+plane*90)%210)
		for range n {
			w.b = append(w.b, sample)
		}
	}
}
