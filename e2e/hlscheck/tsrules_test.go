package hlscheck

import (
	"bytes"
	"slices"
	"testing"
)

// packetCases spoil transport packets and tables.
var packetCases = []spoiled{
	{rule: "ts-length", spoil: func(w *world) {
		w.packets(8, func(p [][]byte) [][]byte { return append(p, []byte{0x47}) })
	}},
	{rule: "ts-packet-illegal", name: "sync byte", spoil: func(w *world) { w.packet(8, testVideo, 3, func(b []byte) { b[0] = 0x46 }) },
		also: "ts-second-reader"},
	{rule: "ts-packet-illegal", name: "transport error", spoil: func(w *world) { w.packet(8, testVideo, 3, func(b []byte) { b[1] |= 0x80 }) },
		also: "ts-second-reader"},
	{rule: "ts-packet-illegal", name: "scrambling", spoil: func(w *world) { w.packet(8, testVideo, 3, func(b []byte) { b[3] |= 0x80 }) }},
	{rule: "ts-packet-illegal", name: "stuffing", spoil: func(w *world) {
		w.packet(8, testAudio, 7, func(b []byte) { b[7] = 0 })
	}},
	{rule: "ts-unexpected-pid", spoil: func(w *world) {
		w.packets(8, func(p [][]byte) [][]byte {
			stray := bytes.Clone(p[10])
			stray[1], stray[2] = 0x12, 0x34
			return append(p, stray)
		})
	}},
	{rule: "ts-discontinuity-indicator", spoil: func(w *world) {
		w.pcrFlags(8, 10, 0x80)
	}},
	{rule: "continuity-counter", spoil: func(w *world) {
		w.packets(8, func(p [][]byte) [][]byte { return append(p[:40:40], p[41:]...) })
	}, also: "adts-chain pes-illegal ts-second-reader"},
	{rule: "continuity-across-segments", spoil: func(w *world) { w.segments[5].restart = true }},
	{rule: "pat-not-first", spoil: func(w *world) { w.segments[5].sdtFirst = true }, also: "pmt-not-second"},
	{rule: "pmt-not-second", spoil: func(w *world) {
		w.packets(8, func(p [][]byte) [][]byte {
			again := bytes.Clone(p[0])
			again[3] = again[3]&0xf0 | (again[3]+1)&0x0f
			return append([][]byte{p[0], again}, p[1:]...)
		})
	}},
	{rule: "pat-malformed", spoil: func(w *world) { w.packet(8, 0, 0, func(b []byte) { b[9] ^= 1 }) },
		also: "configuration-changed pmt-not-second pmt-malformed segment-without-media ts-second-reader ts-unexpected-pid"},
	{rule: "pmt-malformed", spoil: func(w *world) { w.packet(8, testPMT, 0, func(b []byte) { b[20] ^= 1 }) },
		also: "configuration-changed segment-without-media ts-second-reader ts-unexpected-pid"},
	{rule: "stream-type-unknown", spoil: func(w *world) {
		w.eachSegment(func(s *testSegment) { s.tracks = append(s.tracks, track{0x102, 0x06}) })
	}, also: "track-empty"},
	{rule: "stream-type-false", spoil: func(w *world) {
		w.eachSegment(func(s *testSegment) { s.tracks = []track{{testVideo, streamTypeADTS}, {testAudio, streamTypeH264}} })
	}, also: "adts-chain annexb-illegal pes-illegal segment-without-media"},
	{rule: "track-empty", spoil: func(w *world) {
		w.eachSegment(func(s *testSegment) { s.tracks = append(s.tracks, track{0x102, streamTypeADTS}) })
	}},
	{rule: "segment-without-media", spoil: func(w *world) { w.segments[8].pes = nil }, also: "track-empty"},
	{rule: "ts-second-reader", spoil: func(w *world) { w.packets(8, func(p [][]byte) [][]byte { return append(p, badCRC(p[1])) }) },
		also: "pmt-malformed"},

	{rule: "pcr-wrong-pid", spoil: func(w *world) { w.segments[8].pes[w.find(8, testAudio)].pcr = clockFor(w.segments[8].pes[0].dts) }},
	{rule: "pcr-wrong-pid", name: "a PID that is no stream", spoil: func(w *world) {
		w.eachSegment(func(s *testSegment) { s.pcrPID = 0x1ff })
	}},
	{rule: "pcr-missing-at-start", spoil: func(w *world) { w.segments[5].pes[0].pcr = noTime }},
	{rule: "pcr-gap", spoil: func(w *world) {
		for i := 10; i < 12; i++ {
			w.segments[5].pes[i].pcr = noTime
		}
	}},
	{rule: "pcr-gap", name: "across segments", spoil: func(w *world) {
		for i := 47; i < 50; i++ {
			w.segments[5].pes[i].pcr = noTime
		}
	}},
	{rule: "pcr-not-increasing", spoil: func(w *world) { w.segments[5].pes[10].pcr = w.segments[5].pes[8].pcr }, also: "pcr-gap"},
	{rule: "pcr-after-dts", spoil: func(w *world) { w.clock(ptsHz/2 + 1) }},
	{rule: "pcr-after-dts", name: "before the last bytes have come", spoil: func(w *world) {
		w.cutAudio(5, ptsHz)
		w.packets(5, func(p [][]byte) [][]byte {
			for i := len(p) - 1; ; i-- {
				if p[i][2] == testAudio&0xff {
					return append(append(p[:i:i], p[i+1:]...), p[i])
				}
			}
		})
	}},
	{rule: "pcr-too-early", spoil: func(w *world) { w.clock(-ptsHz/2 - 1) }},
	{rule: "dts-not-increasing", spoil: func(w *world) { w.segments[5].pes[10].dts = w.segments[5].pes[9].dts }},
	{rule: "dts-not-increasing", name: "across segments", world: audioOnly, spoil: func(w *world) {
		p := &w.segments[5].pes[0]
		p.dts = wrap(p.dts - 3*aacFrame*ptsHz/48000 - 1)
		p.pts = p.dts
	}, also: "extinf-not-dts-distance"},
	{rule: "pts-before-dts", spoil: func(w *world) { w.segments[5].pes[10].pts = w.segments[5].pes[10].dts - 1 }},
}

func TestPacketRulesAreReported(t *testing.T) { runSpoiled(t, packetCases) }

// payloadCases spoil PES packets and what they carry.
var payloadCases = []spoiled{
	{rule: "pes-illegal", name: "audio of length 0", spoil: func(w *world) { w.segments[5].pes[w.find(5, testAudio)].zeroLength = true }},
	{rule: "pes-illegal", name: "length", spoil: func(w *world) { w.pesHeader(5, testVideo, func(b []byte) { b[5] = 9 }) }, also: "ts-second-reader"},
	{rule: "pes-illegal", name: "a DTS equal to the PTS", spoil: func(w *world) {
		w.pesHeader(5, testVideo, func(b []byte) { copy(b[9:], testStamp(3, w.segments[5].pes[0].dts)) })
	}},
	{rule: "pes-illegal", name: "marker bits", spoil: func(w *world) { w.pesHeader(5, testVideo, func(b []byte) { b[11] &^= 1 }) }},
	{rule: "pes-illegal", name: "stream id", spoil: func(w *world) { w.pesHeader(5, testVideo, func(b []byte) { b[3] = 0xc0 }) }},
	{rule: "pes-starts-before", spoil: func(w *world) { w.packet(8, testAudio, 0, func(b []byte) { b[1] &^= 0x40 }) }, also: "ts-second-reader"},
	{rule: "pes-without-pts", spoil: func(w *world) { w.segments[5].pes[10].noPTS = true }},
	{rule: "data-alignment", spoil: func(w *world) { w.segments[5].pes[10].unaligned = true }},
	{rule: "annexb-illegal", name: "three-byte start code", spoil: func(w *world) {
		p := &w.segments[5].pes[10]
		p.payload = p.payload[1:]
	}},
	{rule: "annexb-illegal", name: "three zero bytes", spoil: func(w *world) {
		w.nalus(5, 10, aud, []byte{0x41, 0x9b, 0, 0, 0, 5})
	}},
	{rule: "access-unit-without-picture", spoil: func(w *world) { w.nalus(5, 10, aud, []byte{0x06, 1, 2, 3, 0x80}) }},
	{rule: "aud-missing", spoil: func(w *world) { w.nalus(5, 10, []byte{0x41, 0x9b, 1, 2}) }},
	{rule: "aud-missing", name: "two delimiters", spoil: func(w *world) { w.nalus(5, 10, aud, aud, []byte{0x41, 0x9b, 1, 2}) }},
	{rule: "aud-malformed", spoil: func(w *world) { w.nalus(5, 10, []byte{0x09, 0xf1}, []byte{0x41, 0x9b, 1, 2}) }},
	{rule: "aud-malformed", name: "denies the slice", spoil: func(w *world) { w.nalus(5, 10, []byte{0x09, 0x10}, []byte{0x41, 0x9b, 1, 2}) }},
	{rule: "nalu-order", spoil: func(w *world) { w.nalus(5, 10, aud, []byte{0x41, 0x9b, 1, 2}, pps) }},
	{rule: "nalu-order", name: "mixed slices", spoil: func(w *world) {
		w.nalus(5, 0, aud, sps180, pps, []byte{0x65, 0x88, 1, 2}, []byte{0x41, 0x9b, 1, 2})
	}},
	{rule: "first-unit-order", spoil: func(w *world) { w.nalus(5, 0, aud, pps, sps180, []byte{0x65, 0x88, 1, 2}) }},
	{rule: "idr-without-parameters", spoil: func(w *world) {
		w.nalus(5, 10, aud, []byte{0x65, 0x88, 1, 2})
		w.segments[5].pes[10].random = true
	}},
	{rule: "random-access-missing", spoil: func(w *world) { w.segments[5].pes[0].random = false }},
	{rule: "random-access-false", spoil: func(w *world) { w.segments[5].pes[10].random = true }},
	{rule: "configuration-changed", name: "SPS", spoil: func(w *world) {
		w.nalus(8, 0, aud, sps144, pps, []byte{0x65, 0x88, 1, 2})
	}},
	{rule: "configuration-changed", name: "tracks", spoil: func(w *world) {
		s := &w.segments[8]
		s.tracks = s.tracks[:1]
		s.pes = s.pes[:50]
	}},
	{rule: "adts-chain", spoil: func(w *world) {
		p := &w.segments[5].pes[w.find(5, testAudio)]
		p.payload = p.payload[:len(p.payload)-1]
	}},
	{rule: "audio-overhead", world: audioOnly, spoil: func(w *world) {
		for i := range w.segments[5].pes {
			p := &w.segments[5].pes[i]
			p.payload = nil
			for range audioFrames {
				p.payload = append(p.payload, testADTS(noise(50, newNoise()))...)
			}
		}
	}},
}

func TestPayloadRulesAreReported(t *testing.T) { runSpoiled(t, payloadCases) }

// nalus replaces a video access unit.
func (w *world) nalus(segment, unit int, nalus ...[]byte) {
	w.segments[segment].pes[unit].payload = testAnnexB(nalus...)
}

func (w *world) eachSegment(f func(s *testSegment)) {
	for i := range w.segments {
		f(&w.segments[i])
	}
}

// clock moves every PCR.
func (w *world) clock(by int64) {
	w.eachSegment(func(s *testSegment) {
		for i := range s.pes {
			if s.pes[i].pcr != noTime {
				s.pes[i].pcr = (s.pes[i].pcr + by*300 + pcrWrap) % pcrWrap
			}
		}
	})
}

// pcrFlags sets flags of the nth adaptation field that has a PCR.
func (w *world) pcrFlags(segment, n int, flags byte) {
	w.packets(segment, func(packets [][]byte) [][]byte {
		for _, b := range packets {
			if b[3]&0x20 != 0 && b[4] > 0 && b[5]&0x10 != 0 {
				if n--; n < 0 {
					b[5] |= flags
					return packets
				}
			}
		}
		panic("no such packet")
	})
}

// badCRC returns a packet whose section has a wrong CRC.
func badCRC(packet []byte) []byte {
	b := bytes.Clone(packet)
	b[3] = b[3]&0xf0 | (b[3]+1)&0x0f
	b[20] ^= 1
	return b
}

// cutAudio leaves out the audio that begins later in a segment.
func (w *world) cutAudio(segment int, after int64) {
	s := &w.segments[segment]
	begin := s.pes[0].dts
	s.pes = slices.DeleteFunc(s.pes, func(p testPES) bool {
		return p.pid == testAudio && since(begin, p.dts, ptsWrap) > after
	})
}
