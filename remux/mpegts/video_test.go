package mpegts_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	tsreader "github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"

	"github.com/headwater-live/headwater/remux/mpegts"
)

var (
	parameterSets = []byte{0, 0, 0, 1, 0x67, 0x42, 0xC0, 0x1E, 0xD9, 0, 0, 0, 1, 0x68, 0xCE, 0x3C, 0x80}
	aud           = []byte{0x09, 0xF0}
	sps           = parameterSets[4:9]
	pps           = parameterSets[13:]
)

// nalu returns a NALU of a type and size with no zero byte in it, so that no start
// code is in it either.
func nalu(rng *rand.Rand, header byte, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(rng.IntN(255) + 1)
	}
	b[0] = header
	return b
}

// avcc makes an access unit of NALUs.
func avcc(lengthSize int, nalus ...[]byte) []byte {
	var au []byte
	for _, n := range nalus {
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(n)))
		au = append(append(au, length[4-lengthSize:]...), n...)
	}
	return au
}

// annexB is what a PES packet must hold.
func annexB(nalus ...[]byte) []byte {
	var b []byte
	for _, n := range nalus {
		b = append(append(b, 0, 0, 0, 1), n...)
	}
	return b
}

func TestVideoUnitBecomesAnnexBWithOneDelimiterAndParameterSets(t *testing.T) {
	idr, slice, sei := []byte{0x65, 1, 2}, []byte{0x41, 3}, []byte{0x06, 5, 1, 7, 0x80}
	ownSPS := []byte{0x67, 0x64, 0, 0x1F, 1}
	for _, test := range []struct {
		name   string
		in     mpegts.VideoUnit
		want   []byte
		random bool
	}{
		{"plain slice", mpegts.VideoUnit{Data: avcc(4, slice)}, annexB(aud, slice), false},
		{"IDR gets parameter sets", mpegts.VideoUnit{Data: avcc(4, idr)}, annexB(aud, sps, pps, idr), true},
		{"IDR with an SEI before it", mpegts.VideoUnit{Data: avcc(4, sei, idr)}, annexB(aud, sps, pps, sei, idr), true},
		{"IDR keeps its own", mpegts.VideoUnit{Data: avcc(4, ownSPS, pps, idr)}, annexB(aud, ownSPS, pps, idr), true},
		{"SPS alone is not enough", mpegts.VideoUnit{Data: avcc(4, ownSPS, idr)}, annexB(aud, sps, pps, ownSPS, idr), true},
		{"parameter sets behind the slice", mpegts.VideoUnit{Data: avcc(4, idr, ownSPS, pps)},
			annexB(aud, sps, pps, idr, ownSPS, pps), true},
		{"delimiters are replaced", mpegts.VideoUnit{Data: avcc(4, []byte{9, 0x10}, slice, []byte{9, 0x30}, slice)},
			annexB(aud, slice, slice), false},
		{"empty NALUs are left out", mpegts.VideoUnit{Data: avcc(4, nil, slice, nil)}, annexB(aud, slice), false},
		{"random access without IDR", mpegts.VideoUnit{Data: avcc(4, slice), RandomAccess: true},
			annexB(aud, sps, pps, slice), true},
		{"length of 2 bytes", mpegts.VideoUnit{Data: avcc(2, idr, slice), LengthSize: 2}, annexB(aud, sps, pps, idr, slice), true},
		{"length of 1 byte", mpegts.VideoUnit{Data: avcc(1, slice, slice), LengthSize: 1}, annexB(aud, slice, slice), false},
		{"truncated last NALU", mpegts.VideoUnit{Data: append(avcc(4, slice), 0, 0, 0, 9, 0x41)}, annexB(aud, slice), false},
		{"truncated length", mpegts.VideoUnit{Data: append(avcc(4, slice), 0, 0)}, annexB(aud, slice), false},
		{"length with the top bit", mpegts.VideoUnit{Data: append(avcc(4, slice), 0xFF, 0xFF, 0xFF, 0xFF, 1)},
			annexB(aud, slice), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := mpegts.NewMuxer(mpegts.H264, mpegts.None)
			test.in.ParameterSets = parameterSets
			ts := m.AppendVideo(m.AppendTables(nil), test.in)
			mustCheck(t, ts)
			got, err := demux(ts)
			if err != nil || len(got) != 1 {
				t.Fatalf("got %d PES packets, error %v", len(got), err)
			}
			if !bytes.Equal(got[0].data, test.want) {
				t.Errorf("data is\n% x, want\n% x", got[0].data, test.want)
			}
			if got[0].random != test.random || !got[0].aligned {
				t.Errorf("random access %v, aligned %v", got[0].random, got[0].aligned)
			}
		})
	}
}

func TestUnitWithoutNALUAddsNothing(t *testing.T) {
	m := mpegts.NewMuxer(mpegts.H264, mpegts.AAC)
	for _, data := range [][]byte{nil, {0}, {0, 0, 0, 0}, {0, 0, 0, 2, 9, 0xF0}, {0, 0, 0, 5, 0x65, 1}} {
		u := mpegts.VideoUnit{Data: data, ParameterSets: parameterSets, RandomAccess: true}
		if ts := m.AppendVideo(nil, u); len(ts) != 0 || m.VideoSize(u) != 0 {
			t.Errorf("% x became %d bytes", data, len(ts))
		}
	}
	if ts := m.AppendAudio(nil, mpegts.AudioUnit{PTS: 5}); len(ts) != 0 {
		t.Errorf("no audio became %d bytes", len(ts))
	}
	none := mpegts.NewMuxer(mpegts.None, mpegts.None)
	ts := none.AppendVideo(nil, mpegts.VideoUnit{Data: avcc(4, []byte{0x41, 1})})
	ts = none.AppendAudio(ts, mpegts.AudioUnit{Frames: []byte{1}})
	if len(ts) != 0 {
		t.Errorf("a track that is not announced became %d bytes", len(ts))
	}
}

// Every size around every packet boundary, with and without a DTS, a PCR and a random
// access point, so that each length of stuffing is met in first and last packets.
func TestEverySizeFillsItsPacketsExactly(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	m := mpegts.NewMuxer(mpegts.H264, mpegts.None)
	dirty := poisoned(4096)
	s := &structure{}
	for size := 1; size < 4*mpegts.PacketSize; size++ {
		for variant := range 8 {
			u := mpegts.VideoUnit{DTS: int64(size) * 100, PTS: int64(size) * 100}
			header := byte(0x41)
			if variant&1 != 0 {
				header = 0x65
			}
			if variant&2 != 0 {
				u.PTS += 3_600
			}
			if variant&4 != 0 {
				m.Discontinuity()
			}
			body := nalu(rng, header, size)
			u.Data = avcc(4, body)
			want := m.VideoSize(u)
			ts := m.AppendVideo(dirty, u)
			if len(ts) != want {
				t.Fatalf("size %d: %d bytes, VideoSize said %d", size, len(ts), want)
			}
			if err := checkPackets(ts, s); err != nil {
				t.Fatalf("size %d variant %d: %v", size, variant, err)
			}
			got, err := demux(append(m.AppendTables(nil), ts...))
			if err != nil || len(got) != 1 || !bytes.Equal(got[0].data, annexB(aud, body)) {
				t.Fatalf("size %d variant %d came back wrong: %v", size, variant, err)
			}
			s.counters[0] = (s.counters[0] + 1) & 0xF
			if got[0].pts != wire(u.PTS) || got[0].dts != wire(u.DTS) {
				t.Fatalf("times %d %d, want %d %d", got[0].pts, got[0].dts, wire(u.PTS), wire(u.DTS))
			}
		}
	}
}

// fedUnit is what a reader must find of an access unit.
type fedUnit struct {
	pts, dts int64
	nalus    [][]byte
}

// maxRandom is the size of the largest NALU of randomVideo: more than the 64 KB that the
// length of a PES packet can say. The readers copy what they have of a unit with each
// packet, so their time grows with its square.
const maxRandom = 80 << 10

// randomVideo makes access units of NALUs of up to maxRandom at uneven distances, some of
// them around a packet boundary.
func randomVideo(rng *rand.Rand, count int, start int64) (units []mpegts.VideoUnit, want []fedUnit) {
	dts := start
	for i := range count {
		size := 1 + rng.IntN(maxRandom)
		switch rng.IntN(3) {
		case 0:
			size = 1 + rng.IntN(2_000)
		case 1:
			size = max(1, (1+rng.IntN(maxRandom/184))*184-rng.IntN(64))
		}
		first := byte(0x41)
		f := fedUnit{dts: dts, pts: dts + int64(rng.IntN(4))*3_003}
		if i%10 == 0 {
			first = 0x65
			f.nalus = append(f.nalus, sps, pps)
		}
		var own [][]byte
		for n := range 1 + rng.IntN(8) {
			part := 1 + rng.IntN(size)
			if n == 0 {
				part = size
			}
			own = append(own, nalu(rng, first, part))
			first = 0x41
			size = max(1, size-part)
		}
		f.nalus = append(f.nalus, own...)
		units = append(units, mpegts.VideoUnit{
			DTS: dts, PTS: f.pts, ParameterSets: parameterSets, Data: avcc(4, own...),
		})
		want = append(want, f)
		dts += 1 + int64(rng.IntN(30_000))
	}
	return units, want
}

func TestReadersFindEveryUnitOfRandomVideo(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(2, seed))
		// The second half of the seeds crosses the wrap of 33 bits.
		units, want := randomVideo(rng, 60, int64(seed/3)*(1<<33-mpegts.DecodeDelay-500_000)-7_777)
		m := mpegts.NewMuxer(mpegts.H264, mpegts.None)
		ts := m.AppendTables(nil)
		for _, u := range units {
			ts = m.AppendVideo(ts, u)
		}
		s := mustCheck(t, ts)
		if err := s.checkPCRs(); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		got, err := demux(ts)
		if err != nil || len(got) != len(want) {
			t.Fatalf("seed %d: %d units of %d, error %v", seed, len(got), len(want), err)
		}
		for i, p := range got {
			w := want[i]
			if p.pts != wire(w.pts) || p.dts != wire(w.dts) || !p.aligned || p.length != 0 ||
				!bytes.Equal(p.data, annexB(append([][]byte{aud}, w.nalus...)...)) {
				t.Fatalf("seed %d: unit %d differs", seed, i)
			}
		}
		compareWithReader(t, ts, want)
	}
}

// compareWithReader reads video with mediacommon's reader.
func compareWithReader(t *testing.T, ts []byte, want []fedUnit) {
	t.Helper()
	r := &tsreader.Reader{R: bytes.NewReader(ts)}
	if err := r.Initialize(); err != nil {
		t.Fatal(err)
	}
	r.OnDecodeError(func(err error) { t.Error(err) })
	n := 0
	r.OnDataH264(r.Tracks()[0], func(pts, dts int64, au [][]byte) error {
		w := want[n]
		if pts != wire(w.pts) || dts != wire(w.dts) || len(au) != len(w.nalus) {
			t.Fatalf("unit %d: %d %d with %d NALUs", n, pts, dts, len(au))
		}
		for i := range au {
			if !bytes.Equal(au[i], w.nalus[i]) {
				t.Fatalf("NALU %d of unit %d differs", i, n)
			}
		}
		n++
		return nil
	})
	for {
		err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n != len(want) {
		t.Errorf("%d units of %d", n, len(want))
	}
}

func TestPTSBeforeDTSIsTakenAsDTS(t *testing.T) {
	m := mpegts.NewMuxer(mpegts.H264, mpegts.None)
	got, err := demux(m.AppendVideo(m.AppendTables(nil), mpegts.VideoUnit{DTS: 900, PTS: 100, Data: avcc(4, []byte{0x41, 1})}))
	if err != nil || got[0].pts != wire(900) || got[0].dts != wire(900) {
		t.Errorf("got %+v, error %v", got, err)
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	m := mpegts.NewMuxer(mpegts.H264, mpegts.AAC)
	g := mpegts.NewAudioGatherer(mpegts.GatherWithVideo)
	frame, header := nalu(rng, 1, 300), nalu(rng, 0xFF, 7)
	u := mpegts.VideoUnit{ParameterSets: parameterSets, Data: avcc(4, nalu(rng, 0x65, 20_000))}
	buf := make([]byte, 0, 64<<10)
	g.Add(0, 1_920, header, frame)
	g.Add(1_920, 1_920, header, frame)
	g.Take()
	allocs := testing.AllocsPerRun(100, func() {
		u.DTS += 20_000
		u.PTS = u.DTS + 3_600
		buf = m.AppendVideo(m.AppendTables(buf[:0]), u)
		g.Add(u.DTS, 1_920, header, frame)
		g.Add(u.DTS+1_920, 1_920, header, frame)
		buf = m.AppendAudio(buf, g.Take())
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
