package flvtag

import (
	"bytes"
	"errors"
	"testing"
)

func TestTagIsLaidOutAsAnnexESays(t *testing.T) {
	got := AppendTag(nil, Video, 0x12345678, []byte{1, 2}, []byte{3})
	want := []byte{9, 0, 0, 3, 0x34, 0x56, 0x78, 0x12, 0, 0, 0, 1, 2, 3, 0, 0, 0, 14}
	if !bytes.Equal(got, want) {
		t.Errorf("got % x, want % x", got, want)
	}
}

func TestFileHeaderFlagsFollowTheTracks(t *testing.T) {
	for _, test := range []struct {
		audio, video bool
		flags        byte
	}{{true, true, 5}, {true, false, 4}, {false, true, 1}} {
		got := AppendFileHeader(nil, test.audio, test.video)
		if len(got) != FileHeaderSize || got[4] != test.flags {
			t.Errorf("audio %v, video %v: % x", test.audio, test.video, got)
		}
	}
}

var videoCases = []struct {
	name string
	body []byte
	want VideoHeader
}{
	{"AVC sequence header", []byte{0x17, 0, 0, 0, 0, 1}, VideoHeader{Codec: H264, Frame: FrameKey, Packet: SequenceHeader, Data: 5}},
	{"AVC frame with composition time", []byte{0x27, 1, 0, 0, 80, 9}, VideoHeader{Codec: H264, Frame: FrameInter, Packet: Frames, Composition: 80, Data: 5}},
	{"AVC frame with negative composition time", []byte{0x27, 1, 0xff, 0xff, 0xff, 9}, VideoHeader{Codec: H264, Frame: FrameInter, Packet: Frames, Composition: -1, Data: 5}},
	{"AVC end of sequence", []byte{0x17, 2, 0, 0, 0}, VideoHeader{Codec: H264, Frame: FrameKey, Packet: EndOfSequence, Data: 5}},
	{"VP6", []byte{0x14, 1}, VideoHeader{Codec: VP6, Frame: FrameKey, Packet: Frames, Data: 1}},
	{"command frame", []byte{0x57, 0}, VideoHeader{Codec: H264, Frame: FrameCommand, Packet: Other, Data: 1}},
	{"enhanced HEVC frame", []byte{0x91, 'h', 'v', 'c', '1', 0, 0, 40, 9}, VideoHeader{Codec: HEVC, Frame: FrameKey, Packet: Frames, Composition: 40, Data: 8, Enhanced: true}},
	{"enhanced HEVC frame without composition time", []byte{0xa3, 'h', 'v', 'c', '1', 9}, VideoHeader{Codec: HEVC, Frame: FrameInter, Packet: Frames, Data: 5, Enhanced: true}},
	{"enhanced AV1 sequence start", []byte{0x90, 'a', 'v', '0', '1', 0x81}, VideoHeader{Codec: AV1, Frame: FrameKey, Packet: SequenceHeader, Data: 5, Enhanced: true}},
	{"enhanced with nanosecond modifier", []byte{0x97, 2, 1, 2, 3, 0x01, 'a', 'v', '0', '1', 9}, VideoHeader{Codec: AV1, Frame: FrameKey, Packet: Frames, Data: 10, Enhanced: true}},
}

func TestParseVideo(t *testing.T) {
	for _, test := range videoCases {
		got, err := ParseVideo(test.body)
		if err != nil || got != test.want {
			t.Errorf("%s: got %+v, %v; want %+v", test.name, got, err, test.want)
		}
	}
}

var audioCases = []struct {
	name string
	body []byte
	want AudioHeader
}{
	{"AAC sequence header", []byte{0xaf, 0, 0x12, 0x10}, AudioHeader{Codec: AAC, Packet: SequenceHeader, Data: 2}},
	{"AAC frame", []byte{0xaf, 1, 0x21}, AudioHeader{Codec: AAC, Packet: Frames, Data: 2}},
	{"MP3", []byte{0x2f, 0xff}, AudioHeader{Codec: MP3, Packet: Frames, Data: 1}},
	{"enhanced Opus", []byte{0x91, 'O', 'p', 'u', 's', 1}, AudioHeader{Codec: Opus, Packet: Frames, Data: 5, Enhanced: true}},
	{"enhanced multichannel map", []byte{0x94, 'O', 'p', 'u', 's', 1}, AudioHeader{Codec: Opus, Packet: Metadata, Data: 5, Enhanced: true}},
}

func TestParseAudio(t *testing.T) {
	for _, test := range audioCases {
		got, err := ParseAudio(test.body)
		if err != nil || got != test.want {
			t.Errorf("%s: got %+v, %v; want %+v", test.name, got, err, test.want)
		}
	}
}

func TestTruncatedHeadersAreErrors(t *testing.T) {
	for _, body := range [][]byte{nil, {0x17}, {0x17, 1, 0, 0}, {0x91, 'h', 'v'}, {0x91, 'h', 'v', 'c', '1', 0}, {0x97, 200, 1}} {
		if _, err := ParseVideo(body); !errors.Is(err, ErrTruncated) {
			t.Errorf("video % x: %v", body, err)
		}
	}
	for _, body := range [][]byte{nil, {0xaf}, {0x91, 'O'}} {
		if _, err := ParseAudio(body); !errors.Is(err, ErrTruncated) {
			t.Errorf("audio % x: %v", body, err)
		}
	}
}

func TestMultitrackIsTakenApart(t *testing.T) {
	body := []byte{0x96, 0x11, 'h', 'v', 'c', '1', 0, 0, 0, 4, 0, 0, 7, 0xaa, 1, 0, 0, 4, 0, 0, 8, 0xbb}
	h, err := ParseVideo(body)
	if err != nil || h.Packet != Multitrack {
		t.Fatalf("%+v, %v", h, err)
	}
	var got []Track
	if err := VideoTracks(body, h, func(track Track) bool { got = append(got, track); return true }); err != nil {
		t.Fatal(err)
	}
	for _, track := range got {
		if !bytes.Equal(body[track.At:track.At+len(track.Data)], track.Data) {
			t.Errorf("track %d is not at %d", track.ID, track.At)
		}
	}
	if len(got) != 2 || got[1].ID != 1 || got[1].Composition != 8 || !bytes.Equal(got[1].Data, []byte{0xbb}) || got[0].Packet != Frames {
		t.Errorf("%+v", got)
	}
}

func FuzzVideo(f *testing.F) {
	for _, c := range videoCases {
		f.Add(c.body)
	}
	f.Add([]byte{0x96, 0x11, 'h', 'v', 'c', '1', 0, 0, 0, 4, 0, 0, 7, 0xaa})
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := ParseVideo(body)
		if err != nil {
			return
		}
		if h.Data > len(body) {
			t.Fatalf("data begins at %d of %d", h.Data, len(body))
		}
		if h.Packet == Multitrack {
			_ = VideoTracks(body, h, func(track Track) bool { return len(track.Data) <= len(body) })
		}
	})
}

func FuzzAudio(f *testing.F) {
	for _, c := range audioCases {
		f.Add(c.body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := ParseAudio(body)
		if err != nil {
			return
		}
		if h.Data > len(body) {
			t.Fatalf("data begins at %d of %d", h.Data, len(body))
		}
		if h.Packet == Multitrack {
			_ = AudioTracks(body, h, func(track Track) bool { return len(track.Data) <= len(body) })
		}
	})
}
