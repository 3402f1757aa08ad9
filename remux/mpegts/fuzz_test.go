package mpegts_test

import (
	"bytes"
	"testing"

	"github.com/headwater-live/headwater/remux/mpegts"
)

// FuzzAppendVideo feeds any bytes as an access unit. Whatever they are, packets are
// whole and counted, go-astits reads what the NALUs say, and the size was foretold.
func FuzzAppendVideo(f *testing.F) {
	s := readSample(f, sampleAV)
	for i, frame := range s.frames[:12] {
		if frame.isVideo {
			f.Add(frame.data, uint8(4), i == 0, frame.dts, frame.pts-frame.dts, false)
		}
	}
	for _, unit := range readHEVC(f, sampleHEVCCRA)[:12] {
		f.Add(avcc(4, unit...), uint8(4), false, int64(0), int64(3_600), true)
	}
	f.Add([]byte{2, 9, 0xF0, 0, 3, 0x65, 1, 2}, uint8(1), true, int64(-5), int64(0), false)
	f.Add([]byte{0, 0, 0, 2, 0x68, 1, 0xFF, 0xFF, 0xFF, 0xFF}, uint8(4), false, int64(1<<33), int64(1), true)
	f.Fuzz(func(t *testing.T, data []byte, lengthSize uint8, random bool, dts, composition int64, hevc bool) {
		m, sets := mpegts.NewMuxer(mpegts.H264, mpegts.AAC), parameterSets
		if hevc {
			m, sets = mpegts.NewMuxer(mpegts.HEVC, mpegts.AAC), hevcSets
		}
		checker := &structure{}
		u := mpegts.VideoUnit{
			DTS: dts % (1 << 60), RandomAccess: random,
			ParameterSets: sets, Data: data, LengthSize: int(lengthSize),
		}
		u.PTS = u.DTS + composition%(1<<32)
		for range 3 {
			want := m.VideoSize(u)
			ts := m.AppendVideo(poisoned(want), u)
			if len(ts) != want {
				t.Fatalf("%d bytes, VideoSize said %d", len(ts), want)
			}
			if err := checkPackets(ts, checker); err != nil {
				t.Fatal(err)
			}
			got, err := demux(ts)
			if err != nil {
				t.Fatal(err)
			}
			checkUnit(t, got, u, hevc)
			u.DTS += 20_000
			u.PTS += 20_000
		}
	})
}

func checkUnit(t *testing.T, got []pes, u mpegts.VideoUnit, hevc bool) {
	t.Helper()
	whole := wholeNALUs(u.Data, u.LengthSize, hevc)
	if len(whole) == 0 {
		if len(got) != 0 {
			t.Fatalf("%d PES packets of nothing", len(got))
		}
		return
	}
	if len(got) != 1 {
		t.Fatalf("%d PES packets", len(got))
	}
	if got[0].dts != wire(u.DTS) || got[0].pts != wire(max(u.PTS, u.DTS)) {
		t.Fatalf("times %d %d", got[0].pts, got[0].dts)
	}
	delimiter := aud
	if hevc {
		delimiter = hevcAUD
	}
	data, ok := bytes.CutPrefix(got[0].data, annexB(delimiter))
	if !ok {
		t.Fatal("the unit does not begin with a delimiter")
	}
	data = bytes.TrimPrefix(data, u.ParameterSets)
	if want := bytes.TrimPrefix(annexB(whole...), u.ParameterSets); !bytes.Equal(data, want) {
		t.Fatalf("data is % x, want % x", data, want)
	}
}

// wholeNALUs takes an access unit apart in the plainest way, and leaves out delimiters.
func wholeNALUs(au []byte, lengthSize int, hevc bool) [][]byte {
	if lengthSize < 1 || lengthSize > 4 {
		lengthSize = 4
	}
	var out [][]byte
	for len(au) >= lengthSize {
		n := 0
		for _, b := range au[:lengthSize] {
			n = n*256 + int(b)
		}
		au = au[lengthSize:]
		if n > len(au) {
			break
		}
		if n > 0 && (!hevc || au[0]>>1&0x3F != 35) && (hevc || au[0]&0x1F != 9) {
			out = append(out, au[:n])
		}
		au = au[n:]
	}
	return out
}

// FuzzAudio gathers frames of any sizes at any times.
func FuzzAudio(f *testing.F) {
	f.Add([]byte{10, 20, 30, 40}, uint16(1_920), int64(0), false)
	f.Add(bytes.Repeat([]byte{255}, 60), uint16(2_090), int64(1<<33-9_000), true)
	f.Add(bytes.Repeat([]byte{1}, 60), uint16(0xFFFF), int64(-1), false)
	f.Fuzz(func(t *testing.T, sizes []byte, duration uint16, start int64, withVideo bool) {
		video, wait := mpegts.None, int64(mpegts.GatherAlone)
		if withVideo {
			video, wait = mpegts.H264, mpegts.GatherWithVideo
		}
		m := mpegts.NewMuxer(video, mpegts.AAC)
		g := mpegts.NewAudioGatherer(wait)
		ts := m.AppendTables(nil)
		var fed []byte
		flush := func() {
			u := g.Take()
			fed = append(fed, u.Frames...)
			want := len(ts) + m.AudioSize(u)
			if ts = m.AppendAudio(ts, u); len(ts) != want {
				t.Fatalf("%d bytes, AudioSize said %d", len(ts), want)
			}
		}
		at := start % (1 << 60)
		for i, size := range sizes[:min(len(sizes), 500)] {
			frame := bytes.Repeat([]byte{byte(i)}, 1+int(size)*4)
			if g.Full(at, len(frame)) {
				flush()
			}
			g.Add(at, int64(duration), nil, frame)
			at += max(int64(duration), 1)
		}
		flush()
		s := &structure{}
		if err := checkPackets(ts, s); err != nil {
			t.Fatal(err)
		}
		if len(fed) > 0 {
			if err := s.checkPCRs(); err != nil {
				t.Fatal(err)
			}
		}
		got, err := demux(ts)
		if err != nil {
			t.Fatal(err)
		}
		var read []byte
		for _, p := range got {
			read = append(read, p.data...)
		}
		if !bytes.Equal(read, fed) {
			t.Fatal("the frames came back changed")
		}
	})
}
