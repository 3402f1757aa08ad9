package mpegts

import "encoding/binary"

// Flags of an adaptation field (2.4.3.4).
const (
	flagDiscontinuity = 0x80
	flagRandomAccess  = 0x40
	flagPCR           = 0x10
)

// adaptation says what an adaptation field must hold.
type adaptation struct {
	flags byte
	pcr   int64 // time, if flags has flagPCR
	room  int   // the least size, where that was planned before the flags were known
}

// pcrFieldSize is the size of a field with a PCR.
const pcrFieldSize = 8

// size is the size of the field, its length byte included, without stuffing.
func (a adaptation) size() int {
	switch {
	case a.flags&flagPCR != 0:
		return max(a.room, pcrFieldSize)
	case a.flags != 0:
		return max(a.room, 2)
	}
	return a.room
}

// write writes a field of len(p) bytes, which is at least a.size(). One byte is the
// length alone.
//
//	| length 8 | flags 8 | [PCR base 33 | 111111 | PCR extension 9] | stuffing FF... |
func (a adaptation) write(p []byte) {
	if len(p) == 0 {
		return
	}
	p[0] = byte(len(p) - 1)
	if len(p) == 1 {
		return
	}
	p[1] = a.flags
	at := 2
	if a.flags&flagPCR != 0 {
		// The extension counts 27 MHz within a tick of 90 kHz: always 0.
		v := uint64(a.pcr)&timestampMask<<15 | 0x3F<<9
		binary.BigEndian.PutUint16(p[2:], uint16(v>>32))
		binary.BigEndian.PutUint32(p[4:], uint32(v))
		at = pcrFieldSize
	}
	for i := at; i < len(p); i++ {
		p[i] = 0xFF
	}
}

// header returns the first four bytes of a packet with the counter at 0, as they lie
// in a little-endian word: the counter is added in its top byte.
func header(pid uint16, control byte) uint32 {
	return 0x47 | uint32(pid>>8)<<8 | uint32(pid&0xFF)<<16 | uint32(control)<<24
}

const (
	startBit       = 0x40 << 8 // payload_unit_start_indicator, in a header word
	controlPayload = 0x10
	controlField   = 0x20
)

// A packer writes one PES packet of known size into packets.
type packer struct {
	buf   []byte // exactly the packets to be written
	pos   int    // where the next byte of payload goes
	end   int    // where the packet that pos is in ends
	left  int    // bytes of the PES packet that come after end
	track *track
}

// packets returns the number of packets for size bytes of PES packet, with fields
// bytes of adaptation fields that are not stuffing.
func packets(size, fields int) int {
	return (size + fields + payloadSize - 1) / payloadSize
}

// open begins the next packet: its adaptation field holds what it must, and stuffing
// if the rest of the PES packet does not fill it.
func (w *packer) open(start uint32, a adaptation) {
	p := (*[PacketSize]byte)(w.buf[w.end:])
	field := max(a.size(), payloadSize-w.left)
	control := byte(controlPayload)
	if field > 0 {
		control |= controlField
	}
	t := w.track
	binary.LittleEndian.PutUint32(p[:], header(t.pid, control|t.counter)|start)
	t.counter = (t.counter + 1) & 0xF
	a.write(p[4 : 4+field])
	w.pos = w.end + 4 + field
	w.end += PacketSize
	w.left -= payloadSize - field
}

// put adds bytes of the PES packet.
func (w *packer) put(b []byte) {
	for {
		n := copy(w.buf[w.pos:w.end], b)
		w.pos += n
		b = b[n:]
		if len(b) == 0 {
			return
		}
		if len(b) >= payloadSize {
			b = w.putWhole(b)
			if len(b) == 0 {
				return
			}
		}
		w.open(0, adaptation{})
	}
}

// putWhole writes the packets that b fills from end to end, which is most of a
// stream: a word and a fixed-size copy each. It returns what is left of b.
func (w *packer) putWhole(b []byte) []byte {
	t := w.track
	head := header(t.pid, controlPayload)
	counter := uint32(t.counter)
	out := w.buf[w.end:]
	whole := len(b) / payloadSize
	for range whole {
		p := (*[PacketSize]byte)(out)
		binary.LittleEndian.PutUint32(p[:4], head|counter<<24)
		*(*[payloadSize]byte)(p[4:]) = *(*[payloadSize]byte)(b)
		counter = (counter + 1) & 0xF
		out, b = out[PacketSize:], b[payloadSize:]
	}
	t.counter = uint8(counter)
	w.end += whole * PacketSize
	w.pos = w.end
	w.left -= whole * payloadSize
	return b
}
