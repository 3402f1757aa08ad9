package load

const (
	sampleRate      = 48_000
	samplesPerFrame = 1024
)

// audioConfig is an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1): AAC LC, 48 kHz, stereo.
var audioConfig = []byte{0x11, 0x90}

// silence writes a raw_data_block (ISO/IEC 14496-3, 4.4.2.1) of AAC LC: two channels without a spectrum,
// and fill elements up to the size that makes the bitrate.
func silence(bitrate int) []byte {
	size := bitrate * samplesPerFrame / sampleRate / 8
	w := bitWriter{}
	w.u(3, 1) // channel_pair_element
	w.u(4, 0) // element_instance_tag
	w.u(1, 0) // common_window
	for range 2 {
		w.u(8, 100) // global_gain
		w.u(1, 0)   // ics_reserved_bit
		w.u(2, 0)   // window_sequence: ONLY_LONG_SEQUENCE
		w.u(1, 0)   // window_shape
		w.u(6, 0)   // max_sfb: no scale factor band is coded
		w.u(1, 0)   // predictor_data_present
		w.u(3, 0)   // pulse data, TNS data, gain control: none
	}
	for {
		// A fill element of 15 bytes or more takes 15 bits and its payload.
		left := size - len(w.b) - 3
		if left < 15 {
			break
		}
		fill(&w, min(left, 15+255-1))
	}
	w.u(3, 7) // ID_END
	return w.b
}

// fill writes a fill_element of n bytes, 15 to 269 (4.4.2.7).
func fill(w *bitWriter, n int) {
	w.u(3, 6)
	w.u(4, 15)
	w.u(8, uint32(n-15+1))
	for range n {
		w.u(8, 0) // extension_type EXT_FILL, and its nibbles of 0
	}
}
