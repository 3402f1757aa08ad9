package mpegts_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/asticode/go-astits"

	"github.com/headwater-live/headwater/remux/mpegts"
)

// readPMT reads the tables with go-astits, which checks their CRC.
func readPMT(t *testing.T, ts []byte) (*astits.PMTData, uint8) {
	t.Helper()
	// The version is in no struct of go-astits: byte 5 of the section.
	version := ts[mpegts.PacketSize+10] >> 1 & 0x1F
	d := astits.NewDemuxer(context.Background(), bytes.NewReader(ts), astits.DemuxerOptPacketSize(mpegts.PacketSize))
	for {
		data, err := d.NextData()
		if err != nil {
			t.Fatal(err)
		}
		if data.PMT != nil {
			return data.PMT, version
		}
	}
}

func TestTablesSayTheTracks(t *testing.T) {
	type es struct {
		kind astits.StreamType
		pid  uint16
	}
	video, audio := es{astits.StreamTypeH264Video, 0x100}, es{astits.StreamTypeAACAudio, 0x101}
	for _, test := range []struct {
		name         string
		video, audio mpegts.StreamType
		pcr          uint16
		want         []es
	}{
		{"both", mpegts.H264, mpegts.AAC, 0x100, []es{video, audio}},
		{"video alone", mpegts.H264, mpegts.None, 0x100, []es{video}},
		{"audio alone", mpegts.None, mpegts.AAC, 0x101, []es{audio}},
		{"none", mpegts.None, mpegts.None, 0x1FFF, nil},
		{"another type", 0x24, mpegts.None, 0x100, []es{{astits.StreamTypeH265Video, 0x100}}},
	} {
		pmt, _ := readPMT(t, mpegts.NewMuxer(test.video, test.audio).AppendTables(nil))
		if pmt.PCRPID != test.pcr || len(pmt.ElementaryStreams) != len(test.want) || pmt.ProgramNumber != 1 {
			t.Errorf("%s: PMT is %+v", test.name, pmt)
			continue
		}
		for i, s := range pmt.ElementaryStreams {
			if got := (es{s.StreamType, s.ElementaryPID}); got != test.want[i] {
				t.Errorf("%s: stream %d is %+v", test.name, i, got)
			}
		}
	}
}

func TestDamagedTablesAreNoticed(t *testing.T) {
	ts := mpegts.NewMuxer(mpegts.H264, mpegts.AAC).AppendTables(nil)
	for _, at := range []int{9, mpegts.PacketSize + 18} {
		bad := bytes.Clone(ts)
		bad[at] ^= 1
		d := astits.NewDemuxer(context.Background(), bytes.NewReader(bad), astits.DemuxerOptPacketSize(mpegts.PacketSize))
		failed := false
		for range 4 {
			if _, err := d.NextData(); err != nil {
				failed = err != astits.ErrNoMorePackets
				break
			}
		}
		if !failed {
			t.Errorf("go-astits does not check the CRC: byte %d can be changed", at)
		}
	}
}

func TestTablesCountOnAndChangeVersionWithTheTracks(t *testing.T) {
	m := mpegts.NewMuxer(mpegts.H264, mpegts.AAC)
	var ts []byte
	var versions []uint8
	for i := range 40 {
		switch i {
		case 3, 4:
			m.SetTracks(mpegts.H264, mpegts.None)
		case 10:
			m.SetTracks(mpegts.None, mpegts.AAC)
		}
		at := len(ts)
		ts = m.AppendTables(ts)
		pmt, version := readPMT(t, ts[at:])
		versions = append(versions, version)
		if want := i < 3; (len(pmt.ElementaryStreams) == 2) != want {
			t.Errorf("tables %d have %d streams", i, len(pmt.ElementaryStreams))
		}
	}
	s := mustCheck(t, ts)
	if s.packets[0] != 40 || s.packets[0x1000] != 40 {
		t.Errorf("packets: %v", s.packets)
	}
	if versions[2] != 0 || versions[3] != 1 || versions[9] != 1 || versions[10] != 2 || versions[39] != 2 {
		t.Errorf("versions: %v", versions)
	}
}

func TestClockMovesWithTheTracks(t *testing.T) {
	m := mpegts.NewMuxer(mpegts.H264, mpegts.AAC)
	ts := m.AppendVideo(nil, mpegts.VideoUnit{DTS: 100, PTS: 100, Data: slice})
	m.SetTracks(mpegts.None, mpegts.AAC)
	ts = m.AppendAudio(ts, mpegts.AudioUnit{PTS: 90, Duration: 1_920, Frames: make([]byte, 300)})
	if got := bases(mustCheck(t, ts)); !equal(got, []int64{100, 90}) {
		t.Errorf("PCRs are %v", got)
	}
}
