package aac

// idPCE is the id_syn_ele of a program_config_element in a raw_data_block.
const idPCE = 5

// readProgram reads a program_config_element (4.4.1.1), which lists the channels
// where no channelConfiguration fits, and keeps it as the element that ADTS frames
// must begin with: there the header cannot hold it.
//
//	| tag 4 | object type 2 | frequency index 4 |
//	| front 4 | side 4 | back 4 | LFE 2 | data 3 | coupling 4 |
//	| mono mixdown 1 [4] | stereo mixdown 1 [4] | matrix mixdown 1 [3] |
//	| { pair 1 | tag 4 } × (front, side, back) | { tag 4 } × LFE | { tag 4 } × data | { 1 | tag 4 } × coupling |
//	| alignment | comment length 8 | comment |
//
// Without a comment the element is at most 50 bytes, and with its alignment moved it
// ends at a byte, so that the frame follows as it is. What is no program is left
// unread: then the frames themselves must begin with one.
func (c *Config) readProgram(from *bitReader) {
	r := *from
	start := r.pos
	r.bits(4 + 2 + 4)
	front, side, back := r.bits(4), r.bits(4), r.bits(4)
	lfe, data, coupling := r.bits(2), r.bits(3), r.bits(4)
	for _, size := range [...]int{4, 4, 3} {
		if r.bits(1) == 1 {
			r.bits(size)
		}
	}
	channels := lfe
	for range front + side + back {
		channels += 1 + r.bits(1)
		r.bits(4)
	}
	r.bits(int(4*(lfe+data) + 5*coupling))
	if r.short || channels == 0 {
		return
	}
	c.Channels = int(channels)
	c.program = programElement(bitReader{data: r.data, pos: start}, r.pos-start)
	// The comment is skipped, since signalling of SBR may follow it.
	r.pos = (r.pos + 7) &^ 7
	r.pos += 8 * int(r.bits(8))
	r.short = false
	*from = r
}

// programElement writes an element with n bits from r in it and no comment.
func programElement(r bitReader, n int) string {
	w := bitWriter{}
	w.bits(idPCE, 3)
	for range n {
		w.bits(r.bits(1), 1)
	}
	w.pos = (w.pos + 7) &^ 7
	w.bits(0, 8) // the length of the comment
	return string(w.data)
}

type bitWriter struct {
	data []byte
	pos  int
}

func (w *bitWriter) bits(v uint32, n int) {
	for i := n - 1; i >= 0; i-- {
		for w.pos>>3 >= len(w.data) {
			w.data = append(w.data, 0)
		}
		w.data[w.pos>>3] |= byte(v>>i&1) << (7 - w.pos&7)
		w.pos++
	}
}
