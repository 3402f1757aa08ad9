package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/headwater-live/headwater/remux/flvtag"
)

const (
	// maxFileTag bounds a tag of a file. It is what servers take in one message by default; a keyframe of
	// 8 MiB would be more than a second of the fastest stream that anybody publishes.
	maxFileTag = 8 << 20
	// maxFileHeader bounds the header, which says itself how long it is. Version 1 has 9 bytes, and nobody
	// wrote another version.
	maxFileHeader = 1 << 10
)

// fileTag is one tag of an FLV file. The body is valid until the next one is read.
type fileTag struct {
	kind      flvtag.Type
	timestamp uint32 // milliseconds, modulo 2^32
	body      []byte
}

// flvFile reads an FLV file from its beginning (Adobe Video File Format Specification 10.1, annex E):
//
//	"FLV" | version 8 | flags 8 | header size 32 | … | PreviousTagSize0 32 | ( tag | PreviousTagSize 32 )…
//
//	tag: | reserved 2, filter 1, type 5 | body size 24 | timestamp 24 low | ts 8 high | stream id 24 | body |
//
// Its errors say at which byte the tag begins that could not be read. PreviousTagSize is not looked at:
// recorders that were cut off or edited files have it wrong, and every player ignores it.
type flvFile struct {
	r      *bufio.Reader
	offset int64 // of the next byte in the file
	maxTag int   // bytes of the largest tag
	body   bytes.Buffer
}

// newFLVFile reads the header of the file.
func newFLVFile(r io.Reader) (*flvFile, error) {
	f := &flvFile{r: bufio.NewReaderSize(r, 64<<10), maxTag: maxFileTag}
	var header [9]byte
	if err := f.read(header[:]); err != nil {
		return nil, fmt.Errorf("read FLV header: %w", endInside(err))
	}
	if string(header[:3]) != "FLV" {
		return nil, errors.New("read FLV header: the file does not begin with FLV")
	}
	size := binary.BigEndian.Uint32(header[5:])
	if size < 9 || size > maxFileHeader {
		return nil, fmt.Errorf("read FLV header: a header of %d bytes", size)
	}
	if err := f.skip(int(size) - len(header) + flvtag.TrailerSize); err != nil {
		return nil, fmt.Errorf("read FLV header: %w", endInside(err))
	}
	return f, nil
}

// next reads a tag. After the last one it returns io.EOF.
func (f *flvFile) next() (fileTag, error) {
	start := f.offset
	tag, err := f.tag()
	if err != nil && !errors.Is(err, io.EOF) {
		return fileTag{}, fmt.Errorf("read FLV tag at byte %d: %w", start, err)
	}
	return tag, err
}

func (f *flvFile) tag() (fileTag, error) {
	var h [flvtag.HeaderSize]byte
	if err := f.read(h[:]); err != nil {
		return fileTag{}, err
	}
	if h[0]&0x20 != 0 {
		return fileTag{}, errors.New("the tag is encrypted")
	}
	kind := flvtag.Type(h[0] & 0x1f)
	if kind != flvtag.Audio && kind != flvtag.Video && kind != flvtag.Script {
		return fileTag{}, fmt.Errorf("type %d is neither audio, video nor script data", kind)
	}
	size := int(h[1])<<16 | int(h[2])<<8 | int(h[3])
	if size > f.maxTag {
		return fileTag{}, fmt.Errorf("%d bytes are more than the %d that are published", size, f.maxTag)
	}
	// The body grows as it is read, so that a short file that declares much costs little.
	f.body.Reset()
	n, err := io.CopyN(&f.body, f.r, int64(size))
	f.offset += n
	if err != nil {
		return fileTag{}, endInside(err)
	}
	// A recorder that was killed may have left the last tag without its trailer.
	if err := f.skip(flvtag.TrailerSize); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fileTag{}, err
	}
	timestamp := uint32(h[7])<<24 | uint32(h[4])<<16 | uint32(h[5])<<8 | uint32(h[6])
	return fileTag{kind: kind, timestamp: timestamp, body: f.body.Bytes()}, nil
}

// read fills p. The error is io.EOF only if there was nothing.
func (f *flvFile) read(p []byte) error {
	n, err := io.ReadFull(f.r, p)
	f.offset += int64(n)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errCutOff
	}
	return err
}

func (f *flvFile) skip(n int) error {
	skipped, err := f.r.Discard(n)
	f.offset += int64(skipped)
	return err
}

var errCutOff = errors.New("the file ends inside it")

// endInside makes the end of the file an error where something should follow.
func endInside(err error) error {
	if errors.Is(err, io.EOF) {
		return errCutOff
	}
	return err
}
