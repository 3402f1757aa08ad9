package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/headwater-live/headwater/remux/flvtag"
)

// testFile renders an FLV file of these tags.
func testFile(tags ...fileTag) []byte {
	b := flvtag.AppendFileHeader(nil, true, true)
	for _, tag := range tags {
		b = flvtag.AppendTag(b, tag.kind, tag.timestamp, tag.body)
	}
	return b
}

// readFile reads all tags. Bodies are copied.
func readFile(r io.Reader) (tags []fileTag, err error) {
	f, err := newFLVFile(r)
	if err != nil {
		return nil, err
	}
	for {
		tag, err := f.next()
		if errors.Is(err, io.EOF) {
			return tags, nil
		}
		if err != nil {
			return tags, err
		}
		tag.body = bytes.Clone(tag.body)
		tags = append(tags, tag)
	}
}

func text(tags []fileTag) string {
	var b strings.Builder
	for _, tag := range tags {
		fmt.Fprintf(&b, "%d@%d:%x ", tag.kind, tag.timestamp, tag.body)
	}
	return b.String()
}

var fileTags = []fileTag{
	{flvtag.Script, 0, []byte{2, 0, 10}},
	{flvtag.Video, 0, []byte{0x17, 0, 0, 0, 0}},
	{flvtag.Audio, 0xffffff, []byte{0xaf, 1}},
	{flvtag.Video, 0x1000000, bytes.Repeat([]byte{7}, 100_000)},
	{flvtag.Audio, 0xfffffffe, nil},
}

func TestFLVFilesAreReadTagByTag(t *testing.T) {
	whole := testFile(fileTags...)
	longHeader := append(append([]byte("FLV\x01\x05\x00\x00\x00\x0c"), 1, 2, 3), whole[9:]...)
	wrongTrailers := bytes.Clone(whole)
	copy(wrongTrailers[len(whole)-4:], "\xff\xff\xff\xff")
	for name, r := range map[string]io.Reader{
		"at once":            bytes.NewReader(whole),
		"byte by byte":       iotest.OneByteReader(bytes.NewReader(whole)),
		"with EOF and data":  iotest.DataErrReader(bytes.NewReader(whole)),
		"a longer header":    bytes.NewReader(longHeader),
		"wrong tag sizes":    bytes.NewReader(wrongTrailers),
		"no last trailer":    bytes.NewReader(whole[:len(whole)-4]),
		"half last trailer":  bytes.NewReader(whole[:len(whole)-2]),
		"flags of no tracks": bytes.NewReader(append([]byte("FLV\x01\x00"), whole[5:]...)),
	} {
		tags, err := readFile(r)
		if err != nil || text(tags) != text(fileTags) {
			t.Errorf("%s: %.200s, %v", name, text(tags), err)
		}
	}
	if tags, err := readFile(bytes.NewReader(testFile())); err != nil || len(tags) != 0 {
		t.Errorf("without tags: %v, %v", tags, err)
	}
}

func TestFaultsOfFLVFilesNameTheByte(t *testing.T) {
	whole := testFile(fileTags[:3]...)
	second := flvtag.FileHeaderSize + flvtag.HeaderSize + 3 + flvtag.TrailerSize
	changed := func(at int, with ...byte) []byte {
		b := bytes.Clone(whole)
		copy(b[at:], with)
		return b
	}
	for _, test := range []struct {
		name string
		file []byte
		tags int
		want string
	}{
		{"an empty file", nil, 0, "read FLV header: the file ends inside it"},
		{"half a header", whole[:5], 0, "read FLV header: the file ends inside it"},
		{"a header alone", whole[:11], 0, "read FLV header: the file ends inside it"},
		{"another kind of file", []byte("\x00\x00\x00\x20ftypisom"), 0, "does not begin with FLV"},
		{"a huge header", changed(5, 0xff, 0xff, 0xff, 0xff), 0, "a header of 4294967295 bytes"},
		{"a tiny header", changed(5, 0, 0, 0, 8), 0, "a header of 8 bytes"},
		{"half a tag header", whole[:second+4], 1, fmt.Sprintf("at byte %d: the file ends inside it", second)},
		{"half a body", whole[:second+13], 1, fmt.Sprintf("at byte %d: the file ends inside it", second)},
		{"no body", whole[:second+11], 1, fmt.Sprintf("at byte %d: the file ends inside it", second)},
		{"an unknown type", changed(second, 7), 1, fmt.Sprintf("at byte %d: type 7", second)},
		{"an encrypted tag", changed(second, 0x29), 1, fmt.Sprintf("at byte %d: the tag is encrypted", second)},
		{"a huge tag", changed(second+1, 0xff), 1, fmt.Sprintf("at byte %d: 16711685 bytes are more", second)},
	} {
		tags, err := readFile(bytes.NewReader(test.file))
		if len(tags) != test.tags || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %d tags, then %v; want %d, then %q", test.name, len(tags), err, test.tags, test.want)
		}
	}
	broken := errors.New("the disk is broken")
	_, err := readFile(io.MultiReader(bytes.NewReader(whole[:second+12]), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) {
		t.Errorf("a broken disk: %v", err)
	}
}

func FuzzFLVFile(f *testing.F) {
	whole := testFile(fileTags[:3]...)
	f.Add(whole)
	f.Add(whole[:len(whole)-5])
	f.Add(append([]byte("FLV\x01\x05\x00\x00\x00\x0c"), whole...))
	f.Fuzz(func(t *testing.T, file []byte) {
		tags, err := readFile(bytes.NewReader(file))
		if err != nil {
			return
		}
		// What was read can be written, and is then read as the same.
		again, err := readFile(bytes.NewReader(testFile(tags...)))
		if err != nil || text(again) != text(tags) {
			t.Errorf("%.100s is read back as %.100s, %v", text(tags), text(again), err)
		}
	})
}
