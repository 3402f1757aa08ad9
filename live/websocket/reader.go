package websocket

import (
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxMessage bounds what a client may send as one message, in bytes: a viewer has nothing to
// say, and what it says all the same is a line of text of a player's.
const maxMessage = 64 << 10

// Error is a client's breach of the protocol. The connection must be closed with its code.
type Error struct {
	Code int
	Text string
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("websocket %d: %s", e.Code, e.Text) }

func breach(text string) error { return &Error{CloseProtocol, text} }

// Reader reads the frames of a client.
type Reader struct {
	in io.Reader
	// buf[at:end] has been read and not yet looked at.
	buf     [512]byte
	at, end int

	control [maxControl]byte
	// message is how much of a message has come that is not at its end; -1 is none.
	message int
}

// NewReader returns a reader. early is what was read from the connection already; it is copied,
// and must not have more than 512 bytes.
func NewReader(in io.Reader, early []byte) *Reader {
	r := &Reader{in: in, message: -1}
	r.end = copy(r.buf[:], early)
	return r
}

// frameHeader is the header of a client's frame.
type frameHeader struct {
	fin  bool
	op   Opcode
	size uint64
	mask [4]byte
}

// Next skips data and pongs, and returns the next ping with its payload, valid until the next
// call, or the end: Close with its status code, CloseNoStatus if it has none. An *Error is a
// breach of the protocol, any other error one of the connection.
func (r *Reader) Next() (op Opcode, payload []byte, code int, err error) {
	for {
		h, err := r.header()
		if err != nil {
			return 0, nil, 0, err
		}
		if !h.op.control() {
			if err := r.skip(h); err != nil {
				return 0, nil, 0, err
			}
			continue
		}
		payload = r.control[:h.size]
		if err := r.read(payload); err != nil {
			return 0, nil, 0, err
		}
		for i := range payload {
			payload[i] ^= h.mask[i%4]
		}
		switch h.op {
		case Ping:
			return Ping, payload, 0, nil
		case Close:
			code, err := closeCode(payload)
			return Close, nil, code, err
		}
	}
}

// header reads the header of a frame and checks it (5.2, 5.4, 5.5).
func (r *Reader) header() (h frameHeader, err error) {
	var b [8]byte
	if err := r.read(b[:2]); err != nil {
		return h, err
	}
	h.fin, h.op, h.size = b[0]&bitFin != 0, Opcode(b[0]&0xF), uint64(b[1]&^bitMask)
	masked := b[1]&bitMask != 0
	switch {
	case b[0]&bitsRSV != 0:
		return h, breach("a reserved bit is set")
	case h.op > Binary && h.op < Close || h.op > Pong:
		return h, breach("an opcode is reserved")
	case !masked:
		return h, breach("a client's frame is not masked")
	case h.op.control() && !h.fin:
		return h, breach("a control frame is fragmented")
	case h.op.control() && h.size > maxControl:
		return h, breach("a control frame is too long")
	case h.op == Continuation && r.message < 0:
		return h, breach("a continuation of nothing")
	case !h.op.control() && h.op != Continuation && r.message >= 0:
		return h, breach("a message within a message")
	}
	if err := r.length(&h, b[:]); err != nil {
		return h, err
	}
	return h, r.read(h.mask[:])
}

// length reads a longer length, which must not have been shorter (5.2).
func (r *Reader) length(h *frameHeader, b []byte) error {
	switch h.size {
	case 126:
		if err := r.read(b[:2]); err != nil {
			return err
		}
		if h.size = uint64(binary.BigEndian.Uint16(b)); h.size < 126 {
			return breach("a length is longer than it need be")
		}
	case 127:
		if err := r.read(b[:8]); err != nil {
			return err
		}
		if h.size = binary.BigEndian.Uint64(b); h.size < 1<<16 || h.size>>63 != 0 {
			return breach("a length is longer than it need be, or negative")
		}
	}
	return nil
}

// skip reads over the payload of a data frame.
func (r *Reader) skip(h frameHeader) error {
	r.message = max(r.message, 0)
	if h.size > uint64(maxMessage-r.message) {
		return &Error{CloseTooBig, "a message is too long"}
	}
	r.message += int(h.size)
	for left := int(h.size); left > 0; {
		if r.at == r.end {
			if err := r.fill(); err != nil {
				return err
			}
		}
		n := min(left, r.end-r.at)
		r.at += n
		left -= n
	}
	if h.fin {
		r.message = -1
	}
	return nil
}

// read fills b.
func (r *Reader) read(b []byte) error {
	for len(b) > 0 {
		if r.at == r.end {
			if err := r.fill(); err != nil {
				return err
			}
		}
		n := copy(b, r.buf[r.at:r.end])
		r.at += n
		b = b[n:]
	}
	return nil
}

// fill reads what there is from the connection.
func (r *Reader) fill() error {
	n, err := r.in.Read(r.buf[:])
	r.at, r.end = 0, n
	if n > 0 {
		return nil
	}
	return err
}

// closeCode reads the payload of a close frame (5.5.1, 7.4).
func closeCode(payload []byte) (int, error) {
	if len(payload) == 0 {
		return CloseNoStatus, nil
	}
	if len(payload) == 1 {
		return 0, breach("half a status code")
	}
	code := int(binary.BigEndian.Uint16(payload))
	switch {
	case code < 1000, code >= 1004 && code <= 1006, code >= 1015 && code < 3000, code >= 5000:
		return 0, breach("a status code that must not be sent")
	case !utf8.Valid(payload[2:]):
		return 0, &Error{CloseInvalid, "a reason that is not UTF-8"}
	}
	return code, nil
}
