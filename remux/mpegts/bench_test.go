package mpegts_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/asticode/go-astits"
	tswriter "github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"

	"github.com/headwater-live/headwater/remux/mpegts"
)

// gop is what the muxers are given: 50 access units of 20 KB at 25 fps, an IDR first,
// each in one NALU, as AVCC, as Annex B and as a list.
type gop struct {
	avcc, annexB [][]byte
	nalus        [][][]byte
	size         int64
}

func makeGOP() gop {
	rng := rand.New(rand.NewPCG(9, 9))
	var g gop
	for i := range 50 {
		header := byte(0x41)
		if i == 0 {
			header = 0x65
		}
		n := nalu(rng, header, 20_000)
		list := [][]byte{aud, n}
		if i == 0 {
			list = [][]byte{aud, sps, pps, n}
		}
		g.avcc = append(g.avcc, avcc(4, n))
		g.annexB = append(g.annexB, annexB(list...))
		g.nalus = append(g.nalus, list)
		g.size += int64(len(n))
	}
	return g
}

// BenchmarkMuxer makes segments of the same video with this package, with go-astits
// and with mediacommon, and reports how many times faster this package is. All three
// write to memory that is there already.
func BenchmarkMuxer(b *testing.B) {
	g := makeGOP()
	var ours float64
	b.Run("headwater", func(b *testing.B) { ours = rate(b, g, headwaterSegment(g)) })
	b.Run("astits", func(b *testing.B) {
		theirs := rate(b, g, astitsSegment(b, g))
		b.ReportMetric(ours/theirs, "times-slower")
	})
	b.Run("mediacommon", func(b *testing.B) {
		theirs := rate(b, g, mediacommonSegment(b, g))
		b.ReportMetric(ours/theirs, "times-slower")
	})
}

// rate runs write, which makes a segment of a GOP, and returns bytes of video per
// second.
func rate(b *testing.B, g gop, write func(at int64)) float64 {
	b.ReportAllocs()
	b.SetBytes(g.size)
	at := int64(0)
	for b.Loop() {
		write(at)
		at += 180_000
	}
	return float64(g.size) * float64(b.N) / b.Elapsed().Seconds()
}

func headwaterSegment(g gop) func(int64) {
	m := mpegts.NewMuxer(mpegts.H264, mpegts.None)
	buf := make([]byte, 0, 2<<20)
	return func(at int64) {
		buf = m.AppendTables(buf[:0])
		for i, au := range g.avcc {
			dts := at + int64(i)*3_600
			buf = m.AppendVideo(buf, mpegts.VideoUnit{DTS: dts, PTS: dts + 7_200, ParameterSets: parameterSets, Data: au})
		}
	}
}

// memory is an io.Writer into a buffer that is used again.
type memory struct{ buf []byte }

func (m *memory) Write(p []byte) (int, error) {
	m.buf = append(m.buf, p...)
	return len(p), nil
}

func astitsSegment(b *testing.B, g gop) func(int64) {
	out := &memory{buf: make([]byte, 0, 2<<20)}
	m := astits.NewMuxer(context.Background(), out)
	if err := m.AddElementaryStream(astits.PMTElementaryStream{ElementaryPID: 256, StreamType: astits.StreamTypeH264Video}); err != nil {
		b.Fatal(err)
	}
	m.SetPCRPID(256)
	return func(at int64) {
		out.buf = out.buf[:0]
		for i, au := range g.annexB {
			dts := at + int64(i)*3_600
			_, err := m.WriteData(&astits.MuxerData{
				PID: 256,
				AdaptationField: &astits.PacketAdaptationField{
					RandomAccessIndicator: i == 0, HasPCR: true, PCR: &astits.ClockReference{Base: dts},
				},
				PES: &astits.PESData{Data: au, Header: &astits.PESHeader{StreamID: 0xE0, OptionalHeader: &astits.PESOptionalHeader{
					MarkerBits: 2, PTSDTSIndicator: astits.PTSDTSIndicatorBothPresent,
					DTS: &astits.ClockReference{Base: dts + mpegts.DecodeDelay}, PTS: &astits.ClockReference{Base: dts + mpegts.DecodeDelay + 7_200},
				}}},
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

func mediacommonSegment(b *testing.B, g gop) func(int64) {
	out := &memory{buf: make([]byte, 0, 2<<20)}
	track := &tswriter.Track{Codec: &codecs.H264{}}
	w := &tswriter.Writer{W: out, Tracks: []*tswriter.Track{track}}
	if err := w.Initialize(); err != nil {
		b.Fatal(err)
	}
	return func(at int64) {
		out.buf = out.buf[:0]
		for i, au := range g.nalus {
			dts := at + int64(i)*3_600 + mpegts.DecodeDelay
			if err := w.WriteH264(track, dts+7_200, dts, au); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkSmallUnits is the cost of an access unit of a few packets, where headers
// count.
func BenchmarkSmallUnits(b *testing.B) {
	m := mpegts.NewMuxer(mpegts.H264, mpegts.None)
	buf := make([]byte, 0, 64<<10)
	u := mpegts.VideoUnit{Data: avcc(4, nalu(rand.New(rand.NewPCG(9, 9)), 0x41, 1_000))}
	b.ReportAllocs()
	b.SetBytes(1_000)
	for b.Loop() {
		u.DTS += 3_600
		u.PTS = u.DTS
		buf = m.AppendVideo(buf[:0], u)
	}
}

// BenchmarkAudio is the cost of a second of gathered 48 kHz audio at 128 kbit/s.
func BenchmarkAudio(b *testing.B) {
	m := mpegts.NewMuxer(mpegts.None, mpegts.AAC)
	g := mpegts.NewAudioGatherer(mpegts.GatherAlone)
	header, frame := make([]byte, 7), make([]byte, 341)
	buf := make([]byte, 0, 64<<10)
	at := int64(0)
	b.ReportAllocs()
	b.SetBytes(47 * 341)
	for b.Loop() {
		buf = buf[:0]
		for range 47 {
			if g.Full(at, 348) {
				buf = m.AppendAudio(buf, g.Take())
			}
			g.Add(at, 1_920, header, frame)
			at += 1_920
		}
	}
}
