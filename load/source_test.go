package load

import (
	"bytes"
	"testing"
	"time"

	"github.com/headwater-live/headwater/remux/flvtag"
	"github.com/headwater-live/headwater/remux/h264"
)

// nalus frames NALUs with lengths of 4 bytes as the body of a video tag.
func nalus(first byte, units ...[]byte) []byte {
	body := []byte{first, 1, 0, 0, 0}
	for _, u := range units {
		body = append(append(body, 0, 0, 0, byte(len(u))), u...)
	}
	return body
}

func clipTags(t *testing.T) []Tag {
	t.Helper()
	s, err := NewSynth(SynthConfig{})
	if err != nil {
		t.Fatal(err)
	}
	slice := []byte{0x65, 1, 2, 3}
	return []Tag{
		{Kind: flvtag.Script, Body: []byte{2, 0, 0}},
		{Kind: flvtag.Video, Body: s.Headers()[1].Body},
		{Kind: flvtag.Video, At: 0, Body: nalus(0x17, slice)},
		{Kind: flvtag.Audio, At: 10, Body: []byte{0xaf, 1, 2}},
		{Kind: flvtag.Video, At: 40, Body: nalus(0x27, []byte{9, 0xf0}, slice)},
		{Kind: flvtag.Video, At: 80, Body: nalus(0x27, nil, []byte{9, 0xf0}, slice)},
		{Kind: flvtag.Video, At: 120, Body: []byte{0x27, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}},
		{Kind: flvtag.Video, At: 120, Body: []byte{0x17, 2, 0, 0, 0}}, // end of sequence
	}
}

func TestStampsGoBehindDelimitersAndBeforeEverythingElse(t *testing.T) {
	clip, err := NewClip(clipTags(t), 160)
	if err != nil {
		t.Fatal(err)
	}
	if len(clip.Headers()) != 2 || !clip.Stamped() {
		t.Errorf("%d headers, stamps: %v", len(clip.Headers()), clip.Stamped())
	}
	want := []struct {
		video, key bool
		types      []h264.Type // with a stamp; nil for a frame that has none
	}{
		{true, true, []h264.Type{h264.TypeSEI, h264.TypeIDR}}, {}, {true, false, []h264.Type{h264.TypeAUD, h264.TypeSEI, h264.TypeIDR}},
		{true, false, []h264.Type{h264.TypeSEI, h264.TypeAUD, h264.TypeIDR}}, {true, false, nil},
	}
	p := clip.Play()
	for i, w := range want {
		tag := p.Next()
		if (tag.Kind == flvtag.Video) != w.video || tag.key != w.key || (tag.stampAt > 0) != (w.types != nil) {
			t.Errorf("tag %d: %+v", i, tag)
		}
		if tag.stampAt == 0 {
			continue
		}
		body := insertStamp(nil, tag.Body, tag.stampAt, tag.lengthSize, tag.hevc, stamp{run: 1})
		var types []h264.Type
		for c := h264.NALUs(body[5:], 4); c.Next(); {
			types = append(types, h264.TypeOf(c.NALU()))
		}
		if len(types) != len(w.types) || types[0] != w.types[0] || types[1] != w.types[1] {
			t.Errorf("tag %d has NALUs %v, want %v", i, types, w.types)
		}
	}
	if tag := p.Next(); tag.At != 160 || !tag.key {
		t.Errorf("the second round begins with %+v", tag)
	}
}

func TestAClipNeedsFramesAndALength(t *testing.T) {
	tags := clipTags(t)
	if _, err := NewClip(tags[:2], 100); err == nil {
		t.Error("a clip without frames")
	}
	if _, err := NewClip(tags, 120); err == nil {
		t.Error("a clip that ends with its last frame")
	}
	sound, err := NewClip(tags[3:4], 100)
	if err != nil || sound.Stamped() || !sound.Play().Next().key {
		t.Errorf("a clip of sound alone: %v", err)
	}
}

// What is published is played: a source without stamps is counted, and has no delay.
func TestAClipWithoutStampsIsOnlyCounted(t *testing.T) {
	t.Parallel()
	var tags []Tag
	for i := range int64(10) {
		tags = append(tags, Tag{Kind: flvtag.Audio, At: 20 * i, Body: append([]byte{0xaf, 1}, bytes.Repeat([]byte{1}, 100)...)})
	}
	clip, err := NewClip(tags, 200)
	if err != nil {
		t.Fatal(err)
	}
	o := (&origin{}).start(t)
	c := against(t, o, 1)
	c.Source, c.Duration = clip, time.Second
	for _, v := range mustRun(t, c).Viewers {
		if v.Bytes < 1000 || v.Frames != 0 || v.Delay.Count != 0 || v.Lost != 0 {
			t.Errorf("%+v", v)
		}
	}
}
