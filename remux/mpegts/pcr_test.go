package mpegts_test

import (
	"math/rand/v2"
	"testing"

	"github.com/headwater-live/headwater/remux/mpegts"
)

var slice = avcc(4, []byte{0x41, 0x9A, 1})

func bases(s *structure) []int64 {
	var out []int64
	for _, p := range s.pcrs {
		out = append(out, p.base)
	}
	return out
}

func equal(a, b []int64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i]&timestampMask {
			return false
		}
	}
	return true
}

func TestPCRsFillTheGapsBetweenUnits(t *testing.T) {
	for _, test := range []struct {
		name  string
		units []int64
		want  []int64
	}{
		{"25 fps", []int64{0, 3_600, 7_200}, []int64{0, 3_600, 7_200}},
		{"10 fps to the tick", []int64{0, 9_000, 18_000}, []int64{0, 9_000, 18_000}},
		{"10 fps with jitter", []int64{0, 9_090, 18_000}, []int64{0, 4_545, 9_090, 18_000}},
		{"a gap", []int64{0, 36_001}, []int64{0, 7_200, 14_400, 21_600, 28_800, 36_001}},
		{"a gap before zero", []int64{-20_000, 0}, []int64{-20_000, -13_334, -6_667, 0}},
		{"across the wrap", []int64{1<<33 - 5_000, 1<<33 + 7_000}, []int64{1<<33 - 5_000, 1<<33 + 1_000, 1<<33 + 7_000}},
		{"beyond repair", []int64{0, 10*90_000 + 1}, []int64{0, 10*90_000 + 1}},
		{"a step back goes without", []int64{5_000, 4_000, 6_000}, []int64{5_000, 6_000}},
	} {
		m := mpegts.NewMuxer(mpegts.H264, mpegts.None)
		var ts []byte
		for _, at := range test.units {
			ts = m.AppendVideo(ts, mpegts.VideoUnit{DTS: at, PTS: at, Data: slice})
		}
		if got := bases(mustCheck(t, ts)); !equal(got, test.want) {
			t.Errorf("%s: PCRs are %v, want %v", test.name, got, test.want)
		}
	}
}

func TestAudioKeepsThePCRGoingWhileVideoStands(t *testing.T) {
	m := mpegts.NewMuxer(mpegts.H264, mpegts.AAC)
	ts := m.AppendVideo(nil, mpegts.VideoUnit{Data: slice})
	for at := int64(0); at < 90_000; at += 15_000 {
		ts = m.AppendAudio(ts, mpegts.AudioUnit{PTS: at, Duration: 15_000, Frames: make([]byte, 500)})
	}
	ts = m.AppendVideo(ts, mpegts.VideoUnit{DTS: 90_000, PTS: 90_000, Data: slice})
	s := mustCheck(t, ts)
	if err := s.checkPCRs(); err != nil {
		t.Error(err)
	}
	if last := s.pcrs[len(s.pcrs)-1]; last.base != 90_000 {
		t.Errorf("PCRs are %v", s.pcrs)
	}
}

func TestAudioThatComesBeforeVideoStartsTheClock(t *testing.T) {
	m := mpegts.NewMuxer(mpegts.H264, mpegts.AAC)
	ts := m.AppendAudio(nil, mpegts.AudioUnit{PTS: 500, Duration: 1_920, Frames: make([]byte, 500)})
	ts = m.AppendVideo(ts, mpegts.VideoUnit{DTS: 900, PTS: 900, Data: slice})
	if got := bases(mustCheck(t, ts)); !equal(got, []int64{500, 900}) {
		t.Errorf("PCRs are %v", got)
	}
}

// A stream with jitter, pauses and audio: PCRs at least every 100 ms, and none after
// the DTS of the unit it comes with or before.
func TestPCRNeverComesAfterTheUnitItBelongsTo(t *testing.T) {
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(8, seed))
		m := mpegts.NewMuxer(mpegts.H264, mpegts.AAC)
		at, audio := int64(1<<33-2_000_000), int64(1<<33-2_000_000)
		var ts []byte
		s := &structure{}
		for range 300 {
			at += 900 + int64(rng.IntN(9_000))
			if rng.IntN(20) == 0 {
				at += int64(rng.IntN(200_000))
			}
			for ; audio < at; audio += 12_000 {
				ts = m.AppendAudio(ts, mpegts.AudioUnit{PTS: audio, Duration: 12_000, Frames: make([]byte, 100+rng.IntN(3_000))})
			}
			u := mpegts.VideoUnit{DTS: at, PTS: at, Data: avcc(4, nalu(rng, 0x41, 1+rng.IntN(9_000)))}
			ts = m.AppendVideo(ts, u)
			if err := checkPackets(ts, s); err != nil {
				t.Fatal(err)
			}
			newest := s.pcrs[len(s.pcrs)-1].base
			if delay := (wire(at) - newest) & timestampMask; delay < mpegts.DecodeDelay || delay > 90_000 {
				t.Fatalf("seed %d: DTS is %d after the newest PCR", seed, delay)
			}
			ts = ts[:0]
		}
		if err := s.checkPCRs(); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

func TestDiscontinuityIsIndicatedOncePerTrackAndCountersRunOn(t *testing.T) {
	m := mpegts.NewMuxer(mpegts.H264, mpegts.AAC)
	write := func(ts []byte, at int64) []byte {
		ts = m.AppendTables(ts)
		for i := range int64(3) {
			ts = m.AppendVideo(ts, mpegts.VideoUnit{DTS: at + i*3_600, PTS: at + i*3_600, Data: slice})
			ts = m.AppendAudio(ts, mpegts.AudioUnit{PTS: at + i*3_600, Duration: 3_600, Frames: make([]byte, 400)})
		}
		return ts
	}
	ts := write(nil, 5_000_000)
	cut := len(ts)
	m.Discontinuity()
	ts = write(ts, 90)
	indicated := map[uint16][]int{}
	last := map[uint16]byte{}
	for at := 0; at < len(ts); at += mpegts.PacketSize {
		p := ts[at:]
		pid := uint16(p[1]&0x1F)<<8 | uint16(p[2])
		if p[3]&0x20 != 0 && p[4] > 0 && p[5]&0x80 != 0 {
			indicated[pid] = append(indicated[pid], at)
		}
		if n, seen := last[pid]; seen && p[3]&0xF != (n+1)&0xF {
			t.Errorf("counter of PID %d goes from %d to %d", pid, n, p[3]&0xF)
		}
		last[pid] = p[3] & 0xF
	}
	tables := 2 * mpegts.PacketSize
	if v, a := indicated[0x100], indicated[0x101]; len(indicated) != 2 || len(v) != 1 || len(a) != 1 ||
		v[0] != cut+tables || a[0] != cut+tables+mpegts.PacketSize {
		t.Errorf("indicated at %v, the cut is at %d", indicated, cut)
	}
	if err := mustCheck(t, ts).checkPCRs(); err != nil {
		t.Error(err)
	}
}
