package hlscheck

import "fmt"

// adtsConfig is the fixed part of an ADTS header.
type adtsConfig struct {
	objectType int // MPEG-4 audio object type
	rate       int // Hz
	channels   int // channel_configuration
}

// aacFrame is the number of samples in an AAC frame.
const aacFrame = 1024

var adtsRates = []int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// parseADTS reads one frame header, and returns its size and that of the frame.
//
//	ISO 13818-7 6.2
//	 0        1        2        3        4        5        6        7
//	+--------+--------+--------+--------+--------+--------+--------+
//	|11111111|1111v00a|pprrrr.c|cc....ll|llllllll|lll bbbb|bbbbbbnn| CRC if a is 0
//	+--------+--------+--------+--------+--------+--------+--------+
//	v MPEG version, a protection_absent, p profile, r sampling_frequency_index,
//	c channel_configuration, l frame_length, n number_of_raw_data_blocks - 1
func parseADTS(b []byte) (c adtsConfig, header, length int, err error) {
	if len(b) < 7 {
		return c, 0, 0, fmt.Errorf("%d bytes are left, less than a header", len(b))
	}
	if b[0] != 0xff || b[1]&0xf6 != 0xf0 {
		return c, 0, 0, fmt.Errorf("no syncword: %x", b[:2])
	}
	header = 7
	if b[1]&1 == 0 {
		header = 9
	}
	index := int(b[2] >> 2 & 0x0f)
	if index >= len(adtsRates) {
		return c, 0, 0, fmt.Errorf("sampling_frequency_index %d is reserved", index)
	}
	c = adtsConfig{int(b[2]>>6) + 1, adtsRates[index], int(b[2]&1)<<2 | int(b[3]>>6)}
	length = int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5]>>5)
	switch {
	case length <= header:
		return c, 0, 0, fmt.Errorf("frame_length %d is no more than the header", length)
	case length > len(b):
		return c, 0, 0, fmt.Errorf("frame_length %d, and %d bytes are left", length, len(b))
	case b[6]&3 != 0:
		return c, 0, 0, fmt.Errorf("%d raw data blocks in a frame", b[6]&3+1)
	}
	return c, header, length, nil
}

// audio judges an audio PES packet: ADTS frames that fill it exactly.
func (x *examiner) audio(p *pes) {
	var frames int64
	rate := 0
	for rest := p.payload; len(rest) > 0; frames++ {
		c, header, length, err := parseADTS(rest)
		if err != nil {
			if frames == 0 {
				x.add("stream-type-false", "packet %d: PID %d is ADTS by its stream_type: %v", p.first, p.pid, err)
			}
			x.add("adts-chain", "packet %d: frame %d at byte %d: %v", p.first, frames, len(p.payload)-len(rest), err)
			break
		}
		if x.s.config.adts != (adtsConfig{}) && x.s.config.adts != c {
			x.add("configuration-changed", "packet %d: ADTS says %+v, before %+v", p.first, c, x.s.config.adts)
		}
		x.s.config.adts, rate = c, c.rate
		pts := (p.pts + frames*aacFrame*ptsHz/int64(c.rate)) % ptsWrap
		frame := rest[header:length]
		x.s.units = append(x.s.units, AccessUnit{
			Kind: Audio, PTS: pts, DTS: pts, Size: len(frame), Sum: AudioSum(frame), Random: true, Segment: x.s.url,
		})
		rest = rest[length:]
	}
	if frames > 0 {
		last := (p.pts + (frames-1)*aacFrame*ptsHz/int64(rate)) % ptsWrap
		x.clockBefore(p, p.dts, last)
	}
}
