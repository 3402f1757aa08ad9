package load

import "math/bits"

// bitWriter writes the bit strings that H.264 and AAC headers are made of, most significant bit first.
type bitWriter struct {
	b    []byte
	free int // unused bits of the last byte
}

// u writes the low n bits of v, n at most 32.
func (w *bitWriter) u(n int, v uint32) {
	for n > 0 {
		if w.free == 0 {
			w.b, w.free = append(w.b, 0), 8
		}
		take := min(n, w.free)
		part := byte(v>>(n-take)) & (1<<take - 1)
		w.b[len(w.b)-1] |= part << (w.free - take)
		n, w.free = n-take, w.free-take
	}
}

// ue writes an unsigned Exp-Golomb code (ITU-T H.264, 9.1).
func (w *bitWriter) ue(v uint32) {
	n := bits.Len32(v + 1)
	w.u(n-1, 0)
	w.u(n, v+1)
}

// align fills the last byte with zeros.
func (w *bitWriter) align() { w.free = 0 }

// trailing writes rbsp_trailing_bits (7.3.2.11).
func (w *bitWriter) trailing() {
	w.u(1, 1)
	w.align()
}

// escape puts emulation prevention bytes into a NALU (7.4.1.1).
func escape(nalu []byte) []byte {
	out := make([]byte, 0, len(nalu)+len(nalu)/64)
	zeros := 0
	for _, b := range nalu {
		if zeros >= 2 && b <= 3 {
			out, zeros = append(out, 3), 0
		}
		if zeros++; b != 0 {
			zeros = 0
		}
		out = append(out, b)
	}
	return out
}
