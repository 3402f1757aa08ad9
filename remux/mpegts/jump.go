package mpegts

import "encoding/binary"

// Counters are the continuity counters at one place of a transport stream.
type Counters struct{ tables, video, audio uint8 }

// Counters returns those of the packets that come next.
func (m *Muxer) Counters() Counters {
	return Counters{m.tableCounter, m.video.counter, m.audio.counter}
}

// MaxJump is the most bytes that AppendJump appends.
const MaxJump = 4 * PacketSize

// AppendJump appends what must be between two places of a transport stream for a receiver that is
// sent what is before the one and then what is after the other, where the counters are next: a
// packet without payload for each PID that says that its counter, and of the clock its time, do
// not go on (2.4.3.4, 2.4.3.5).
func (m *Muxer) AppendJump(dst []byte, next Counters) []byte {
	dst = appendBreak(dst, pidPAT, next.tables)
	dst = appendBreak(dst, pidPMT, next.tables)
	if m.video.kind != None {
		dst = appendBreak(dst, pidVideo, next.video)
	}
	if m.audio.kind != None {
		dst = appendBreak(dst, pidAudio, next.audio)
	}
	return dst
}

// appendBreak appends a packet with the discontinuity_indicator, whose counter is the one before
// the next packet's: it stands still in a packet without payload (2.4.3.3).
func appendBreak(dst []byte, pid uint16, next uint8) []byte {
	var p [PacketSize]byte
	binary.LittleEndian.PutUint32(p[:], header(pid, controlField|(next-1)&0xF))
	adaptation{flags: flagDiscontinuity}.write(p[4:])
	return append(dst, p[:]...)
}
