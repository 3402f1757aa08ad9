package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/headwater-live/headwater/remux/flvtag"
	"github.com/headwater-live/headwater/remux/mpegts"
)

// newTracker returns a tracker that measures.
func newTracker() *tracker {
	measuring := new(atomic.Bool)
	measuring.Store(true)
	return &tracker{meter: &meter{run: 1, measuring: measuring}}
}

// flvSample is an FLV stream of a second with 10 stamped frames.
func flvSample(t testing.TB) []byte {
	t.Helper()
	s, err := NewSynth(SynthConfig{Bitrate: 200_000, AudioBitrate: 32_000, Width: 160, Height: 120, FPS: 10})
	if err != nil {
		t.Fatal(err)
	}
	file, _, _ := record(s, time.Second)
	return file
}

// tsSample is the same video as a transport stream.
func tsSample(t testing.TB) []byte {
	t.Helper()
	s, err := NewSynth(SynthConfig{Bitrate: 200_000, AudioBitrate: -1, Width: 160, Height: 120, FPS: 10})
	if err != nil {
		t.Fatal(err)
	}
	m := mpegts.NewMuxer(mpegts.H264, 0)
	ts := m.AppendTables(nil)
	p := s.Play()
	for i := range 10 {
		tag := p.Next()
		body := insertStamp(nil, tag.Body, tag.stampAt, 4, false, stamp{run: 1, frame: uint64(i), sent: time.Unix(1, 0)})
		ts = m.AppendVideo(ts, mpegts.VideoUnit{DTS: tag.At * 90, PTS: tag.At * 90, Data: body[5:]})
	}
	return ts
}

func chunks(b []byte, sizes ...int) []byte {
	var out []byte
	for i := 0; len(b) > 0; i++ {
		n := min(sizes[i%len(sizes)], len(b))
		out = fmt.Appendf(out, "%x;name=value\r\n%s\r\n", n, b[:n])
		b = b[n:]
	}
	return append(out, "0\r\nTrailer: x\r\n\r\n"...)
}

// webSocket frames b in pieces, with pings between them.
func webSocket(b []byte, sizes ...int) []byte {
	var out []byte
	for i := 0; len(b) > 0; i++ {
		n := min(sizes[i%len(sizes)], len(b))
		switch {
		case n < 126:
			out = append(out, 0x82, byte(n))
		case n < 1<<16:
			out = binary.BigEndian.AppendUint16(append(out, 0x82, 126), uint16(n))
		default:
			out = binary.BigEndian.AppendUint64(append(out, 0x82, 127), uint64(n))
		}
		out = append(append(out, b[:n]...), 0x89, 2, 'h', 'i')
		b = b[n:]
	}
	return append(out, 0x88, 2, 0x03, 0xe8)
}

// stack is a way to read a stream, made anew for each test.
type stack struct {
	name   string
	parser func(*tracker) parser
	sample func(testing.TB) []byte
	want   int64 // frames in the sample
	end    error
}

var stacks = []stack{
	{"FLV", func(t *tracker) parser { return newFLVParser(t) }, flvSample, 10, nil},
	{"FLV in chunks", func(t *tracker) parser { return &chunkParser{next: newFLVParser(t)} },
		func(t testing.TB) []byte { return chunks(flvSample(t), 1, 700, 9, 3000) }, 10, errEnded},
	{"FLV in a WebSocket", func(t *tracker) parser { return &frameParser{next: newFLVParser(t), pong: func([]byte) {}} },
		func(t testing.TB) []byte { return webSocket(flvSample(t), 1, 700, 125, 126, 70_000) }, 10, errEnded},
	// That the last frame is complete shows only when another begins.
	{"transport stream", func(t *tracker) parser { return newTSParser(t) }, tsSample, 9, nil},
}

func TestParsersFindEveryFrameHoweverTheBytesCome(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, s := range stacks {
		sample := s.sample(t)
		for _, most := range []int{1, 2, 100, 5000, 1 << 20} {
			track := newTracker()
			p := s.parser(track)
			var err error
			for rest := sample; len(rest) > 0 && err == nil; {
				n := min(1+random.IntN(most), len(rest))
				err = p.parse(rest[:n], time.Unix(2, 0))
				rest = rest[n:]
			}
			m := track.meter
			if got := m.frames.Load(); got != s.want || m.lost.Load() != 0 || m.repeated.Load() != 0 || !errors.Is(err, s.end) {
				t.Errorf("%s in pieces of up to %d: %d frames, %d lost, %v", s.name, most, got, m.lost.Load(), err)
			}
		}
	}
}

func TestParsersRefuseWhatIsNone(t *testing.T) {
	flv := flvSample(t)
	badTrailer := bytes.Clone(flv[:2000])
	badTrailer[flvtag.FileHeaderSize+flvtag.HeaderSize+int(binary.BigEndian.Uint32(flv[13:])&0xffffff)] ^= 1
	ts := tsSample(t)
	ts[2*tsPacket] = 0
	for _, test := range []struct {
		name  string
		stack int
		bytes []byte
	}{
		{"HTML", 0, []byte("<!DOCTYPE html><html>")},
		{"a tag of another type", 0, append(flvtag.AppendFileHeader(nil, true, true), bytes.Repeat([]byte{7}, 20)...)},
		{"a wrong size behind a tag", 0, badTrailer},
		{"a size that is none", 1, []byte("zz\r\n")},
		{"a size that is too large", 1, []byte("ffffffffffffffff\r\n")},
		{"an endless size line", 1, bytes.Repeat([]byte("1"), 1000)},
		{"a chunk that is longer than its size", 1, []byte("3\r\nFLVx\r\n")},
		{"a masked frame", 2, []byte{0x82, 0x81, 0, 0, 0, 0, 1}},
		{"a compressed frame", 2, []byte{0xc2, 1, 0}},
		{"a long ping", 2, []byte{0x89, 126, 1, 0}},
		{"a close with an error", 2, []byte{0x88, 2, 0x03, 0xf3}},
		{"a packet without its sync byte", 3, ts},
	} {
		err := stacks[test.stack].parser(newTracker()).parse(test.bytes, time.Time{})
		if err == nil || errors.Is(err, errEnded) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestTrackerCountsGapsAndForgivesHistory(t *testing.T) {
	track := newTracker()
	start := time.Unix(1000, 0)
	track.since = start
	at := func(frame uint64, sent, received int) {
		ms := func(n int) time.Time { return start.Add(time.Duration(n) * time.Millisecond) }
		track.frame(stamp{run: 1, frame: frame, sent: ms(sent)}, ms(received))
	}
	track.frame(stamp{run: 2, frame: 500}, start) // somebody else's
	at(10, -500, 3)                               // from before: no delay
	at(11, 10, 15)
	at(15, 20, 120) // three are missing
	at(15, 20, 130)
	at(12, -3, 131) // history, after a reconnect
	m := track.meter
	if m.frames.Load() != 5 || m.lost.Load() != 3 || m.repeated.Load() != 1 {
		t.Errorf("%d frames, %d lost, %d repeated", m.frames.Load(), m.lost.Load(), m.repeated.Load())
	}
	if d := m.delay.delays(); d.Count != 2 || d.Max != 100 || d.P50 != 100 {
		t.Errorf("%+v", d)
	}
}

func TestStampsSurviveWhatServersDo(t *testing.T) {
	want := stamp{run: 0xffffffff, publisher: 3, frame: 1 << 62, sent: time.Unix(1_800_000_000, 123_456_789)}
	for _, hevc := range []bool{false, true} {
		nalu := appendStamp(nil, want, hevc)
		if bytes.IndexByte(nalu, 0) >= 0 {
			t.Errorf("a stamp has a zero: % x", nalu)
		}
		got, ok := findStamp(append([]byte("parameter sets and so on"), nalu...))
		if !ok || got.run != want.run || got.publisher != want.publisher || got.frame != want.frame || !got.sent.Equal(want.sent) {
			t.Errorf("%+v, %v", got, ok)
		}
		if _, ok := findStamp(nalu[:len(nalu)-2]); ok {
			t.Error("half a stamp is one")
		}
	}
}

func FuzzParsers(f *testing.F) {
	for i, s := range stacks {
		f.Add(byte(i), uint16(100), s.sample(f))
	}
	if file, err := os.ReadFile("../remux/mpegts/testdata/h264-aac.flv"); err == nil {
		f.Add(byte(0), uint16(999), file[:20_000])
	} else {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, which byte, piece uint16, b []byte) {
		s := stacks[int(which)%len(stacks)]
		whole, pieces := newTracker(), newTracker()
		wholeErr := s.parser(whole).parse(b, time.Time{})
		p := s.parser(pieces)
		var err error
		for rest := b; len(rest) > 0 && err == nil; {
			n := min(int(piece)+1, len(rest))
			err = p.parse(rest[:n], time.Time{})
			rest = rest[n:]
		}
		if fmt.Sprint(err) != fmt.Sprint(wholeErr) {
			t.Fatalf("%v in pieces, %v as a whole", err, wholeErr)
		}
		if got, want := pieces.meter.frames.Load(), whole.meter.frames.Load(); got != want {
			t.Fatalf("%d frames in pieces, %d as a whole", got, want)
		}
	})
}
