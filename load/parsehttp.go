package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"time"
)

const (
	// maxChunkLine bounds the size line of an HTTP chunk, extensions included.
	maxChunkLine = 256
	// maxChunk bounds what a size line may say: more is no chunk but a mistake.
	maxChunk = 1 << 40
)

// chunkParser takes the chunks of HTTP/1.1 (RFC 9112, section 7.1) apart.
type chunkParser struct {
	next parser
	line []byte // of the size, or the end of a chunk, as far as it has come
	left int64  // of the chunk's data
	tail bool   // the line break behind a chunk is to come
	last bool   // the chunk of size 0 was read
}

func (c *chunkParser) parse(p []byte, now time.Time) error {
	for len(p) > 0 {
		if c.left > 0 {
			n := min(c.left, int64(len(p)))
			if err := c.next.parse(p[:n], now); err != nil {
				return err
			}
			c.left, p = c.left-n, p[n:]
			c.tail = c.left == 0
			continue
		}
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			end = len(p) - 1
		}
		c.line, p = append(c.line, p[:end+1]...), p[end+1:]
		if len(c.line) > maxChunkLine {
			return malformedError("the size line of an HTTP chunk is too long")
		}
		if c.line[len(c.line)-1] != '\n' {
			return nil
		}
		if err := c.endOfLine(); err != nil {
			return err
		}
		c.line = c.line[:0]
	}
	return nil
}

func (c *chunkParser) endOfLine() error {
	text := bytes.TrimRight(c.line, "\r\n")
	switch {
	case c.last && len(text) == 0:
		return errEnded
	case c.last:
		return nil // a trailer
	case c.tail:
		c.tail = false
		if len(text) > 0 {
			return malformedError("an HTTP chunk is longer than its size")
		}
		return nil
	}
	digits, _, _ := bytes.Cut(text, []byte(";"))
	size, err := strconv.ParseUint(string(bytes.TrimSpace(digits)), 16, 64)
	if err != nil || size > maxChunk {
		return malformedError("the size line of an HTTP chunk is not one")
	}
	c.left, c.last = int64(size), size == 0
	return nil
}

// maxControl is the longest payload of a WebSocket control frame (RFC 6455, section 5.5).
const maxControl = 125

// The opcodes of RFC 6455, section 5.2.
const (
	opClose = 8
	opPing  = 9
	opPong  = 10
)

// frameParser takes the frames of a WebSocket apart, as a client receives them.
//
//	| fin 1, 000, opcode 4 | mask 1, length 7 | [length 16 or 64] | payload |
type frameParser struct {
	next parser       // nil only counts
	pong func([]byte) // answers a ping

	head    []byte
	left    uint64
	control bool // what is left belongs to a control frame,
	opcode  byte // of this kind,
	payload []byte
}

func (f *frameParser) parse(p []byte, now time.Time) error {
	for len(p) > 0 {
		if f.left == 0 {
			f.head, p = append(f.head, p[0]), p[1:]
			if err := f.header(); err != nil {
				return err
			}
			continue
		}
		n := min(f.left, uint64(len(p)))
		part := p[:n]
		f.left, p = f.left-n, p[n:]
		switch {
		case f.control:
			f.payload = append(f.payload, part...)
			if f.left == 0 {
				if err := f.endOfControl(); err != nil {
					return err
				}
			}
		case f.next != nil:
			if err := f.next.parse(part, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// header looks whether the header is complete, and if so begins with the payload.
func (f *frameParser) header() error {
	h := f.head
	if len(h) < 2 {
		return nil
	}
	if h[0]&0x70 != 0 || h[1]&0x80 != 0 {
		return malformedError("a WebSocket frame is masked or uses an extension")
	}
	size := uint64(h[1])
	switch {
	case size == 126 && len(h) < 4 || size == 127 && len(h) < 10:
		return nil
	case size == 126:
		size = uint64(binary.BigEndian.Uint16(h[2:]))
	case size == 127:
		size = binary.BigEndian.Uint64(h[2:])
	}
	f.opcode = h[0] & 0x0f
	f.control = f.opcode >= opClose
	if f.control && size > maxControl || size > maxChunk {
		return malformedError("a WebSocket frame is longer than it may be")
	}
	f.head, f.payload, f.left = f.head[:0], f.payload[:0], size
	if f.control && size == 0 {
		return f.endOfControl()
	}
	return nil
}

func (f *frameParser) endOfControl() error {
	switch f.opcode {
	case opPing:
		f.pong(f.payload)
	case opClose:
		if len(f.payload) >= 2 {
			if code := binary.BigEndian.Uint16(f.payload); code != 1000 {
				return errors.New("the WebSocket was closed with code " + strconv.Itoa(int(code)))
			}
		}
		return errEnded
	}
	return nil
}

// appendPong appends the answer to a ping: a masked frame, as those of clients are, whose mask is 0.
func appendPong(dst, payload []byte) []byte {
	dst = append(dst, 0x80|opPong, 0x80|byte(len(payload)), 0, 0, 0, 0)
	return append(dst, payload...)
}
