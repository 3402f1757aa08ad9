package ts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/asticode/go-astits"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/bytelog"
	"github.com/headwater-live/headwater/remux/flvtag"
	"github.com/headwater-live/headwater/remux/mpegts"
)

var (
	avcRecord = []byte("\x01\x4d\x40\x0c\xff\xe1\x00\x18" +
		"\x67\x4d\x40\x0c\xda\x05\x06\x7e\x7c\x04\x40\x00\x00\x03\x00\x40\x00\x00\x0c\x83\xc5\x0a\xa8" + "\x80" +
		"\x01\x00\x04\x68\xef\x3c\x80")
	aacRecord = []byte{0x11, 0x90}
)

// feed is a log and what is written to it.
type feed struct {
	t   *testing.T
	log *bytelog.Log
	dts int64
	n   int // pictures
}

func newFeed(t *testing.T, tracks remux.Tracks) *feed {
	f := &feed{t: t, log: bytelog.New(newFormat(), bytelog.Options{})}
	f.begin(tracks)
	return f
}

func (f *feed) begin(tracks remux.Tracks) {
	f.log.Begin(tracks)
	if tracks.Video {
		f.log.Write(&remux.Packet{Kind: remux.VideoConfig, Codec: flvtag.H264, DTS: f.dts, Payload: avcRecord})
	}
	if tracks.Audio {
		f.log.Write(&remux.Packet{Kind: remux.AudioConfig, Codec: flvtag.AAC, DTS: f.dts, Payload: aacRecord})
	}
}

// picture writes one of 40 ms and the sound beside it.
func (f *feed) picture(keyframe bool, tracks remux.Tracks) {
	if tracks.Video {
		unit := []byte(fmt.Sprintf("\x41%06d", f.n))
		if keyframe {
			unit = bytes.Repeat([]byte{0x65, 1, 2, 3}, 10_000)
		}
		size := len(unit)
		f.log.Write(&remux.Packet{Kind: remux.VideoFrame, Codec: flvtag.H264, Keyframe: keyframe, DTS: f.dts, Composition: 80,
			Payload: append([]byte{byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)}, unit...)})
		f.n++
	}
	if tracks.Audio {
		for _, at := range []int64{f.dts + 3, f.dts + 24} {
			f.log.Write(&remux.Packet{Kind: remux.AudioFrame, Codec: flvtag.AAC, DTS: at, Payload: bytes.Repeat([]byte{7}, 170)})
		}
	}
	f.dts += 40
}

// read returns all from a position to the end.
func read(at *bytelog.Position) (b []byte) {
	for units := at.Next(); units != nil; units = at.Next() {
		b = append(b, units...)
		at.Skip(len(units))
	}
	return b
}

// receiver checks packets as a receiver that takes nothing amiss: counters and PCRs go on, or it
// is told.
type receiver struct {
	counters map[uint16]uint8
	pcr      int64
	clockPID uint16
	pids     []uint16 // in the order of their first packets with payload
	first    map[uint16]bool
}

func newReceiver() *receiver {
	return &receiver{counters: map[uint16]uint8{}, pcr: -1, first: map[uint16]bool{}}
}

func (r *receiver) take(t *testing.T, stream []byte) {
	t.Helper()
	if len(stream)%mpegts.PacketSize != 0 {
		t.Fatalf("%d bytes are no whole number of packets", len(stream))
	}
	for i := 0; i < len(stream); i += mpegts.PacketSize {
		p := stream[i : i+mpegts.PacketSize]
		if p[0] != 0x47 {
			t.Fatalf("packet %d begins with %#x", i/mpegts.PacketSize, p[0])
		}
		pid := uint16(p[1]&0x1f)<<8 | uint16(p[2])
		payload, counter := p[3]&0x10 != 0, p[3]&0xf
		flags := byte(0)
		if p[3]&0x20 != 0 && p[4] > 0 {
			flags = p[5]
		}
		broken := flags&0x80 != 0
		last, known := r.counters[pid]
		want := last
		if payload {
			want = (last + 1) & 0xf
		}
		if known && !broken && counter != want {
			t.Fatalf("packet %d of PID %#x: counter %d, want %d", i/mpegts.PacketSize, pid, counter, want)
		}
		r.counters[pid] = counter
		if payload && !r.first[pid] {
			r.first[pid] = true
			r.pids = append(r.pids, pid)
		}
		r.clock(t, p, flags, broken)
	}
}

func (r *receiver) clock(t *testing.T, p []byte, flags byte, broken bool) {
	t.Helper()
	if broken && p[1]&0x1f == 1 { // PIDs of tracks
		r.pcr = -1
	}
	if flags&0x10 == 0 {
		return
	}
	pcr := int64(p[6])<<25 | int64(p[7])<<17 | int64(p[8])<<9 | int64(p[9])<<1 | int64(p[10])>>7
	pid := uint16(p[1]&0x1f)<<8 | uint16(p[2])
	if pid != r.clockPID {
		r.clockPID, r.pcr = pid, -1 // the PMT has said so
	}
	if r.pcr >= 0 && (pcr <= r.pcr || pcr-r.pcr > 9_000) {
		t.Fatalf("PCR %d after %d", pcr, r.pcr)
	}
	r.pcr = pcr
}

// units counts PES packets by PID with an independent demuxer.
func units(t *testing.T, stream []byte) map[uint16]int {
	t.Helper()
	n := map[uint16]int{}
	demuxer := astits.NewDemuxer(context.Background(), bytes.NewReader(stream), astits.DemuxerOptPacketSize(mpegts.PacketSize))
	for {
		d, err := demuxer.NextData()
		if errors.Is(err, astits.ErrNoMorePackets) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		if d.PES != nil {
			n[d.PID]++
		}
	}
}

var kinds = map[string]remux.Tracks{
	"both": {Video: true, Audio: true}, "video alone": {Video: true}, "audio alone": {Audio: true},
}

func TestAViewerBeginsWithTheTablesAndReadsOnCleanly(t *testing.T) {
	for name, tracks := range kinds {
		f := newFeed(t, tracks)
		for i := range 160 {
			f.picture(i%50 == 0, tracks)
		}
		prologue, at, _ := f.log.Join(nil, 0)
		if len(prologue) != 0 {
			t.Errorf("%s: %d bytes come before the units", name, len(prologue))
		}
		r := newReceiver()
		r.take(t, read(&at))
		if len(r.pids) < 3 || r.pids[0] != 0 || r.pids[1] != 0x1000 {
			t.Errorf("%s: the stream begins with the PIDs %#x", name, r.pids)
		}
		if tracks.Video && r.pids[2] != 0x100 {
			t.Errorf("%s: the tables are followed by PID %#x", name, r.pids[2])
		}
		for i := range 60 {
			f.picture(i%50 == 0, tracks)
		}
		r.take(t, read(&at))
	}
}

func TestWhoJoinsGetsNoSoundFromBeforeThePicture(t *testing.T) {
	tracks := remux.Tracks{Video: true, Audio: true}
	f := newFeed(t, tracks)
	for i := range 53 {
		f.picture(i%50 == 0, tracks)
	}
	_, at, _ := f.log.Join(nil, 0)
	f.log.End()
	// Three pictures, and six frames of sound beside them.
	if n := bytes.Count(read(&at), []byte{0xff, 0xf1, 0x4c}); n != 6 {
		t.Errorf("%d frames of sound, want 6", n)
	}
}

func TestEveryFrameIsInTheStreamOnce(t *testing.T) {
	tracks := remux.Tracks{Video: true, Audio: true}
	f := newFeed(t, tracks)
	_, at, _ := f.log.Join(nil, 0)
	const pictures = 130
	for i := range pictures {
		f.picture(i%50 == 0, tracks)
	}
	f.log.End()
	stream := read(&at)
	if n := units(t, stream)[0x100]; n != pictures {
		t.Errorf("%d pictures, want %d", n, pictures)
	}
	if n := bytes.Count(stream, []byte{0xff, 0xf1, 0x4c}); n != 2*pictures { // ADTS, AAC-LC, 48 kHz
		t.Errorf("%d frames of sound, want %d", n, 2*pictures)
	}
}

func TestAViewerThatJumpsIsToldOfIt(t *testing.T) {
	for name, tracks := range kinds {
		for skipped := range 40 { // so that the counters are anywhere
			f := newFeed(t, tracks)
			_, at, known := f.log.Join(nil, 0)
			for i := range 25 {
				f.picture(i == 0, tracks)
			}
			r := newReceiver()
			r.take(t, read(&at))
			for i := range 50 + skipped {
				f.picture(i%25 == 0, tracks)
			}
			prologue, to, _ := f.log.Join(nil, known)
			r.take(t, prologue)
			r.take(t, read(&to))
			f.picture(false, tracks)
			r.take(t, read(&to))
			if t.Failed() {
				t.Fatalf("%s, with %d pictures skipped", name, skipped)
			}
		}
	}
}

func TestAViewerThatJumpsBetweenPublicationsIsToldOfIt(t *testing.T) {
	tracks := remux.Tracks{Video: true, Audio: true}
	f := newFeed(t, tracks)
	_, at, known := f.log.Join(nil, 0)
	f.picture(true, tracks)
	r := newReceiver()
	r.take(t, read(&at))
	for i := range 77 {
		f.picture(i == 0, tracks)
	}
	f.log.End()
	f.begin(tracks) // and no frame yet
	prologue, to, _ := f.log.Join(nil, known)
	r.take(t, prologue)
	if b := read(&to); len(b) != 0 {
		t.Fatalf("%d bytes are left after the jump to the end", len(b))
	}
	f.picture(true, tracks)
	f.picture(false, tracks)
	r.take(t, read(&to))
}

func TestTracksThatChangeChangeTheTables(t *testing.T) {
	video, both := remux.Tracks{Video: true}, remux.Tracks{Video: true, Audio: true}
	f := newFeed(t, video)
	_, at, _ := f.log.Join(nil, 0)
	f.picture(true, video)
	f.picture(false, video)
	f.log.Write(&remux.Packet{Kind: remux.AudioConfig, Codec: flvtag.AAC, DTS: f.dts, Payload: aacRecord})
	for range 10 {
		f.picture(false, both)
	}
	stream := read(&at)
	newReceiver().take(t, stream)
	if n := units(t, stream)[0x101]; n == 0 {
		t.Error("the sound that came later is not in the stream")
	}
	tables := 0
	for p := range slices.Chunk(stream, mpegts.PacketSize) {
		if p[1]&0x1f == 0 && p[2] == 0 {
			tables++
		}
	}
	if tables != 2 { // within half a second they come again only where they have changed
		t.Errorf("the tables came %d times", tables)
	}
}

func TestACodecThatIsNotCarriedIsLeftOut(t *testing.T) {
	f := &feed{t: t, log: bytelog.New(newFormat(), bytelog.Options{})}
	f.log.Begin(remux.Tracks{Video: true, Audio: true})
	f.log.Write(&remux.Packet{Kind: remux.VideoConfig, Codec: flvtag.AV1, Payload: []byte{0x81, 0, 0, 0}})
	f.log.Write(&remux.Packet{Kind: remux.AudioConfig, Codec: flvtag.AAC, Payload: aacRecord})
	_, at, _ := f.log.Join(nil, 0)
	f.log.Write(&remux.Packet{Kind: remux.VideoFrame, Codec: flvtag.AV1, Keyframe: true, Payload: []byte{1, 2, 3}})
	for range 40 {
		f.picture(false, remux.Tracks{Audio: true})
	}
	r := newReceiver()
	stream := read(&at)
	r.take(t, stream)
	if len(r.pids) != 3 || r.pids[0] != 0 || units(t, stream)[0x101] == 0 {
		t.Errorf("the PIDs are %#x", r.pids)
	}
}
