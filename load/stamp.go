package load

import (
	"bytes"
	"encoding/binary"
	"time"
)

// stamp is what each video frame carries, so that whoever receives it can tell when it was sent and which
// one it is.
type stamp struct {
	run       uint32 // of this load, so that a stamp of another one is not taken for ours
	publisher uint32
	frame     uint64 // counted from 0 by each publisher
	sent      time.Time
}

// stampID is the UUID of the SEI message user_data_unregistered (ITU-T H.264, D.1.7) that a stamp is. It
// has no zero byte, as nothing in a stamp has, so that no emulation prevention is ever put into it.
var stampID = [16]byte{0x9b, 0x1d, 0x6e, 0x52, 0x3a, 0xc4, 0x4f, 0x07, 0xa6, 0x81, 0xe5, 0x2c, 0x70, 0xd3, 0xb8, 0x49}

const (
	// stampBody is the UUID, two numbers of 32 bits and two of 64, seven bits to a byte.
	stampBody = 16 + 5 + 5 + 10 + 10
	// stampSearch is how much of a frame is looked through for a stamp. It stands before the first slice;
	// before it there may be parameter sets, delimiters and the encoder's own messages.
	stampSearch = 2048
)

// appendStamp appends the SEI NALU, without length or start code.
//
//	H.264:  | 06    | 5 | 46 | UUID 128 | run 40 | publisher 40 | frame 80 | sent 80 | 80 |
//	H.265:  | 4e 01 | the same |
func appendStamp(dst []byte, s stamp, hevc bool) []byte {
	if hevc {
		dst = append(dst, 0x4e, 0x01)
	} else {
		dst = append(dst, 0x06)
	}
	dst = append(dst, 5, stampBody)
	dst = append(dst, stampID[:]...)
	dst = appendSevens(dst, uint64(s.run), 5)
	dst = appendSevens(dst, uint64(s.publisher), 5)
	dst = appendSevens(dst, s.frame, 10)
	dst = appendSevens(dst, uint64(s.sent.UnixNano()), 10)
	return append(dst, 0x80)
}

// appendSevens appends n bytes of seven bits each, with the eighth bit set.
func appendSevens(dst []byte, v uint64, n int) []byte {
	for shift := 7 * (n - 1); shift >= 0; shift -= 7 {
		dst = append(dst, 0x80|byte(v>>shift))
	}
	return dst
}

// findStamp looks for a stamp in the beginning of a frame, in whatever format.
func findStamp(b []byte) (stamp, bool) {
	b = b[:min(len(b), stampSearch)]
	at := bytes.Index(b, stampID[:])
	if at < 0 || len(b)-at < stampBody {
		return stamp{}, false
	}
	b = b[at+len(stampID):]
	for _, c := range b[:stampBody-len(stampID)] {
		if c&0x80 == 0 {
			return stamp{}, false
		}
	}
	return stamp{
		run:       uint32(sevens(b[:5])),
		publisher: uint32(sevens(b[5:10])),
		frame:     sevens(b[10:20]),
		sent:      time.Unix(0, int64(sevens(b[20:30]))),
	}, true
}

func sevens(b []byte) uint64 {
	var v uint64
	for _, c := range b {
		v = v<<7 | uint64(c&0x7f)
	}
	return v
}

// insertStamp appends the body of a video tag to dst with a stamp at an offset, where a NALU begins.
func insertStamp(dst, body []byte, at, lengthSize int, hevc bool, s stamp) []byte {
	dst = append(dst, body[:at]...)
	var length [4]byte
	mark := len(dst)
	dst = append(dst, length[:lengthSize]...)
	dst = appendStamp(dst, s, hevc)
	binary.BigEndian.PutUint32(length[:], uint32(len(dst)-mark-lengthSize))
	copy(dst[mark:], length[4-lengthSize:])
	return append(dst, body[at:]...)
}
