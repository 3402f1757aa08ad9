package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asticode/go-astits"
)

const (
	tsPacket = 188
	// maxPCRGap is the longest distance of two PCRs (ISO/IEC 13818-1, 2.7.2).
	maxPCRGap = 100 * time.Millisecond
)

// tsChecker checks consecutive segments of one stream by the rules of ISO/IEC
// 13818-1 and Apple's authoring specification, with go-astits as demuxer. What
// must run on from one segment to the next is kept here.
type tsChecker struct {
	wantVideo, wantAudio bool

	continuity map[uint16]uint8
	lastPCR    *time.Duration
	lastDTS    map[uint16]time.Duration
	faults     []string

	// Of the segment in hand.
	at       int // its sequence number
	videoPID uint16
	audioPID uint16
	pcrPID   uint16
	firstDTS *time.Duration // of the video, or of the audio where there is no video

	audioPayload, total int // bytes, of all segments
}

// checkTS returns the faults of a whole recording. EXTINF is checked too, since
// it speaks of what is in the segments.
func checkTS(segments []segment, wantVideo, wantAudio bool) []string {
	c := tsChecker{wantVideo: wantVideo, wantAudio: wantAudio}
	c.restart()
	var previous *time.Duration
	for i, s := range segments {
		if s.discontinuity {
			c.restart()
			previous = nil
		}
		c.segment(s)
		if previous != nil && c.firstDTS != nil {
			if off := *c.firstDTS - *previous - segments[i-1].duration; off.Abs() > time.Millisecond {
				c.fault("EXTINF of the segment before is %v, its true length %v", segments[i-1].duration, *c.firstDTS-*previous)
			}
		}
		previous = c.firstDTS
	}
	if wantAudio && !wantVideo && c.total*100 > c.audioPayload*115 {
		c.fault("audio-only output has %d bytes for %d bytes of audio: more than 15%% overhead", c.total, c.audioPayload)
	}
	return c.faults
}

// restart forgets what need not run on across a discontinuity.
func (c *tsChecker) restart() {
	c.continuity = map[uint16]uint8{}
	c.lastDTS = map[uint16]time.Duration{}
	c.lastPCR = nil
}

func (c *tsChecker) fault(format string, args ...any) {
	if len(c.faults) < 4*maxFaults {
		c.faults = append(c.faults, fmt.Sprintf("segment %d: ", c.at)+fmt.Sprintf(format, args...))
	}
}

func (c *tsChecker) segment(s segment) {
	c.at, c.firstDTS = s.sequence, nil
	c.total += len(s.data)
	if len(s.data) == 0 || len(s.data)%tsPacket != 0 {
		c.fault("%d bytes are no whole number of packets", len(s.data))
		return
	}
	if !c.tables(s.data) {
		return
	}
	c.packets(s.data)
	c.units(s.data)
}

// tables checks that the segment starts with PAT and PMT and that they are true.
func (c *tsChecker) tables(data []byte) bool {
	demuxer := astits.NewDemuxer(context.Background(), bytes.NewReader(data), astits.DemuxerOptPacketSize(tsPacket))
	var pmtPID uint16
	for n := 0; ; n++ {
		d, err := demuxer.NextData()
		if err != nil {
			c.fault("no PAT and PMT: %v", err)
			return false
		}
		switch {
		case n == 0 && d.PAT != nil && len(d.PAT.Programs) == 1:
			pmtPID = d.PAT.Programs[0].ProgramMapID
		case n == 1 && d.PMT != nil && d.PID == pmtPID:
			c.program(d.PMT)
			return c.secondPacket(data, pmtPID)
		default:
			c.fault("does not start with a PAT of one program and its PMT")
			return false
		}
	}
}

func (c *tsChecker) secondPacket(data []byte, pmtPID uint16) bool {
	if len(data) < 2*tsPacket {
		c.fault("holds nothing but a PAT")
		return false
	}
	if pid := uint16(data[tsPacket+1]&0x1f)<<8 | uint16(data[tsPacket+2]); pid != pmtPID {
		c.fault("the second packet has PID %d, the PMT %d", pid, pmtPID)
	}
	return true
}

func (c *tsChecker) program(pmt *astits.PMTData) {
	c.videoPID, c.audioPID, c.pcrPID = 0, 0, pmt.PCRPID
	for _, es := range pmt.ElementaryStreams {
		switch es.StreamType {
		case astits.StreamTypeH264Video:
			c.videoPID = es.ElementaryPID
		case astits.StreamTypeAACAudio:
			c.audioPID = es.ElementaryPID
		default:
			c.fault("the PMT has a stream of type %#02x", uint8(es.StreamType))
		}
	}
	if (c.videoPID != 0) != c.wantVideo || (c.audioPID != 0) != c.wantAudio {
		c.fault("the PMT has video: %t, audio: %t; want %t, %t", c.videoPID != 0, c.audioPID != 0, c.wantVideo, c.wantAudio)
	}
	if c.pcrPID != c.videoPID && c.pcrPID != c.audioPID {
		c.fault("the PCR's PID %d is of no stream", c.pcrPID)
	}
}

// packets checks what belongs to the packet layer: continuity, PCR.
func (c *tsChecker) packets(data []byte) {
	demuxer := astits.NewDemuxer(context.Background(), bytes.NewReader(data), astits.DemuxerOptPacketSize(tsPacket))
	for {
		p, err := demuxer.NextPacket()
		if errors.Is(err, astits.ErrNoMorePackets) {
			return
		}
		if err != nil {
			c.fault("read packet: %v", err)
			return
		}
		c.packet(p)
	}
}

func (c *tsChecker) packet(p *astits.Packet) {
	pid := p.Header.PID
	if p.Header.TransportErrorIndicator {
		c.fault("transport_error_indicator on PID %d", pid)
	}
	if last, ok := c.continuity[pid]; ok {
		want := last
		if p.Header.HasPayload {
			want = (last + 1) & 0x0f
		}
		if got := p.Header.ContinuityCounter; got != want {
			c.fault("continuity counter of PID %d is %d, not %d", pid, got, want)
		}
	}
	c.continuity[pid] = p.Header.ContinuityCounter
	if p.AdaptationField == nil || !p.AdaptationField.HasPCR {
		return
	}
	if pid != c.pcrPID {
		c.fault("PCR on PID %d, announced on %d", pid, c.pcrPID)
	}
	pcr := p.AdaptationField.PCR.Duration()
	if c.lastPCR != nil {
		switch gap := pcr - *c.lastPCR; {
		case gap < 0:
			c.fault("PCR goes back by %v", -gap)
		case gap > maxPCRGap:
			c.fault("%v without a PCR, at %v", gap, pcr)
		}
	}
	c.lastPCR = &pcr
}
