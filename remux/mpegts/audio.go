package mpegts

import "slices"

// AudioUnit is a run of whole ADTS frames that make one PES packet.
type AudioUnit struct {
	// PTS is the time of the first frame.
	PTS int64
	// Duration is the time that the frames take together.
	Duration int64
	// Frames are the frames with their headers, at most MaxAudioUnit bytes: what is
	// more is not written.
	Frames []byte
}

// MaxAudioUnit is the largest AudioUnit, in bytes: the length of an audio PES packet
// has 16 bits, and counts 8 bytes of its header.
const MaxAudioUnit = maxPESLength - 8

// innerPCRInterval is how far apart the PCRs within an audio PES packet are planned:
// with a margin for durations that are not quite true.
const innerPCRInterval = maxPCRInterval * 9 / 10

// AudioSize returns how many bytes AppendAudio would append now.
func (m *Muxer) AudioSize(u AudioUnit) int {
	plan := m.planAudio(&u)
	return (plan.fills + plan.packets) * PacketSize
}

// AppendAudio appends frames as one PES packet. Where the audio carries the PCR, it
// does so at the beginning and in packets in between, as the duration demands. If
// these are too few, the rest comes before the next unit.
// Nothing is appended for an empty unit, or if there is no audio track.
func (m *Muxer) AppendAudio(dst []byte, u AudioUnit) []byte {
	plan := m.planAudio(&u)
	if plan.packets == 0 {
		return dst
	}
	at := len(dst)
	size := (plan.fills + plan.packets) * PacketSize
	dst = slices.Grow(dst, size)[:at+size]
	buf := m.fillPCRs(dst[at:], plan.fills, u.PTS)

	var head [maxPESHeader]byte
	headSize := writePESHeader(&head, streamAudio, u.PTS, u.PTS, len(u.Frames))
	w := packer{buf: buf, track: &m.audio, left: headSize + len(u.Frames)}
	first := adaptation{flags: m.audio.takeBreak()}
	if plan.pcrs > 0 {
		first.flags |= m.pcr(u.PTS) | flagRandomAccess
		first.pcr, first.room = u.PTS, pcrFieldSize
	}
	w.open(startBit, first)
	w.put(head[:headSize])
	frames := u.Frames
	for i := 1; i < plan.pcrs; i++ {
		until := plan.packets * i / plan.pcrs * PacketSize
		frames = w.putUntil(frames, until)
		at := u.PTS + min(u.Duration*int64(i)/int64(plan.pcrs), innerPCRInterval*int64(i))
		w.open(0, adaptation{flags: m.pcr(at), pcr: at, room: pcrFieldSize})
	}
	w.put(frames)
	return dst
}

// putUntil adds bytes up to an offset in the packets, which must be where a packet
// begins that is not the last. It returns the rest.
func (w *packer) putUntil(b []byte, offset int) []byte {
	n := w.end - w.pos + (offset-w.end)/PacketSize*payloadSize
	w.put(b[:n])
	return b[n:]
}

// audioPlan is what is known of an audio unit before it is written.
type audioPlan struct {
	packets int
	fills   int // packets with a PCR alone that come before
	pcrs    int // PCRs within
}

func (m *Muxer) planAudio(u *AudioUnit) audioPlan {
	var p audioPlan
	if m.audio.kind == None || len(u.Frames) == 0 {
		return p
	}
	u.Frames = u.Frames[:min(len(u.Frames), MaxAudioUnit)]
	size := pesHeaderSize(u.PTS, u.PTS) + len(u.Frames)
	if m.clock() != &m.audio {
		p.fills = m.missingPCRs(u.PTS, false)
		field := adaptation{}
		if m.audio.broken {
			field.flags = flagDiscontinuity
		}
		p.packets = packets(size, field.size())
		return p
	}
	p.fills = m.missingPCRs(u.PTS, true)
	intervals := (max(u.Duration, 1) + innerPCRInterval - 1) / innerPCRInterval
	// Each PCR begins a packet of its own, so there are no more of them than packets.
	p.pcrs = int(min(intervals, int64(packets(size, 0))))
	p.packets = packets(size, p.pcrs*pcrFieldSize)
	return p
}
