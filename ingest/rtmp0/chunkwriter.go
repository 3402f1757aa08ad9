package rtmp

import "encoding/binary"

// AppendMessage appends a message as chunks to dst: a type 0 header, then type 3. csid is 2
// to 63, chunkSize at least 1. An extended timestamp stands in every chunk, as the
// specification wants it.
func AppendMessage(dst []byte, csid uint32, m Message, chunkSize int) []byte {
	ts := m.Timestamp
	if ts >= extended {
		ts = extended
	}
	n := len(m.Payload)
	dst = append(dst, byte(csid),
		byte(ts>>16), byte(ts>>8), byte(ts),
		byte(n>>16), byte(n>>8), byte(n),
		byte(m.Type))
	dst = binary.LittleEndian.AppendUint32(dst, m.StreamID)
	rest := m.Payload
	for first := true; first || len(rest) > 0; first = false {
		if !first {
			dst = append(dst, 0xc0|byte(csid))
		}
		if ts == extended {
			dst = binary.BigEndian.AppendUint32(dst, m.Timestamp)
		}
		part := min(len(rest), chunkSize)
		dst = append(dst, rest[:part]...)
		rest = rest[part:]
	}
	return dst
}

// The chunk streams that this package writes on.
const (
	csidControl = 2
	csidCommand = 3
	csidAudio   = 4
	csidData    = 5
	csidVideo   = 6
)

func appendControl(dst []byte, t Type, payload ...byte) []byte {
	return AppendMessage(dst, csidControl, Message{Type: t, Payload: payload}, defaultChunkSize)
}

func appendControl32(dst []byte, t Type, v uint32, more ...byte) []byte {
	return appendControl(dst, t, append(binary.BigEndian.AppendUint32(nil, v), more...)...)
}

// The user control events (section 7.1.7).
const (
	eventStreamBegin  = 0
	eventStreamEOF    = 1
	eventSetBuffer    = 3
	eventPingRequest  = 6
	eventPingResponse = 7
)

func appendUserControl(dst []byte, event uint16, v uint32) []byte {
	p := binary.BigEndian.AppendUint16(nil, event)
	return appendControl(dst, TypeUserControl, binary.BigEndian.AppendUint32(p, v)...)
}
