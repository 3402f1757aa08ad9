package mpegts_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	tsreader "github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"

	"github.com/headwater-live/headwater/remux/aac"
	"github.com/headwater-live/headwater/remux/mpegts"
)

func lc48k(t testing.TB) aac.Config {
	t.Helper()
	c, err := aac.ParseConfig([]byte{0x11, 0x90})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Units of every size up to some packets and of many durations: all the places where
// PCRs and stuffing can meet.
func TestEveryAudioUnitComesBackWithItsPCRs(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	m := mpegts.NewMuxer(mpegts.None, mpegts.AAC)
	data := nalu(rng, 0xFF, 4_000)
	dirty := poisoned(64 << 10)
	s := &structure{}
	at := int64(1<<33 - 3_000_000)
	for size := 1; size < 1_500; size++ {
		u := mpegts.AudioUnit{PTS: at, Duration: int64(rng.IntN(mpegts.GatherAlone)), Frames: data[:size]}
		if rng.IntN(8) == 0 {
			m.Discontinuity()
		}
		want := m.AudioSize(u)
		ts := m.AppendAudio(dirty, u)
		if len(ts) != want {
			t.Fatalf("size %d: %d bytes, AudioSize said %d", size, len(ts), want)
		}
		if err := checkPackets(ts, s); err != nil {
			t.Fatalf("size %d: %v", size, err)
		}
		got, err := demux(append(m.AppendTables(nil), ts...))
		if err != nil || len(got) != 1 || !bytes.Equal(got[0].data, data[:size]) || got[0].pts != wire(at) ||
			int(got[0].length) != 8+size || !got[0].aligned || !got[0].random {
			t.Fatalf("size %d came back wrong: %v", size, err)
		}
		s.counters[0] = (s.counters[0] + 1) & 0xF
		at += max(u.Duration, 1)
	}
	if err := s.checkPCRs(); err != nil {
		t.Error(err)
	}
}

func TestReaderFindsEveryFrameOfGatheredAudio(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(6, seed))
		m := mpegts.NewMuxer(mpegts.None, mpegts.AAC)
		g := gatherer{t, m, lc48k(t), mpegts.NewAudioGatherer(mpegts.GatherAlone)}
		ts := m.AppendTables(nil)
		var frames [][]byte
		size := 1 + rng.IntN(1_200)
		for i := range 500 {
			f := frame{pts: int64(i) * 1_920, data: nalu(rng, 0x21, 1+rng.IntN(size))}
			frames = append(frames, f.data)
			ts = g.add(ts, f)
		}
		ts = g.flush(ts)
		s := mustCheck(t, ts)
		if err := s.checkPCRs(); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		compareAudio(t, ts, frames)
	}
}

// compareAudio reads 48 kHz audio with mediacommon's reader: all frames, and PTS that
// agree with their number.
func compareAudio(t *testing.T, ts []byte, want [][]byte) {
	t.Helper()
	r := &tsreader.Reader{R: bytes.NewReader(ts)}
	if err := r.Initialize(); err != nil {
		t.Fatal(err)
	}
	r.OnDecodeError(func(err error) { t.Error(err) })
	n := 0
	r.OnDataMPEG4Audio(r.Tracks()[0], func(pts int64, aus [][]byte) error {
		if pts != wire(int64(n)*1_920) {
			t.Fatalf("frame %d at %d", n, pts)
		}
		for _, au := range aus {
			if !bytes.Equal(au, want[n]) {
				t.Fatalf("frame %d differs", n)
			}
			n++
		}
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
		t.Errorf("%d frames of %d", n, len(want))
	}
}

func TestGathererBoundsUnits(t *testing.T) {
	header, body := make([]byte, 7), make([]byte, 200)
	g := mpegts.NewAudioGatherer(mpegts.GatherWithVideo)
	if g.Full(0, 9_000) {
		t.Error("an empty gatherer is full")
	}
	if u := g.Take(); len(u.Frames) != 0 {
		t.Error("an empty gatherer has something to take")
	}
	g.Add(100, 1_920, header, body)
	for _, test := range []struct {
		name string
		pts  int64
		size int
		want bool
	}{
		{"next frame", 2_020, 207, false},
		{"rounded time", 2_020 + 89, 207, false},
		{"gap", 2_020 + 91, 207, true},
		{"overlap", 2_020 - 91, 207, true},
		{"too large", 2_020, 2_900, true},
	} {
		if got := g.Full(test.pts, test.size); got != test.want {
			t.Errorf("%s: full is %v", test.name, got)
		}
	}
	pts := int64(2_020)
	for ; !g.Full(pts, 107); pts += 1_920 {
		g.Add(pts, 1_920, header, body[:100])
	}
	u := g.Take()
	if u.PTS != 100 || u.Duration < mpegts.GatherWithVideo || u.Duration >= mpegts.GatherWithVideo+1_920 {
		t.Errorf("unit of %d at %d", u.Duration, u.PTS)
	}
	if u.Duration != pts-100 || int64(len(u.Frames)) != 207+107*(u.Duration/1_920-1) {
		t.Errorf("unit of %d bytes and %d", len(u.Frames), u.Duration)
	}
}

// Audio-only output of 64 kbit/s AAC costs less than 15 %, tables of 2 s segments
// included: of an encoder's frames, and of frames that are all of the mean size.
func TestAudioAloneCostsLessThan15Percent(t *testing.T) {
	real := readSample(t, sampleAudio)
	cd, err := aac.ParseConfig([]byte{0x12, 0x10})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		s    sample
	}{
		{"ffmpeg at 48 kHz", real},
		{"constant at 48 kHz", constantAudio(lc48k(t), 171)},
		{"constant at 44.1 kHz", constantAudio(cd, 186)},
	} {
		ts, raw := muxSegments(t, test.s, 180_000)
		overhead := 100 * (float64(len(ts))/float64(raw) - 1)
		t.Logf("%s: overhead %.2f %%", test.name, overhead)
		if overhead >= 15 {
			t.Errorf("%s: overhead is %.2f %%", test.name, overhead)
		}
		if err := mustCheck(t, ts).checkPCRs(); err != nil {
			t.Error(err)
		}
	}
}

// Of 32 kbit/s the ADTS headers alone are 8 %, and the tables 4 %: beyond ADTS it is less than 15 % all the
// same, and every frame is there.
func TestAudioOf32KilobitsCostsLessThan15PercentBeyondADTS(t *testing.T) {
	for _, size := range []int{85, 88, 91, 93, 97} { // what 48 and 44.1 kHz make of it, and about
		s := constantAudio(lc48k(t), size)
		ts, raw := muxSegments(t, s, 180_000)
		adts := raw + 7*len(s.frames)
		overhead := 100 * (float64(len(ts))/float64(adts) - 1)
		t.Logf("frames of %d bytes: overhead %.2f %%, %.2f %% beyond ADTS", size, 100*(float64(len(ts))/float64(raw)-1), overhead)
		if overhead >= 15 {
			t.Errorf("frames of %d bytes: %.2f %% beyond ADTS", size, overhead)
		}
		if err := mustCheck(t, ts).checkPCRs(); err != nil {
			t.Error(err)
		}
		want := make([][]byte, len(s.frames))
		for i, f := range s.frames {
			want[i] = f.data
		}
		compareAudio(t, ts, want)
	}
}

func constantAudio(c aac.Config, size int) sample {
	s := sample{audio: c}
	for i := range int64(1_000) {
		pts := i * 1_024 * 90_000 / int64(c.SampleRate)
		s.frames = append(s.frames, frame{pts: pts, dts: pts, data: make([]byte, size)})
	}
	return s
}

// muxSegments makes segments of audio alone, and returns them with the number of
// bytes of bare frames in them.
func muxSegments(t *testing.T, s sample, segment int64) (ts []byte, raw int) {
	m := mpegts.NewMuxer(mpegts.None, mpegts.AAC)
	g := gatherer{t, m, s.audio, mpegts.NewAudioGatherer(mpegts.GatherAlone)}
	cut := int64(0)
	for _, f := range s.frames {
		if f.pts >= cut {
			ts = m.AppendTables(g.flush(ts))
			cut += segment
		}
		ts = g.add(ts, f)
		raw += len(f.data)
	}
	return g.flush(ts), raw
}

func TestLongAudioUnitIsCutToItsLimit(t *testing.T) {
	m := mpegts.NewMuxer(mpegts.H264, mpegts.AAC)
	long := nalu(rand.New(rand.NewPCG(7, 7)), 0xFF, mpegts.MaxAudioUnit+1)
	ts := m.AppendAudio(m.AppendTables(nil), mpegts.AudioUnit{Frames: long})
	mustCheck(t, ts)
	got, err := demux(ts)
	if err != nil || len(got) != 1 || !bytes.Equal(got[0].data, long[:mpegts.MaxAudioUnit]) {
		t.Errorf("%d PES packets, error %v", len(got), err)
	}
}
