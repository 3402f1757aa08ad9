package websocket

import "encoding/binary"

// Opcode says what a frame is (11.8).
type Opcode byte

// The opcodes there are.
const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xA
)

// control reports whether a frame is a control frame, which may come within a message.
func (o Opcode) control() bool { return o >= Close }

// Why a connection is closed (7.4.1).
const (
	CloseNormal   = 1000
	CloseProtocol = 1002
	CloseNoStatus = 1005 // never sent
	CloseInvalid  = 1007
	ClosePolicy   = 1008
	CloseTooBig   = 1009
)

const (
	bitFin  = 0x80
	bitsRSV = 0x70
	bitMask = 0x80

	// MaxHeader is the size of the largest header that AppendHeader appends.
	MaxHeader = 2 + 8
	// maxControl bounds the payload of a control frame (5.5).
	maxControl = 125
)

// AppendHeader appends the header of a frame that is a whole message of the given size.
func AppendHeader(dst []byte, op Opcode, size int) []byte {
	dst = append(dst, bitFin|byte(op))
	switch {
	case size < 126:
		return append(dst, byte(size))
	case size < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(size))
	}
	return binary.BigEndian.AppendUint64(append(dst, 127), uint64(size))
}

// AppendPong appends the answer to a ping.
func AppendPong(dst, payload []byte) []byte {
	return append(AppendHeader(dst, Pong, len(payload)), payload...)
}

// AppendClose appends a close frame with a status code; CloseNoStatus leaves it without.
func AppendClose(dst []byte, code int) []byte {
	if code == CloseNoStatus {
		return AppendHeader(dst, Close, 0)
	}
	return binary.BigEndian.AppendUint16(AppendHeader(dst, Close, 2), uint16(code))
}
