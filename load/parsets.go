package load

import "time"

const (
	tsPacket = 188
	tsSync   = 0x47
	noPID    = 0x1fff
	patPID   = 0
)

// tsParser reads an MPEG transport stream (ISO/IEC 13818-1) of one program and looks for stamps in its video
// frames. It only reads what it needs: the first program, its first video track, and where access units begin.
type tsParser struct {
	tracker *tracker
	buf     []byte // a packet that has not come whole

	pmtPID, videoPID int

	unit    []byte    // the beginning of the access unit that is being read
	until   time.Time // its newest packet came
	reading bool
}

func newTSParser(t *tracker) *tsParser {
	return &tsParser{tracker: t, pmtPID: noPID, videoPID: noPID}
}

func (t *tsParser) parse(p []byte, now time.Time) error {
	for len(p) > 0 {
		if len(t.buf) == 0 && len(p) >= tsPacket {
			if err := t.packet(p[:tsPacket], now); err != nil {
				return err
			}
			p = p[tsPacket:]
			continue
		}
		n := min(tsPacket-len(t.buf), len(p))
		t.buf, p = append(t.buf, p[:n]...), p[n:]
		if len(t.buf) == tsPacket {
			err := t.packet(t.buf, now)
			t.buf = t.buf[:0]
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// packet reads one packet (2.4.3.2).
//
//	| 47 | error 1, start 1, priority 1, PID 13 | scrambling 2, adaptation 1, payload 1, counter 4 |
//	| [length 8, adaptation field] | payload |
func (t *tsParser) packet(p []byte, now time.Time) error {
	if p[0] != tsSync {
		return malformedError("a transport stream packet does not begin with 0x47")
	}
	start := p[1]&0x40 != 0
	pid := int(p[1]&0x1f)<<8 | int(p[2])
	if p[3]&0x10 == 0 {
		return nil
	}
	payload := p[4:]
	if p[3]&0x20 != 0 {
		if int(payload[0]) >= len(payload) {
			return malformedError("an adaptation field is longer than its packet")
		}
		payload = payload[1+int(payload[0]):]
	}
	switch {
	case pid == t.videoPID:
		t.video(payload, start, now)
	case pid == patPID && start:
		t.readPAT(payload)
	case pid == t.pmtPID && start:
		t.readPMT(payload)
	}
	return nil
}

// video gathers the beginning of an access unit. That the one before is complete shows when another begins.
func (t *tsParser) video(payload []byte, start bool, now time.Time) {
	if start {
		t.finish()
		if len(payload) < 9 || len(payload) < 9+int(payload[8]) {
			return // a PES header that does not fit its packet
		}
		t.reading, t.unit = true, t.unit[:0]
		payload = payload[9+int(payload[8]):]
	}
	if t.reading {
		t.until = now
		t.unit = append(t.unit, payload[:min(len(payload), stampSearch-len(t.unit))]...)
	}
}

// finish takes note of the access unit that has been gathered.
func (t *tsParser) finish() {
	if !t.reading {
		return
	}
	t.reading = false
	if s, ok := findStamp(t.unit); ok {
		t.tracker.frame(s, t.until)
	}
}

// section returns what stands between the header of a table section that begins in a packet and its CRC
// (2.4.4). Tables of more than a packet are not read: those of live streams have 30 bytes.
func section(payload []byte) []byte {
	if len(payload) < 1 || 1+int(payload[0])+8 > len(payload) {
		return nil
	}
	s := payload[1+int(payload[0]):]
	size := 3 + int(s[1]&0x0f)<<8 + int(s[2])
	if size > len(s) || size < 8+4 {
		return nil
	}
	return s[8 : size-4]
}

func (t *tsParser) readPAT(payload []byte) {
	for s := section(payload); len(s) >= 4; s = s[4:] {
		if s[0] != 0 || s[1] != 0 { // program 0 is the network
			t.pmtPID = int(s[2]&0x1f)<<8 | int(s[3])
			return
		}
	}
}

func (t *tsParser) readPMT(payload []byte) {
	s := section(payload)
	if len(s) < 4 {
		return
	}
	skip := 4 + int(s[2]&0x0f)<<8 + int(s[3])
	if skip > len(s) {
		return
	}
	for s = s[skip:]; len(s) >= 5; {
		pid := int(s[1]&0x1f)<<8 | int(s[2])
		if s[0] == 0x1b || s[0] == 0x24 { // H.264 and H.265 (table 2-34)
			t.videoPID = pid
			return
		}
		skip := 5 + int(s[3]&0x0f)<<8 + int(s[4])
		if skip > len(s) {
			return
		}
		s = s[skip:]
	}
}
