package mpegts_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/asticode/go-astits"

	"github.com/headwater-live/headwater/remux/mpegts"
)

const timestampMask = 1<<33 - 1

// pcrAt is a PCR found in a stream.
type pcrAt struct {
	base          int64
	packet        int // index of the packet in the stream
	discontinuity bool
}

// structure is what checkPackets has found.
type structure struct {
	pcrs     []pcrAt
	packets  map[uint16]int // with payload, by PID
	counters map[uint16]int // the last of each PID
}

// checkPackets holds a stream against what 2.4.3 says of every packet, byte by byte
// and apart from any demuxer: sync, adaptation field lengths, stuffing, counters. It
// goes on from the structure of an earlier part of the stream.
func checkPackets(ts []byte, s *structure) error {
	if len(ts)%mpegts.PacketSize != 0 {
		return fmt.Errorf("%d bytes are no whole packets", len(ts))
	}
	if s.packets == nil {
		s.packets, s.counters = map[uint16]int{}, map[uint16]int{}
	}
	for i := 0; i*mpegts.PacketSize < len(ts); i++ {
		if err := s.checkPacket(i, ts[i*mpegts.PacketSize:][:mpegts.PacketSize]); err != nil {
			return fmt.Errorf("packet %d: %w", i, err)
		}
	}
	return nil
}

func (s *structure) checkPacket(index int, p []byte) error {
	if p[0] != 0x47 || p[1]&0xA0 != 0 || p[3]&0xC0 != 0 {
		return fmt.Errorf("header is % x", p[:4])
	}
	pid := uint16(p[1]&0x1F)<<8 | uint16(p[2])
	hasField, hasPayload := p[3]&0x20 != 0, p[3]&0x10 != 0
	counter := int(p[3] & 0xF)
	broken := false
	if hasField {
		length := int(p[4])
		if hasPayload && length > 182 || !hasPayload && length != 183 {
			return fmt.Errorf("adaptation field length is %d", length)
		}
		var err error
		if broken, err = s.checkField(index, p[5:5+length]); err != nil {
			return err
		}
	}
	if last, seen := s.counters[pid]; seen && !broken {
		want := last
		if hasPayload {
			want = (last + 1) & 0xF
		}
		if counter != want {
			return fmt.Errorf("counter of PID %d is %d, want %d", pid, counter, want)
		}
	}
	if hasPayload {
		s.packets[pid]++
	} else if p[1]&0x40 != 0 {
		return errors.New("start bit without payload")
	}
	s.counters[pid] = counter
	return nil
}

func (s *structure) checkField(index int, field []byte) (broken bool, err error) {
	if len(field) == 0 {
		return false, nil
	}
	flags, rest := field[0], field[1:]
	if flags&^0xD0 != 0 {
		return false, fmt.Errorf("adaptation field flags are %#x", flags)
	}
	broken = flags&0x80 != 0
	if flags&0x10 != 0 {
		if len(rest) < 6 {
			return false, errors.New("no room for the PCR")
		}
		base := int64(rest[0])<<25 | int64(rest[1])<<17 | int64(rest[2])<<9 | int64(rest[3])<<1 | int64(rest[4])>>7
		if rest[4]&0x7F != 0x7E || rest[5] != 0 {
			return false, fmt.Errorf("PCR ends in % x", rest[4:6])
		}
		s.pcrs = append(s.pcrs, pcrAt{base, index, broken})
		rest = rest[6:]
	}
	for _, b := range rest {
		if b != 0xFF {
			return false, fmt.Errorf("stuffing holds %#x", b)
		}
	}
	return broken, nil
}

// checkPCRs checks that the PCRs advance, and by 100 ms at most.
func (s *structure) checkPCRs() error {
	if len(s.pcrs) == 0 {
		return errors.New("no PCR")
	}
	for i, pcr := range s.pcrs[1:] {
		gap := (pcr.base - s.pcrs[i].base) & timestampMask
		if !pcr.discontinuity && (gap == 0 || gap > 9_000) {
			return fmt.Errorf("PCR %d is %d after the one before", i+1, gap)
		}
	}
	return nil
}

// pes is a PES packet as go-astits reads it.
type pes struct {
	pid      uint16
	pts, dts int64
	aligned  bool
	random   bool // random_access_indicator of its first packet
	length   uint16
	data     []byte
}

// demux reads a stream with go-astits. Its log is an error, too.
func demux(ts []byte) ([]pes, error) {
	var log errorLog
	d := astits.NewDemuxer(context.Background(), bytes.NewReader(ts),
		astits.DemuxerOptPacketSize(mpegts.PacketSize), astits.DemuxerOptLogger(&log))
	var out []pes
	for {
		data, err := d.NextData()
		if errors.Is(err, astits.ErrNoMorePackets) {
			return out, log.err
		}
		if err != nil {
			return out, err
		}
		if data.PES == nil {
			continue
		}
		h := data.PES.Header.OptionalHeader
		p := pes{pid: data.PID, aligned: h.DataAlignmentIndicator, length: data.PES.Header.PacketLength, data: data.PES.Data}
		p.pts, p.dts = h.PTS.Base, h.PTS.Base
		if h.DTS != nil {
			p.dts = h.DTS.Base
		}
		if f := data.FirstPacket.AdaptationField; f != nil {
			p.random = f.RandomAccessIndicator
		}
		out = append(out, p)
	}
}

type errorLog struct{ err error }

func (l *errorLog) Print(v ...any)                 { l.err = errors.Join(l.err, errors.New(fmt.Sprint(v...))) }
func (l *errorLog) Fatal(v ...any)                 { l.Print(v...) }
func (l *errorLog) Fatalf(format string, v ...any) { l.Printf(format, v...) }
func (l *errorLog) Printf(format string, v ...any) { l.Print(fmt.Sprintf(format, v...)) }

// mustCheck runs all structural checks and returns what was found.
func mustCheck(t *testing.T, ts []byte) *structure {
	t.Helper()
	s := &structure{}
	if err := checkPackets(ts, s); err != nil {
		t.Fatal(err)
	}
	return s
}

// poisoned returns an empty slice with dirty memory behind it, so that bytes that
// were forgotten are seen.
func poisoned(size int) []byte { return bytes.Repeat([]byte{0xA5}, size)[:0] }

func wire(t int64) int64 { return (t + mpegts.DecodeDelay) & timestampMask }
