package flv

import (
	"bytes"
	"testing"

	"github.com/headwater-live/headwater/remux"
	"github.com/headwater-live/headwater/remux/bytelog"
	"github.com/headwater-live/headwater/remux/flvtag"
)

func frame(dts int64, keyframe bool, size int) *remux.Packet {
	head := byte(0x27)
	if keyframe {
		head = 0x17
	}
	return &remux.Packet{Kind: remux.VideoFrame, Codec: flvtag.H264, Keyframe: keyframe, DTS: dts,
		Payload: append([]byte{head, 1, 0, 0, 0}, bytes.Repeat([]byte{byte(dts)}, size)...), Data: 5}
}

func config(kind remux.Kind, version byte) *remux.Packet {
	payload := []byte{0x17, 0, 0, 0, 0, version}
	if kind == remux.AudioConfig {
		payload = []byte{0xaf, 0, version}
	}
	return &remux.Packet{Kind: kind, Payload: payload, Data: len(payload) - 1}
}

// tag is a tag as a reader sees it.
type tag struct {
	kind byte
	dts  uint32
	body []byte
}

func parseTags(t *testing.T, b []byte) []tag {
	t.Helper()
	var tags []tag
	for len(b) > 0 {
		if len(b) < 15 {
			t.Fatalf("%d bytes left over", len(b))
		}
		size := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		dts := uint32(b[7])<<24 | uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6])
		total := 11 + size
		trailer := b[total : total+4]
		if got := int(trailer[0])<<24 | int(trailer[1])<<16 | int(trailer[2])<<8 | int(trailer[3]); got != total {
			t.Fatalf("PreviousTagSize is %d, want %d", got, total)
		}
		tags = append(tags, tag{b[0], dts, b[11:total]})
		b = b[total+4:]
	}
	return tags
}

// drain reads from a position to the end of the log, as bare tags.
func drain(t *testing.T, at *bytelog.Position) []tag {
	t.Helper()
	var bare []byte
	for b := at.Next(); b != nil; b = at.Next() {
		bare = append(bare, b...)
		at.Skip(len(b))
	}
	return parseTags(t, bare)
}

func TestWhoJoinsBeginsAtTheNewestKeyframeWithTheConfigurations(t *testing.T) {
	l := bytelog.New(format{}, bytelog.Options{})
	l.Begin(remux.Tracks{Video: true, Audio: true})
	l.Write(config(remux.VideoConfig, 1))
	l.Write(config(remux.AudioConfig, 1))
	l.Write(frame(0, true, 10))
	l.Write(frame(40, false, 10))
	l.Write(frame(80, true, 10))
	l.Write(frame(120, false, 10))
	prologue, at, _ := l.Join(nil, 0)
	if string(prologue[:3]) != "FLV" || prologue[4] != 5 {
		t.Errorf("header % x", prologue[:flvtag.FileHeaderSize])
	}
	if tags := parseTags(t, prologue[flvtag.FileHeaderSize:]); len(tags) != 2 || tags[0].dts != 80 {
		t.Errorf("prologue %+v", tags)
	}
	if tags := drain(t, &at); len(tags) != 2 || tags[0].dts != 80 || tags[1].dts != 120 {
		t.Errorf("then %+v", tags)
	}
}

func TestAnUnchangedConfigurationIsNotResent(t *testing.T) {
	l := bytelog.New(format{}, bytelog.Options{})
	l.Begin(remux.Tracks{Video: true})
	_, at, _ := l.Join(nil, 0)
	l.Write(config(remux.VideoConfig, 1))
	l.Write(frame(0, true, 10))
	l.End()
	l.Begin(remux.Tracks{Video: true})
	l.Write(config(remux.VideoConfig, 1))
	l.Write(frame(40, true, 10))
	l.Write(config(remux.VideoConfig, 2))
	l.Write(frame(80, true, 10))
	var kinds []byte
	for _, tag := range drain(t, &at) {
		kinds = append(kinds, tag.body[1])
	}
	if want := []byte{0, 1, 1, 0, 1}; !bytes.Equal(kinds, want) {
		t.Errorf("AVC packet types %v, want %v", kinds, want)
	}
}

func TestAReaderCrossesSlabsAndLargeTags(t *testing.T) {
	l := bytelog.New(format{}, bytelog.Options{})
	l.Begin(remux.Tracks{Video: true})
	_, at, _ := l.Join(nil, 0)
	sizes := []int{0, 1, (128 << 10) - 100, (128 << 10), 3 * (128 << 10), 50_000, 50_000, 50_000, 7}
	for i, size := range sizes {
		l.Write(frame(int64(i), i%3 == 0, size))
	}
	tags := drain(t, &at)
	if len(tags) != len(sizes) {
		t.Fatalf("%d tags, want %d", len(tags), len(sizes))
	}
	for i, tag := range tags {
		if want := frame(int64(i), i%3 == 0, sizes[i]).Payload; !bytes.Equal(tag.body, want) {
			t.Errorf("tag %d has %d bytes, want %d", i, len(tag.body), len(want))
		}
	}
	if end := l.State().End; end != at.Offset() {
		t.Errorf("the reader is at %d, the log ends at %d", at.Offset(), end)
	}
}

func TestADroppedTrackIsInNeitherHeaderNorTags(t *testing.T) {
	l := bytelog.New(format{}, bytelog.Options{NoVideo: true})
	l.Begin(remux.Tracks{Video: true, Audio: true})
	_, at, _ := l.Join(nil, 0)
	l.Write(config(remux.VideoConfig, 1))
	l.Write(config(remux.AudioConfig, 1))
	l.Write(frame(0, true, 10))
	l.Write(&remux.Packet{Kind: remux.AudioFrame, DTS: 5, Payload: []byte{0xaf, 1, 9}, Data: 2})
	prologue, _, _ := l.Join(nil, 0)
	if prologue[4] != 4 {
		t.Errorf("header flags %d, want 4", prologue[4])
	}
	for _, tag := range drain(t, &at) {
		if tag.kind != 8 {
			t.Errorf("a tag of type %d", tag.kind)
		}
	}
}

func TestTheExtendedTimestampByteIsWritten(t *testing.T) {
	l := bytelog.New(format{}, bytelog.Options{})
	l.Begin(remux.Tracks{Video: true})
	_, at, _ := l.Join(nil, 0)
	l.Write(frame(1<<24+7, true, 1))
	if tags := drain(t, &at); tags[0].dts != 1<<24+7 {
		t.Errorf("timestamp %d", tags[0].dts)
	}
}
